"""The pytest plugin: a module for each subject, with its hooks and fixtures. They call code that does not need pytest.

Only the modules of this package import pytest. Their top-level imports are light: a run without secrets loads neither
Prefect nor any other package of this project.
"""

from __future__ import annotations

pytest_plugins = [
    "pytest_flowsecrets.plugin.options",
    "pytest_flowsecrets.plugin.isolation",
    "pytest_flowsecrets.plugin.leaks",
    "pytest_flowsecrets.plugin.fixtures",  # imports leaks
    "pytest_flowsecrets.plugin.masking",
    "pytest_flowsecrets.plugin.declarations",
    "pytest_flowsecrets.plugin.errors",
    "pytest_flowsecrets.plugin.html_report",
]
