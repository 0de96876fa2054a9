"""How a secret reaches a flow run: agents, run configs, job templates, and the environment that comes of them."""
