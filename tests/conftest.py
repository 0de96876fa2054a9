"""What all tests share: a fresh pytest process, and how many examples a property gets."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # the modules that need it skip themselves
    pass
else:
    _SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}
    # A gate gives the same answer every time; it is `deep` that looks for what nobody has seen yet.
    settings.register_profile("small", max_examples=100, derandomize=True, database=None, **_SLOW)
    settings.register_profile("ci", max_examples=2_000, derandomize=True, database=None, **_SLOW)
    settings.register_profile("deep", max_examples=200_000, database=None, **_SLOW)
    settings.load_profile("small")  # --hypothesis-profile is looked at later, so it wins


def pytest_addoption(parser):
    """Declare the ini key of pytest-asyncio that releases before 0.24 do not have, for ``--strict-config``."""
    parser.addini("asyncio_default_fixture_loop_scope", "see pytest-asyncio", type="string", default=None)


@pytest.hookimpl(tryfirst=True)  # before ``-m`` selects
def pytest_collection_modifyitems(items):
    """Mark the tests that start a pytest process as slow."""
    for item in items:
        if "pytester" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")


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
