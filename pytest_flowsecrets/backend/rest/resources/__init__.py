"""The handlers of the routes, by the kind of row that they are about."""
