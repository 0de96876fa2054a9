"""Real flow runs against a fake API, deployed by real agents, in their own processes."""
