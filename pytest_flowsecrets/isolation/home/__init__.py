"""A private ``~/.prefect``, and the text of its ``config.toml``."""
