from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def run_tests(pytester, monkeypatch):
    """Run a test module in a fresh pytest process with this plugin and no other, unless ``plugins`` names some."""

    def run(source, *arguments, plugins=(), ini=None):
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        if source is not None:
            pytester.makepyfile(source)
        if ini is not None:
            pytester.makeini(ini)
        loaded = [part for name in ("pytest_flowsecrets.plugin", *plugins) for part in ("-p", name)]
        return pytester.runpytest_subprocess(*loaded, *arguments, timeout=120)

    return run
