"""What the API decides: states of runs, slots of limits, and which rows fit a filter."""
