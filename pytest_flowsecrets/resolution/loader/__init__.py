"""The steps of Prefect's own loader of configuration, as pure functions."""
