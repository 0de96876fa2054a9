"""The private ``~/.prefect`` of an isolation, and the text of its ``config.toml``."""
