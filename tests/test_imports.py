"""Who may import whom, and what a bare run imports."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

import pytest

import pytest_flowsecrets

PACKAGE = Path(pytest_flowsecrets.__file__).parent
# Without `__main__`, which only calls the command line.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not {"demo_project", "__main__.py"} & set(path.parts))

# The layers from the top down. A module imports from its own room and from the layers below, and from no other room of
# its own layer. All imports count: those inside functions and those for type checkers, too. `strategies` is beside the
# rest: users import it, and it needs errors only.
LAYERS = [
    {"plugin", "cli"},
    {"commands"},
    {"migration"},
    {"routes", "strategies"},
    {"backend"},
    {"workers"},
    {"agents"},
    {"isolation"},
    {"clock"},
    {"leaks"},
    {"report"},
    {"findings"},
    {"resolution"},
    {"names", "operating_system", "options", "tracebacks", "versions"},
    {"errors"},
]
# Foreign packages that only certain modules may import.
ONLY_IN = {
    "pytest": {"plugin"},
    "prefect": {
        "isolation/prefect1/adapter",
        "isolation/prefect3/adapter",
        "isolation/prefect3/flow_runs",
        "isolation/prefect3/hidden_files",
        "isolation/prefect3/settings",
        "agents/real_agents",
        "agents/harness",
        "backend/runs/agent_main",
        "backend/runs/flow_run",
        "backend/runs/in_process",
        "backend/runs/runner",
        "backend/client",
        "backend/resolvers/flow_runs",
        "backend/runs/storages",
        "backend/prefect_server/main",
        "clock",
        "migration/apply",
        "workers/real_workers",
    },
    "pydantic": {"isolation/prefect3/flow_runs", "isolation/prefect3/settings"},
    "certifi": {"isolation/prefect3/home"},
    "graphql": {"backend"},
    "h11": {"backend"},
    "wsproto": {"backend/rest/listener"},
    "hypothesis": {"strategies"},
    "libcst": {f"migration/{name}" for name in ("import_lines", "legacy_uses", "rewrite", "sources")},
    "freezegun": {"clock"},
    "toml": {"resolution/toml_reader"},
    "yaml": {"commands/files/yaml_nodes", "agents/manifests"},
    "dotenv": {"commands/files/env_files", "resolution/settings/files"},
    "pathspec": {"commands/linter/discovery", "commands/linter/configuration"},
    "argcomplete": {"cli"},
    "jinja2": {"report/page", "backend/rest/rules/schemas"},
}
# Imported inside functions only; not hypothesis, which its own room needs at the top, for decorators and annotations.
LAZY = {
    *("prefect", "graphql", "h11", "wsproto", "freezegun", "toml", "tomli", "tomlkit", "requests", "http", "yaml"),
    *("pydantic", "certifi", "libcst", "dotenv", "pathspec", "argcomplete"),
    *("pydantic", "certifi", "libcst", "dotenv", "jinja2"),
}
# Except where a class derives from it or all is about it; such a module is itself imported inside functions only.
AT_TOP = {
    "backend/http/connection": {"h11", "http"},
    "backend/graphql/execution": {"graphql"},
    "backend/graphql/schema": {"graphql"},
    "backend/graphql/validation": {"graphql"},
    "migration/import_lines": {"libcst"},
    "migration/legacy_uses": {"libcst"},
    "migration/rewrite": {"libcst"},
}
LARGEST_FOLDER = 14  # modules


class Import(NamedTuple):
    """An imported module, names taken from it, whether that is in a function, and whether for type checkers only."""

    module: str
    names: List[str]
    in_function: bool
    for_types: bool


def imports(path: Path) -> List[Import]:
    return _imports_in(path.read_text("utf-8"))


@lru_cache(maxsize=None)
def _imports_in(source: str) -> List[Import]:
    return list(_walk(ast.parse(source)))


def _walk(tree: ast.AST) -> Iterator[Import]:
    functions = _nodes_below(tree, lambda node: isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    types = _nodes_below(tree, lambda node: isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    for node in ast.walk(tree):
        where = id(node) in functions, id(node) in types
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, [], *where) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno} is a relative import of {node.module}"
            yield Import(node.module, [alias.name for alias in node.names], *where)


def _nodes_below(tree: ast.AST, is_root) -> Set[int]:
    return {id(node) for root in ast.walk(tree) if is_root(root) for node in ast.walk(root)}


Graph = Dict[str, Set[str]]


def graph_of(package: Path) -> Graph:
    """Each module of a package with the modules of it that it imports, by dotted names without the package's."""
    skipped = {"demo_project", "__main__.py"}
    paths = {name_of(path, package): path for path in package.rglob("*.py") if not skipped & set(path.parts)}
    graph: Graph = {name: set() for name in paths}
    for name, path in paths.items():
        for module, names, *_ in imports(path):
            targets = {f"{module}.{each}" for each in names} | {module}
            inner = {target[len(package.name) + 1 :] for target in targets if target.startswith(f"{package.name}.")}
            modules = (inner & set(paths)) - {name}
            # `from a import b` means the module a.b where there is one, else a name in a.
            graph[name] |= {each for each in modules if not any(other.startswith(f"{each}.") for other in modules)}
    return graph


