"""The queries over tables in the dialect of Hasura 1."""
