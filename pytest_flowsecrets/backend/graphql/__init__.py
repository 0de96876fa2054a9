"""The GraphQL schema, and the validation and execution of documents with graphql-core."""
