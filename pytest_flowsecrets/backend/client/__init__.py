"""The real ``prefect.Client`` of this process, made ready to talk to a fake API."""
