"""Making the real Prefect see the test's secrets in this process and its children, and unmaking it."""
