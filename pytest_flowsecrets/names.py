"""Names of Prefect's own that several rooms need: variables of the environment, and what they begin with."""

from __future__ import annotations

#: What the variables begin with that set keys of Prefect's configuration: ``PREFECT__SECTION__KEY``.
PREFIX = "PREFECT__"
#: What the variables of local secrets begin with.
SECRETS_PREFIX = f"{PREFIX}CONTEXT__SECRETS__"
#: Whether ``Secret(name).get()`` reads local secrets where the backend is Cloud.
USE_LOCAL_SECRETS = f"{PREFIX}CLOUD__USE_LOCAL_SECRETS"
#: The flow run of a process, and its flow.
FLOW_RUN_ID = f"{PREFIX}CONTEXT__FLOW_RUN_ID"
FLOW_ID = f"{PREFIX}CONTEXT__FLOW_ID"
#: The API: ``cloud`` or ``server``, its address, and who asks.
BACKEND = f"{PREFIX}BACKEND"
CLOUD_API = f"{PREFIX}CLOUD__API"
API_KEY = f"{PREFIX}CLOUD__API_KEY"
AUTH_TOKEN = f"{PREFIX}CLOUD__AUTH_TOKEN"
TENANT_ID = f"{PREFIX}CLOUD__TENANT_ID"
