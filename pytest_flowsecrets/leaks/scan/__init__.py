"""Look for known values in what tests leave behind: files, variables, and Prefect's own state."""
