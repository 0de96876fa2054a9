"""The fake Prefect API: Cloud with its write-only secrets, and Server, for the real client.

From the sockets inward: ``server`` (HTTP on 127.0.0.1), ``wire`` (GraphQL over HTTP), ``api`` (a World: one store, its
keys, secrets, journal and faults), ``engine`` (an operation in, an answer out) with ``resolvers``, ``store`` (rows).
"""
