"""The types of the public fixtures."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pytest_flowsecrets

PLUGIN = Path(pytest_flowsecrets.__file__).parent / "plugin"
GENERIC = {"Any", "Callable", "Iterator", "Union", "str"}


def _text(decorator):
    is_attribute = isinstance(decorator, ast.Attribute) and isinstance(decorator.value, ast.Name)
    return f"{decorator.value.id}.{decorator.attr}" if is_attribute else ""


FIXTURES = {
    node.name: {name.id for name in ast.walk(node.returns) if isinstance(name, ast.Name)} - GENERIC
    for path in PLUGIN.glob("*.py")
    for node in ast.parse(path.read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef)
    and "pytest.fixture" in map(_text, node.decorator_list)
    and not node.name.startswith("flowsecrets_")
}


def test_every_public_fixture_is_listed():
    """The table of fixtures that the next test uses holds all fixtures of the reference."""
    assert set(FIXTURES) >= {
        "cluster_secrets",
        "flow_clock",
        "flow_environment",
        "local_secrets",
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
