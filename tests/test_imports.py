"""Who may import whom, and what a bare run imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_flowsecrets

PACKAGE = Path(pytest_flowsecrets.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "demo_project" not in path.parts)

# The rooms from the top of the house down; a module may import from its own room and from those below it.
ROOMS = [
    {"plugin", "cli", "commands"},
    {"routes"},
    {"backend", "agents", "isolation", "clock", "leaks", "strategies", "_strategies"},
    {"findings"},
    {"resolution", "options", "tracebacks"},
    {"versions"},
    {"errors"},
]
# Foreign packages that only certain modules may import.
ONLY_IN = {
    "pytest": {"plugin"},
    "prefect": {
        "isolation/prefect1/adapter",
        "agents/real_agents",
        "agents/harness",
        "backend/runs/agent_main",
        "backend/runs/flow_run",
        "backend/runs/runner",
        "backend/client/prefect_client",
        "backend/resolvers/scheduling",
        "backend/runs/storages",
    },
    "graphql": {"backend"},
    "h11": {"backend"},
    "hypothesis": {"strategies", "_strategies"},
    "freezegun": {"clock"},
    "toml": {"resolution/toml_reader"},
    "yaml": {"commands/files/kubernetes_files", "agents/manifests"},
}
# Imported inside functions only; not hypothesis, which its own room needs at the top, for decorators and annotations.
LAZY = {"prefect", "graphql", "h11", "freezegun", "toml", "tomli", "tomlkit", "requests", "http", "yaml"}
# Except where a class derives from it or all is about it; such a module is itself imported inside functions only.
AT_TOP = {
    "backend/http/connection": {"h11", "http"},
    "backend/http/request_reader": {"h11"},
    "backend/graphql/execution": {"graphql"},
    "backend/graphql/schema": {"graphql"},
    "backend/graphql/validation": {"graphql"},
}


def imports(path):
    """(module, whether it is imported inside a function) for each import that runs, not those for type checkers."""
    tree = ast.parse(path.read_text("utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    typing = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            yield node.module, id(node) in inside
            if node.module == "pytest_flowsecrets":
                for alias in node.names:
                    yield f"pytest_flowsecrets.{alias.name}", id(node) in inside


def level(module):
    room = module.split(".")[1] if "." in module else None
    return next((number for number, names in enumerate(ROOMS) if room in names), None)


def place(path):
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_nothing_points_upward(path):
    """The order of the house."""
    own = level("pytest_flowsecrets." + place(path).split("/")[0])
    for module, _ in imports(path):
        if module.startswith("pytest_flowsecrets.") and own is not None and level(module) is not None:
            assert level(module) >= own, f"{place(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_foreign_packages_stay_in_their_rooms(path):
    """And are imported inside functions, so that nothing is loaded until it is asked for."""
    for module, inside in imports(path):
        package = module.split(".")[0]
        if package in ONLY_IN:
            allowed = ONLY_IN[package]
            assert place(path) in allowed or place(path).split("/")[0] in allowed, f"{place(path)} imports {module}"
        if package in LAZY - AT_TOP.get(place(path), set()):
            assert inside, f"{place(path)} imports {module} at its top"


def test_every_module_has_a_room():
    """A new one is put into the order above."""
    rooms = {place(path).split("/")[0] for path in MODULES} - {"__init__"}
    assert rooms <= set().union(*ROOMS)


def test_a_bare_run_loads_nothing(run_tests):
    """With the plugin installed and no test that asks, none of the heavy packages is imported, nor our own rooms."""
    heavy = ["hypothesis", "http.server", *(LAZY - {"http"})]
    own = [f"pytest_flowsecrets.isolation.{name}" for name in ("stack", "prefect1", "home", "secrets")]
    own += [
        f"pytest_flowsecrets.{room}" for room in ("routes", "agents", "resolution", "findings", "commands", "backend")
    ]
    own += [f"pytest_flowsecrets.leaks.{name}" for name in ("search", "mask.redactor", "mask.reports", "secret_leaks")]
    if sys.version_info < (3, 11):
        heavy.remove("tomli")  # pytest itself reads pyproject.toml with it
    result = run_tests(
        f"""
import sys

def test_it():
    assert [name for name in {heavy + own} if name in sys.modules] == []
"""
    )
    result.assert_outcomes(passed=1)


def test_pytest_does_not_compile_the_package_anew(run_tests):
    """Its modules are loaded from cached bytecode although pytest rewrites plugins; the tests of a run are rewritten."""
    result = run_tests(
        """
import sys
from importlib.machinery import SourceFileLoader

def test_it():
    loaded = [module for name, module in sys.modules.items() if name.startswith("pytest_flowsecrets.")]
    assert "pytest_flowsecrets.plugin" in sys.modules
    assert {type(module.__loader__) for module in loaded} == {SourceFileLoader}
    assert type(sys.modules[__name__].__loader__) is not SourceFileLoader
"""
    )
    result.assert_outcomes(passed=1)


def test_the_package_itself_is_lazy():
    """``import pytest_flowsecrets`` loads nothing else; each name comes when it is used."""
    code = """
import sys
before = set(sys.modules)
import pytest_flowsecrets
assert [name for name in set(sys.modules) - before if name.startswith("pytest_flowsecrets.")] == []
assert dir(pytest_flowsecrets) == sorted(pytest_flowsecrets.__all__)
for name in pytest_flowsecrets.__all__:
    assert getattr(pytest_flowsecrets, name).__name__ == name
try:
    pytest_flowsecrets.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)
