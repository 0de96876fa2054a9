"""The types and the descriptions of the public fixtures."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pytest_flowsecrets

PLUGIN = Path(pytest_flowsecrets.__file__).parent / "plugin"
GENERIC = {"Any", "Callable", "Iterator", "Union", "str"}


def _text(decorator):
    is_attribute = isinstance(decorator, ast.Attribute) and isinstance(decorator.value, ast.Name)
    return f"{decorator.value.id}.{decorator.attr}" if is_attribute else ""


def _is_fixture(node):
    decorators = [each.func if isinstance(each, ast.Call) else each for each in getattr(node, "decorator_list", [])]
    return isinstance(node, ast.FunctionDef) and "pytest.fixture" in map(_text, decorators)


NODES = [node for path in PLUGIN.glob("*.py") for node in ast.parse(path.read_text("utf-8")).body if _is_fixture(node)]
FIXTURES = {
    node.name: {name.id for name in ast.walk(node.returns) if isinstance(name, ast.Name)} - GENERIC
    for node in NODES
    if not node.name.startswith("flowsecrets_")
}


def test_every_public_fixture_is_listed():
    """The table of fixtures that the next test uses holds all fixtures of the reference."""
    assert set(FIXTURES) >= {
        "cluster_secrets",
        "flow_clock",
        "flow_environment",
        "local_secrets",
        "local_secrets_factory",
        "prefect_cloud",
        "prefect_home",
        "prefect_server",
        "real_prefect",
        "secret_leaks",
        "secret_route",
    }


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_the_type_of_a_fixture_is_exported(name):
    """Users can import the type of each public fixture from ``pytest_flowsecrets``."""
    assert FIXTURES[name] <= set(pytest_flowsecrets.__all__)


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_a_fixture_has_a_line_in_the_list_of_fixtures(node):
    """``pytest --fixtures`` shows the first paragraph of a docstring: one sentence, in one line that says what it does."""
    paragraph = (ast.get_docstring(node) or "").partition("\n\n")[0]
    assert re.fullmatch(r"(Return|Start|Freeze|Isolate) [^\n]{20,110}\.", paragraph), paragraph


def test_every_fixture_is_in_the_reference():
    """The reference describes each public fixture."""
    reference = (PLUGIN.parents[1] / "docs" / "reference.md").read_text("utf-8")
    assert [name for name in FIXTURES if f"\n`{name}`\n: " not in reference] == []
