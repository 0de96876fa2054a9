"""HTTP/1.1 over sockets, and GraphQL over HTTP."""
