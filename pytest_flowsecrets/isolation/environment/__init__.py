"""The environment variables of the process: which ones Prefect reads, and which code sets them."""
