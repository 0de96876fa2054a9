"""The environment of a flow run of Prefect 2.20 and 3: the real workers of the installed Prefect prepare it."""
