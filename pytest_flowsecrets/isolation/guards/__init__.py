"""Signals, threads and the fork server while an isolation is entered or left."""
