"""Real flow runs against a fake API: deployed by a real agent, in processes of their own."""
