"""What the API decides: states, slots of limits, relations between rows, parameters."""
