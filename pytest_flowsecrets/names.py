"""Names and prefixes of Prefect's environment variables.

This is a separate module because every layer uses the names. It imports nothing.
"""

from __future__ import annotations

#: The prefix of variables that set keys of Prefect's configuration: ``PREFECT__SECTION__KEY``.
PREFIX = "PREFECT__"
#: The prefix of variables that set the settings of Prefect 2.20 and 3.
REST_PREFIX = "PREFECT_"
#: The prefix of variables that set local secrets.
SECRETS_PREFIX = f"{PREFIX}CONTEXT__SECRETS__"
#: Whether ``Secret(name).get()`` reads local secrets if the backend is Cloud.
USE_LOCAL_SECRETS = f"{PREFIX}CLOUD__USE_LOCAL_SECRETS"
#: The ids of the flow run of a process and of its flow.
FLOW_RUN_ID = f"{PREFIX}CONTEXT__FLOW_RUN_ID"
FLOW_ID = f"{PREFIX}CONTEXT__FLOW_ID"
#: The backend (``cloud`` or ``server``), its address, and the client's credentials and tenant.
BACKEND = f"{PREFIX}BACKEND"
CLOUD_API = f"{PREFIX}CLOUD__API"
API_KEY = f"{PREFIX}CLOUD__API_KEY"
AUTH_TOKEN = f"{PREFIX}CLOUD__AUTH_TOKEN"
TENANT_ID = f"{PREFIX}CLOUD__TENANT_ID"
