"""The GraphQL schema, the validation and execution of documents with graphql-core, and the filters of Hasura."""
