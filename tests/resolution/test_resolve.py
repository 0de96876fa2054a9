"""Properties of the resolution as a whole."""

from __future__ import annotations

import inspect
import sys

import pytest

from pytest_flowsecrets.resolution.dialects import DIALECTS, dialect_for
from pytest_flowsecrets.resolution.layers import Items, Layer, Table, type_name
from pytest_flowsecrets.resolution.resolve import Machine, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

SECRET = "hunter2-do-not-show"


def layer(kind, **secrets):
    return Layer(kind, {"context": {"secrets": secrets}}, kind)


def variable(name):
    return f"PREFECT__CONTEXT__SECRETS__{name}"


@pytest.mark.parametrize("row", DIALECTS, ids=lambda row: row.id)
def test_strongest_layer_wins(row):
    """The order is defaults, user, backend (if it exists), variable, context, whatever the order of the arguments."""
    dialect = dialect_for(row.id)
    layers = [layer("backend", a="backend"), layer("user", a="user")]
    files = resolve(layers, {}, dialect)
    assert files.get("a").value == ("backend" if row.backend_file else "user")
    assert resolve(layers, {variable("a"): "env"}, dialect).get("a").value == "env"
    assert resolve(layers, {variable("a"): "env"}, dialect, context={"a": "context"}).get("a").value == "context"


def test_context_replaces_the_table():
    """A table in the context hides all secrets of the configuration."""
    resolution = resolve([layer("user", a="1x", b="2x")], {}, "1.4.1", context={"a": "c"})
    assert resolution.names == ["a"]
    assert resolution.get("b").error.message == 'Local Secret "b" was not found.'
    assert [slot.overridden for slot in resolve([], {}, "1.4.1", context={"new": 1}).slots("new")] == [[]]


def test_losers_are_kept():
    """A slot knows the values that it overrides, the latest first."""
    layers = [layer("backend", A="b"), layer("user", A="u")]
    (slot,) = resolve(layers, {variable("A"): "e"}, "1.4.1").slots("A")
    assert [slot.kind, *(loser.kind for loser in slot.overridden)] == ["env", "backend", "user"]


def test_a_table_overrides_a_value_once():
    """The first key of a table that replaces a value knows the value, and the other keys know nothing."""
    layers = [layer("backend", A={"b": 1, "c": 2}), layer("user", A="u")]
    first, second = resolve(layers, {}, "1.4.1").slots("A")
    assert [slot.value for slot in first.overridden] == ["u"]
    assert second.overridden == []


def test_dropped_values_are_kept():
    """Secrets of the file that a variable for the whole table drops are in `dropped`."""
    resolution = resolve([layer("user", T="t")], {"PREFECT__CONTEXT__SECRETS": "{'J': 'j'}"}, "1.4.1")
    assert resolution.names == ["J"]
    assert [slot.key[-1] for slot in resolution.dropped] == ["T"]


def test_nothing_shows_a_value():
    """No repr of a part of a resolution contains a value."""
    resolution = resolve([layer("user", A=SECRET, B={"k": [SECRET]})], {variable("C"): SECRET}, "1.4.1")
    parts = [resolution, resolution.config, resolution.secrets, resolution.get("A"), resolution.get("B")]
    parts += [*resolution.flat.values(), resolution.layers, resolution.get("B").value, resolution.get("B").value["k"]]
    assert repr(resolution.get("nope")).startswith("<Outcome <Failure ValueError")
    assert SECRET not in "".join(repr(part) + str(part) for part in parts)


def test_containers():
    """Tables and lists have the types that a flow gets, by dialect."""
    old, new = (resolve([layer("user", A=[{"a": 1}])], {}, version).get("A").value for version in ("0.6.5", "0.6.6"))
    assert [type_name(part) for part in (old, old[0], new, new[0])] == ["list", "dict", "BoxList", "Config"]
    assert isinstance(new, Items)
    assert isinstance(new[0], Table)


@pytest.mark.parametrize(
    ("version", "kind", "message"),
    [
        ("0.5.0", "AttributeError", "'int' object has no attribute 'get'"),
        ("0.5.5", "TypeError", "'int' object is not subscriptable"),
        ("1.4.1", "TypeError", "'int' object is not subscriptable"),
    ],
)
def test_secrets_that_are_no_table(version, kind, message):
    """If the table is a number, every `get` fails with the message of the release."""
    error = resolve([Layer("user", {"context": {"secrets": 5}})], {}, version).get("A").error
    assert (error.type, error.message) == (kind, message)


