"""The pytest plugin: the hooks of each subject in a module, and all fixtures in ``fixtures``.

Only the modules of this package import pytest. They call code that does not need it. Their top-level imports are
light: a run without secrets loads neither Prefect nor any other package of this project.
"""

from __future__ import annotations

pytest_plugins = [
    "pytest_flowsecrets.plugin.options",
    "pytest_flowsecrets.plugin.isolation",
    "pytest_flowsecrets.plugin.leaks",
    # After leaks, which it imports: pytest warns if a plugin module is imported before it is registered.
    "pytest_flowsecrets.plugin.fixtures",
    "pytest_flowsecrets.plugin.masking",
    "pytest_flowsecrets.plugin.declarations",
    "pytest_flowsecrets.plugin.errors",
    "pytest_flowsecrets.plugin.html_report",
]
