"""Tests that reload or re-import Prefect: the secrets of a marked test reach every copy in use."""

from __future__ import annotations

import os

import pytest

from tests.compat import needs_prefect

pytestmark = needs_prefect

AGAIN = {
    "configuration": "importlib.reload(sys.modules['prefect.configuration'])",
    "context": "importlib.reload(sys.modules['prefect.utilities.context'])",
    "package": "importlib.reload(sys.modules['prefect'])",
    "all three": "[importlib.reload(sys.modules[name]) for name in MODULES]",
    "without the package": "[sys.modules.pop('prefect'), importlib.import_module('prefect')]",
    "without the configuration": "[sys.modules.pop(MODULES[0]), importlib.import_module(MODULES[0])]",
    "without anything": """[sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "prefect"]
    importlib.import_module("prefect")""",
    "without anything, later": '[sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "prefect"]',
}
TESTS = """
import importlib
import sys

import prefect
import pytest
from prefect import config, context
from prefect.client import Secret

MODULES = ("prefect.configuration", "prefect.utilities.context", "prefect")
own, developers = pytest.mark.secrets(own="value"), "developer"


def again():
    {again}


def value(kind, name):
    try:
        return kind(name).get()
    except ValueError:
        return None


def everywhere(name):
    '''What each way of reading a secret gives: the classes, objects and modules of old and new imports.'''
    from prefect.client import Secret as new
    import prefect as package

    tables = [held.get("context", {{}}) for held in (config, prefect.config, package.config)]
    tables += [context, prefect.context, package.context]
    return {{value(Secret, name), value(new, name), *((table.get("secrets") or {{}}).get(name) for table in tables)}}


@own
def test_1(local_secrets):
    assert everywhere("own") == {{"value"}}
    assert everywhere(developers) == {{None}}


def test_2():
    assert everywhere(developers) == {{"real"}}
    again()
    assert everywhere(developers) == {{"real"}}


@own
def test_3(local_secrets):
    assert everywhere("own") == {{"value"}}
    assert everywhere(developers) == {{None}}
    assert sorted(local_secrets) == ["own"]
    local_secrets["own"] = "changed"
    assert everywhere("own") == {{"changed"}}


def test_4():
    assert everywhere("own") == {{None}}
    assert everywhere(developers) == {{"real"}}


@own
def test_5(local_secrets):
    again()
    local_secrets["more"] = "another"
    local_secrets["own"] = "changed"
    assert everywhere("own") == {{"changed"}}
    assert everywhere("more") == {{"another"}}
    assert everywhere(developers) == {{None}}
    del local_secrets["own"]
    assert everywhere("own") == {{None}}


def test_6():
    assert everywhere("own") == everywhere("more") == {{None}}
    assert everywhere(developers) == {{"real"}}


@pytest.mark.secrets(own="third")
def test_7(local_secrets):
    assert everywhere("own") == {{"third"}}
    assert everywhere(developers) == {{None}}
"""


@pytest.fixture
def developer(pytester, monkeypatch):
    """Write a secret of the developer to ``~/.prefect/config.toml``."""
    home = pytester.mkdir("home")
    (home / ".prefect").mkdir()
    (home / ".prefect" / "config.toml").write_text('[context.secrets]\ndeveloper = "real"\n')
    for name in [name for name in os.environ if name.startswith("PREFECT__")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))


@pytest.mark.parametrize("style", AGAIN)
@pytest.mark.usefixtures("developer")
def test_every_copy_has_the_secrets_of_the_test(pytester, style):
    """Every copy has the secrets of the test after any reload, and the developer's values are restored."""
    pytester.makepyfile(TESTS.format(again=AGAIN[style]))
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=7)


@pytest.mark.parametrize("name", ["config", "context"])
def test_a_replaced_object_fails_the_test(pytester, name):
    """A test that replaces `prefect.config` or `prefect.context` by a mock fails with the reason."""
    pytester.makepyfile(
        f"""
        import prefect
        import pytest
        from unittest.mock import MagicMock

        @pytest.fixture(scope="module", autouse=True)
        def replaced():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(prefect, "{name}", MagicMock())
                yield

        @pytest.mark.secrets(own="value")
        def test_it():
            pass
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"*prefect.{name} is MagicMock, not Prefect's own, *: undo the patch of prefect.{name}*"]
    )
