"""The steps of Prefect's own configuration loader, as pure functions."""
