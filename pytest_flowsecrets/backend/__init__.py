"""The fake Prefect API: Cloud with its write-only secrets, and Server, for the real client.

From the sockets inward: ``http`` (HTTP on 127.0.0.1, GraphQL over HTTP), ``service`` (a World: one store, its
keys, secrets, log and faults), ``graphql`` (an operation in, an answer out) with ``resolvers``, ``records`` (rows).
"""
