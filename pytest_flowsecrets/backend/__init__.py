"""The fake Prefect APIs for the real client: Cloud with write-only secrets, and Server.

From the socket inward: ``http`` (HTTP on 127.0.0.1, GraphQL over HTTP), ``graphql_service`` (one store with its keys,
secrets, request log and faults), ``graphql`` (executes operations) with ``resolvers``, and ``records`` (rows).
"""
