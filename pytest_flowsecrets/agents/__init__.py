"""The environment of a flow run: real agents of the installed Prefect, a model of them, and Kubernetes."""
