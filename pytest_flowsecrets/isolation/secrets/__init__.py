"""``local_secrets``: how secrets reach Prefect, and what becomes of their values."""
