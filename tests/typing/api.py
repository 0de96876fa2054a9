"""Read by type checkers only: the public API as users write it."""

from __future__ import annotations

from typing import Any, Dict

from pytest_flowsecrets import LocalSecrets, PrefectHome, isolated_prefect


def use(local_secrets: LocalSecrets, prefect_home: PrefectHome) -> Dict[str, str]:
    local_secrets["GITHUB_ACCESS_TOKEN"] = "x"
    local_secrets.update({"my secret": 42}, OTHER=None)
    value: Any = local_secrets["my secret"]
    del local_secrets["OTHER"]
    local_secrets.setenv("PIN", "0000")
    local_secrets.unsetenv("PIN")
    local_secrets.use_local_secrets = not local_secrets.use_local_secrets
    prefect_home.write_config({"context": {"secrets": {"A": value}}}, strict=False).read_text()
    with isolated_prefect({"A": "x"}, config="", backend={}) as secrets:
        return secrets.environ
