"""Cassettes: traffic of Prefect's API, recorded without the values of secrets, and replayed in tests.

A ``Recorder`` stands between a client and an API. It forwards each request, and keeps request and response, without
headers. In the cassette, ``masking`` replaces the secrets that the traffic itself shows, and the known ones.
A ``Player`` answers from a cassette, without the API. Events are not recorded: the WebSockets of both accept all
messages and drop them.
"""
