"""The GraphQL schema, and the validation and execution of documents by graphql-core."""
