"""The adapter for Prefect 0.5.5 to 1.4.1: the parts of the isolation that depend on the internals of Prefect."""