def name_of(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def upward(graph: Graph, layers: List[Set[str]]) -> List[str]:
    """The imports that do not point down in the list of layers."""
    level = {room: number for number, rooms in enumerate(layers) for room in rooms}
    return [
        f"{name} imports {target}"
        for name, targets in sorted(graph.items())
        for target in sorted(targets)
        if name and target and not _is_down(name.split(".")[0], target.split(".")[0], level)
    ]


def _is_down(room: str, other: str, level: Dict[str, int]) -> bool:
    return room == other or level[room] < level[other]


def cycles(graph: Graph) -> List[List[str]]:
    """The modules or packages that import each other, directly or through others: strongly connected components."""
    order: List[str] = []
    seen: Set[str] = set()
    for start in graph:
        stack: List[Tuple[str, Iterator[str]]] = [(start, iter(sorted(graph[start])))] if start not in seen else []
        seen.add(start)
        while stack:
            name, targets = stack[-1]
            following = next((target for target in targets if target not in seen), None)
            if following is None:
                order.append(name)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(graph[following]))))
    importers: Graph = {name: set() for name in graph}
    for name, targets in graph.items():
        for target in targets:
            importers[target].add(name)
    found, left = [], set(graph)
    for start in reversed(order):
        component, waiting = [], [start] if start in left else []
        left.discard(start)
        while waiting:
            name = waiting.pop()
            component.append(name)
            waiting += importers[name] & left
            left -= importers[name]
        if len(component) > 1:
            found.append(sorted(component))
    return found


def siblings(graph: Graph) -> Dict[str, Graph]:
    """For each package the graph of what is directly in it, where a package stands for all of its modules."""
    levels: Dict[str, Graph] = {}
    for name, targets in graph.items():
        for target in targets:
            ours, others = name.split("."), target.split(".")
            shared = next((i for i, (one, other) in enumerate(zip(ours, others)) if one != other), None)
            if shared is not None:
                level = levels.setdefault(".".join(ours[:shared]), {})
                level.setdefault(ours[shared], set()).add(others[shared])
                level.setdefault(others[shared], set())
    return levels


def place(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return (relative.parent if path.name == "__init__.py" else relative.with_suffix("")).as_posix()


# -- the package -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph():
    return graph_of(PACKAGE)


def test_every_import_points_down(graph):
    """The layers above, for all imports of all modules."""
    assert upward(graph, LAYERS) == []


def test_no_modules_import_each_other(graph):
    """There is no cycle of any length, nor one that only type checkers see."""
    assert cycles(graph) == []


def test_no_packages_import_each_other(graph):
    """In each folder the modules and folders can be put into an order, too."""
    found = {name: cycles(level) for name, level in siblings(graph).items()}
    assert {name: loops for name, loops in found.items() if loops} == {}


def test_every_module_has_a_layer():
    """A new one is put into the order above."""
    rooms = {place(path).split("/")[0] for path in MODULES} - {"."}
    assert rooms <= set().union(*LAYERS)


def test_folders_are_small():
    """What is in a folder can be seen at a glance."""
    sizes = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in MODULES if path.name != "__init__.py")
    assert {folder: size for folder, size in sizes.items() if size > LARGEST_FOLDER} == {}


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_foreign_packages_stay_in_their_rooms(path):
    """And are imported inside functions, so that nothing is loaded until it is asked for."""
    for module, _, in_function, for_types in imports(path):
        package = module.split(".")[0]
        if for_types:
            continue
        if package in ONLY_IN:
            allowed = ONLY_IN[package]
            assert place(path) in allowed or place(path).split("/")[0] in allowed, f"{place(path)} imports {module}"
        if package in LAZY - AT_TOP.get(place(path), set()):
            assert in_function, f"{place(path)} imports {module} at its top"


