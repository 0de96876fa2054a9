"""``local_secrets``: set secrets in Prefect, and compare what a flow gets with what the test set."""
