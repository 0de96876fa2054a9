"""The adapter for Prefect 0.5.5 to 1.4.1: everything in the isolation that depends on their internals."""
