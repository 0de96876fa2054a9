"""The isolation of Prefect 2.20 and 3. All knowledge of the internals of these versions is in this package."""
