"""The secrets as they are written, where no Prefect is installed that could read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

from pytest_flowsecrets.isolation import config_text
from pytest_flowsecrets.isolation.environ import PREFIX, secret_of


def written_secrets(version: str) -> Dict[str, Any]:
    """Names and texts from the variables and the config file, the variables winning; nothing is typed or expanded."""
    path = os.environ.get(f"{PREFIX}USER_CONFIG_PATH", "~/.prefect/config.toml")
    source = Path(os.path.expandvars(os.path.expanduser(path)))
    content = config_text.read(source.read_text("utf-8"), None) if source.is_file() else {}
    context = content.get("context", {})
    table = context.get("secrets", {}) if isinstance(context, dict) else {}
    secrets = dict(table) if isinstance(table, dict) else {}
    for variable, text in os.environ.items():
        secret = secret_of(variable, version)
        if secret is not None:
            secrets[secret] = text
    return secrets
