"""The pytest plugin: hooks and fixtures by subject. Each body is a few lines that call plain code.

Only the modules of this folder import pytest. At their top they import nothing heavy: a run without secrets loads
neither Prefect nor anything else of ours.
"""

from __future__ import annotations

pytest_plugins = [
    "pytest_flowsecrets.plugin.options",
    "pytest_flowsecrets.plugin.isolation",
    "pytest_flowsecrets.plugin.apis",
    "pytest_flowsecrets.plugin.leaks",
    "pytest_flowsecrets.plugin.declarations",
    "pytest_flowsecrets.plugin.errors",
]
