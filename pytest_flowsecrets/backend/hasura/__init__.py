"""Queries of tables in the dialect of Hasura 1."""
