"""The environment variables of the process: which ones Prefect reads, and who has set them."""
