"""Search for secrets in what tests leave behind: files, environment variables, and Prefect's own state."""
