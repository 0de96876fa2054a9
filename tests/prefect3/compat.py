"""The installed Prefect 2.20 or 3, as the tests need to know it."""

from __future__ import annotations

from pytest_flowsecrets.versions import installed_version, release_of

VERSION = installed_version()
RELEASE = release_of(VERSION)
IS_TYPED = RELEASE >= (3, 0, 0)  # whether Secret.get decodes JSON text
HAS_FILES = RELEASE >= (3, 0, 0)  # whether settings are read from .env, prefect.toml and pyproject.toml