@pytest.mark.parametrize("version", ["0.5.5", "0.6.7", "0.10.7", "0.14.22", "1.4.1"])
def test_flags(version):
    """With ``use_local_secrets`` false, old releases ignore the context, and newer ones read it first."""
    resolution = resolve([layer("user", a="x")], {"PREFECT__CLOUD__USE_LOCAL_SECRETS": "false"}, version)
    old = not dialect_for(version).lookup.context_first
    assert resolution.get("a").kind == ("cloud" if old else "value")
    assert resolution.get("missing").kind == "cloud"
    assert repr(resolution.get("missing")) == "<Outcome cloud>"


def test_server_is_never_asked():
    """From 0.14.5 a backend that is not cloud gives the local error; earlier releases ask its API."""
    environ = {"PREFECT__CLOUD__USE_LOCAL_SECRETS": "false", "PREFECT__BACKEND": "server"}
    assert resolve([], environ, "0.14.4").get("A").kind == "cloud"
    assert resolve([], environ, "0.14.5").get("A").error.type == "ValueError"


def test_flag_in_the_context():
    """From 0.6.4 `get` uses the flag of ``[context.config]``."""
    layers = [Layer("user", {"context": {"config": {"cloud": {"use_local_secrets": False}}}})]
    assert resolve(layers, {}, "0.6.3").get("A").kind == "error"
    assert resolve(layers, {}, "0.6.4").get("A").kind == "cloud"


def test_while_building_a_flow():
    """From 0.5.2 `get` is an error while a flow is being built."""
    older, newer = (resolve([layer("user", a="x")], {}, version) for version in ("0.5.1", "0.5.2"))
    older.building = newer.building = True
    assert older.get("a").value == "x"
    assert "while building a Flow" in newer.get("a").error.message


def test_json_errors():
    """``json.loads`` can raise errors that Prefect does not catch."""
    layers = [layer("user", a="[" + "9" * 5000 + "]", b="[" * 100_000)]
    resolution = resolve(layers, {}, "0.10.7")
    assert resolution.get("a").error.type == "ValueError"
    assert resolution.get("b").error.type == "RecursionError"


def test_environ_order():
    """The order of the environment decides between a whole table and one secret."""
    whole, one = ("PREFECT__CONTEXT__SECRETS", "{'A': 'j', 'B': 'j'}"), (variable("A"), "e")
    first, last = (resolve([], dict(order), "1.4.1") for order in ((whole, one), (one, whole)))
    assert (first.get("A").value, last.get("A").value) == ("e", "j")


def test_circles_are_unsettled():
    """Circular references are marked, with the other possible value."""
    resolution = resolve(
        [layer("user", A="a${context.secrets.B}", B="b${context.secrets.A}", C="${context.secrets.D}")], {}, "1.4.1"
    )
    assert set(resolution.hash_order_dependent) == {("context", "secrets", "A"), ("context", "secrets", "B")}


def test_origin_of_a_file_value():
    """A value in a file has its line and column."""
    read = read_layer('[context.secrets]\n  A = "x"\n', place="config.toml")
    assert str(resolve([read], {}, "1.4.1").slots("A")[0].origin) == "config.toml:2:3"


def test_failing_layer():
    """A file that Prefect cannot read makes every `get` fail with that error."""
    resolution = resolve([read_layer("[a", place="f")], {}, "1.4.1")
    assert resolution.get("A").error is resolution.failure
    assert resolution.names == []
    assert "TomlDecodeError" in repr(resolution)


def test_machine():
    """Home directories, Python and python-box of `Machine` change the result."""
    machine = Machine("/pw", {"bob": "/bobs"}, (3, 7), "5.1.0")
    layers = [layer("user", A="~", B="~bob/x", C="set()")]
    resolution = resolve(layers, {}, "1.4.1", machine=machine)
    assert [resolution.get(name).value for name in "ABC"] == ["/pw", "/bobs/x", "set()"]
    assert resolve([layer("user", to_toon="x")], {}, "1.4.1", machine=machine).failure is None
    assert resolve([layer("user", to_toon="x")], {}, "1.4.1", machine=Machine(python=(3, 9))).failure is not None


@pytest.mark.slow
def test_linear():
    """Ten thousand secrets resolve, each with its own slots."""
    environ = {variable(f"N{number}"): f"t{number}x" for number in range(10_000)}
    resolution = resolve([], environ, "1.4.1")
    assert all(resolution.slots(name)[0].value == f"t{name[1:]}x" for name in resolution.names)


def test_a_name_of_too_many_parts():
    """Too many parts exceed Prefect's recursion limit but never the model's, even with little stack left."""
    environ = {variable("A__" * 20_000): "x"}
    assert resolve([], environ, "1.4.1").failure.type == "RecursionError"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        resolution = resolve([], {variable("A__" * 600): "x"}, "1.4.1")
    finally:
        sys.setrecursionlimit(limit)
    assert resolution.failure.type == "RecursionError"