# -- the checker itself ------------------------------------------------------------------------------------------------

TOP = "from {package}.{module} import x\n"
IN_FUNCTION = "def f():\n    from {package}.{module} import x\n"
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {package}.{module} import x\n"


@pytest.fixture
def house(tmp_path):
    """A package of five modules in which all imports point down, and a function that adds one."""
    package = tmp_path / "house"
    for name, imported in {
        "upper.a": "lower.b",
        "upper.b": "upper.a",
        "lower.a": "lower.b",
        "lower.b": "",
        "base": "",
    }.items():
        path = package.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TOP.format(package="house", module=imported) if imported else "x = 1\n")

    def plant(module, imported, statement):
        path = package.joinpath(*module.split(".")).with_suffix(".py")
        path.write_text(path.read_text() + statement.format(package="house", module=imported))
        return graph_of(package)

    plant.package = package
    return plant


HOUSE = [{"upper"}, {"lower"}, {"base"}]


def test_a_house_in_order_passes(house):
    """Nothing is found where nothing is planted."""
    graph = graph_of(house.package)
    assert graph["upper.b"] == {"upper.a"}
    assert upward(graph, HOUSE) == cycles(graph) == []
    assert [cycles(level) for level in siblings(graph).values()] == [[], [], []]


@pytest.mark.parametrize("statement", [TOP, IN_FUNCTION, FOR_TYPES], ids=["at the top", "in a function", "for types"])
def test_planted_imports_are_found(house, statement):
    """An upward import, a cycle between modules and one between packages, however the import is written."""
    graph = house("lower.b", "upper.b", statement)
    assert upward(graph, HOUSE) == ["lower.b imports upper.b"]
    assert cycles(graph) == [["lower.b", "upper.a", "upper.b"]]
    assert cycles(siblings(graph)[""]) == [["lower", "upper"]]


def test_a_cycle_between_packages_alone_is_found(house):
    """No two modules import each other, but their packages do."""
    graph = house("lower.a", "upper.b", IN_FUNCTION)
    assert cycles(graph) == []
    assert cycles(siblings(graph)[""]) == [["lower", "upper"]]


def test_a_cycle_in_one_room_is_found(house):
    """Two modules of a room, one of which imports the other as a name of their package."""
    path = house.package / "lower" / "b.py"
    path.write_text("def f():\n    from house.lower import a\n")
    (house.package / "lower" / "__init__.py").write_text("")
    graph = graph_of(house.package)
    assert upward(graph, HOUSE) == []
    assert cycles(graph) == [["lower.a", "lower.b"]]


# -- what a run imports ------------------------------------------------------------------------------------------------


def test_a_bare_run_loads_nothing(run_tests):
    """Without a test that asks, none of the heavy packages is imported, nor our own rooms, and nothing warns."""
    heavy = ["hypothesis", "http.server", *(LAZY - {"http"})]
    own = [f"pytest_flowsecrets.isolation.{name}" for name in ("stack", "prefect1", "prefect3", "home", "secrets")]
    own += [
        f"pytest_flowsecrets.{room}"
        for room in ("routes", "agents", "workers", "resolution", "findings", "commands", "backend")
    ]
    own.append("pytest_flowsecrets.migration")
    own += [
        f"pytest_flowsecrets.leaks.{name}"
        for name in ("search", "mask.redactor", "mask.reports", "mask.masked_copies", "secret_leaks")
    ]
    if sys.version_info < (3, 11):
        heavy.remove("tomli")  # pytest itself reads pyproject.toml with it
    result = run_tests(
        f"""
import sys

def test_it():
    assert [name for name in {heavy + own} if name in sys.modules] == []
"""
    )
    result.assert_outcomes(passed=1, warnings=0)


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


@pytest.mark.slow
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


def test_the_import_system_is_unchanged_without_pytest(monkeypatch):
    """Outside of pytest, the package adds no finder for its modules."""
    monkeypatch.delitem(sys.modules, "_pytest.assertion.rewrite")
    finders = list(sys.meta_path)
    runpy.run_path(pytest_flowsecrets.__file__, run_name="pytest_flowsecrets")
    assert sys.meta_path == finders


def test_type_checkers_see_the_same_names():
    """Each public name is imported for type checkers from the module that the table of exports names."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    imported = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes = {name: f"pytest_flowsecrets.{module}" for name, module in pytest_flowsecrets._HOMES.items()}
    assert imported == homes
    assert pytest_flowsecrets.__all__ == sorted(homes)
