"""Guards for signals, threads and the fork server while a thread enters or exits an isolation."""
