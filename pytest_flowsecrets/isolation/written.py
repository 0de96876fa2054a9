"""The secrets as they are written, where no Prefect is installed that could read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

from pytest_flowsecrets.isolation import config_text
from pytest_flowsecrets.isolation.delivery import CONFIG_PATH
from pytest_flowsecrets.isolation.environ import secret_of


def written_secrets(version: str) -> Dict[str, Any]:
    """Names and texts from the variables and the config file, the variables winning; nothing is typed or expanded."""
    source = Path(os.path.expanduser(os.environ.get(CONFIG_PATH, "~/.prefect/config.toml")))
    content = config_text.read(source.read_text("utf-8"), None) if source.is_file() else {}
    context = content.get("context", {})
    secrets = dict(context.get("secrets", {})) if isinstance(context, dict) else {}
    for name, text in os.environ.items():
        secret = secret_of(name, version)
        if secret is not None:
            secrets[secret] = text
    return secrets
