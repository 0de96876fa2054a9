"""The model agrees with the real Prefect's own loader on generated files and environments.

The loader runs in this process, with other ``os.environ`` and file contents, because a new process for each example
would take a second. ``test_fresh_process`` checks samples in a new process.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import pwd
import subprocess
import sys
from collections.abc import MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("prefect", reason="the model is compared with the real Prefect")

from hypothesis import example, given
from hypothesis import strategies as st

from pytest_flowsecrets import strategies as fs
from pytest_flowsecrets.resolution import toml_reader
from pytest_flowsecrets.resolution.dialects import dialect_for
from pytest_flowsecrets.resolution.layers import Layer, type_name
from pytest_flowsecrets.resolution.packaged_defaults import packaged_defaults
from pytest_flowsecrets.resolution.resolve import Machine, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer
from tests.resolution.conftest import pruned

HOME = "/home/someone"
REFERRED = fs.env_texts().filter(lambda text: text.count("$") <= 1)  # or ten rounds of expansion fill the memory
USERS = {entry.pw_name: entry.pw_dir for entry in pwd.getpwall()}
try:
    BOX = metadata.version("python-box")
except metadata.PackageNotFoundError:
    BOX = ""


def shape(value):
    """Return a value with its types at all levels; nan equals nan."""
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, MutableMapping)):
        entries = value if isinstance(value, dict) else vars(value)  # a key of a DotDict can hide its methods
        return kind(value), [(key, shape(item)) for key, item in entries.items()]
    if isinstance(value, (list, tuple)):
        return kind(value), [shape(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return "float", "nan"
    if isinstance(value, (dt.datetime, dt.time)):
        return kind(value), str(value)
    return kind(value), value


def kind(value):
    name = type_name(value)
    return "Config" if name == "DotDict" else name  # what Config is derived from up to 0.6.5


def names_in(secrets):
    return [name for name in secrets if isinstance(name, str)] if isinstance(secrets, MutableMapping) else []


def real_answer(real, user, backend, environ):
    try:
        with real.loaded(user, backend, environ) as context:
            table = vars(context).get("secrets")
            answers = {name: real_value(real, name) for name in [*names_in(table), "A", "a", "B", "missing"]}
            return {"secrets": shape(table), "get": answers}
    except Exception as error:  # noqa: BLE001
        return {"import": (type(error).__name__, str(error))}


def real_value(real, name):
    try:
        return shape(real.secrets.Secret(name).get())
    except Exception as error:  # noqa: BLE001
        return type(error).__name__, str(error)


@lru_cache(maxsize=1)
def defaults_of(dialect):
    return Layer("defaults", pruned(packaged_defaults(dialect)))


@contextmanager
def names_shown():
    """Read names as Prefect does, without masks for names that may contain a value."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(toml_reader, "mask_names", lambda data, text, standard: (data, {}))
        yield


def modeled(real, user, backend, environ):
    dialect = dialect_for(real.version)
    texts = {"user": user, "backend": backend}
    with names_shown():
        layers = [read_layer(text, kind, kind) for kind, text in texts.items() if text is not None]
    machine = Machine(HOME, USERS, sys.version_info[:2], BOX)
    return resolve([defaults_of(dialect), *layers], environ, dialect, machine=machine)


def model_answer(resolution, names):
    if resolution.failure is not None:
        return {"import": (resolution.failure.type, resolution.failure.message)}
    answers = {}
    for name in names:
        outcome = resolution.get(name)
        error = outcome.error
        answers[name] = (error.type, error.message) if error else shape(outcome.value)
    return {"secrets": shape(resolution.secrets), "get": answers}


def check(real, user, backend, environ):
    """Compare the results; return False if they cannot be compared."""
    environ = {"HOME": HOME, **environ}
    resolution = modeled(real, user, backend, environ)
    if resolution.hash_order_dependent or resolution.get("missing").kind == "cloud":
        return False  # depends on PYTHONHASHSEED; or the real one would ask its backend
    expected = real_answer(real, user, backend, environ)
    assert model_answer(resolution, expected.get("get", ())) == expected
    return True


def variable(name="A"):
    return f"PREFECT__CONTEXT__SECRETS__{name}"


@given(text=fs.env_texts(surrogates=True), others=st.fixed_dictionaries({}, optional={"V": REFERRED, "W": REFERRED}))
def test_env_text(real, text, others):
    """The model converts the value of a variable to the real Prefect's value or error."""
    check(real, None, None, {**others, variable(): text})


@pytest.mark.slow
@given(
    environ=fs.environments(
        texts=st.sampled_from(["v", "7", "{'A': 1}", '{"B": {"k": "v"}}', "abc", "[1]", "(1,)", ""])
    )
)
@example({"PREFECT__CONTEXT__SECRETS": "[1]", variable(): "1"})
@example({"PREFECT__CONTEXT": "[('secrets', {'A': 'x'})]"})
@example({"PREFECT__CONTEXT": "[1]"})
@example({"PREFECT__CONTEXT": ""})
@example({"PREFECT__CONTEXT__CONFIG": "abc"})
def test_env_names_and_order(real, environ):
    """Names and order of variables give the same tables, including whole tables and nested keys."""
    check(real, None, None, environ)


@given(text=fs.config_tomls())
def test_toml(real, text):
    """TOML keys and values give the results of the real parser and loader."""
    check(real, text, None, {})


@given(written=fs.layers())
def test_layers(real, written):
    """The user's file, the backend's file and the environment are combined in the same way."""
    check(real, *written)


@given(
    written=fs.layers(),
    flag=st.sampled_from(["true", "0", "no", "1", '"x"']),
    where=st.sampled_from(["env", "toml", "context"]),
)
def test_flags(real, written, flag, where):
    """A ``use_local_secrets`` that is neither true nor false has the same effect."""
    user, environ = written.config_toml or "", dict(written.environ)
    if where == "env":
        environ["PREFECT__CLOUD__USE_LOCAL_SECRETS"] = flag
    else:
        table = "[cloud]" if where == "toml" else "[context.config.cloud]"
        user += f"{table}\nuse_local_secrets = {fs.toml_string(flag) if flag[0] != '0' else 0}\n"
    check(real, user, written.backend_toml, environ)


LINES = st.sampled_from(
    [
        "context = 'x'",
        "context = 5",
        "context = []",
        "context = ''",
        "[context]\nsecrets = 'x'",
        "[context]\nsecrets = 5",
        "[context]\nsecrets = ['a']",
        "[context]\nsecrets = 2020-01-02",
        '[context]\nsecrets = \'{"A": "007"}\'',
        "[context]\nkeys = 'x'",
        "[context]\nmro = 'x'",
        "[context]\nget = 'x'",
        "[context]\nconfig = 'x'",
        "[context]\nFoo = 'x'",
        "[Context.secrets]\nA = 'x'",
        "[context.Secrets]\nA = 'x'",
        "[CONTEXT]\nsecrets = {A = 'x'}",
        "[Foo]\nBar = 'x'",
        "[context.secrets]\n",
        "[context.secrets.A]\n",
        "[context.secrets]\nA = {}",
        "[context.secrets.A]\nitems = 1",
        "[context.secrets]\nsetdefault = 'x'",
        "[context.secrets.A]\nsetdefault = 5\nk = {x = 1}",
        "items = 1",
        "[foo]\nitems = 1",
        "[context.config.cloud]\nuse_local_secrets = true",
        "[[context.secrets]]\nA = 'x'",
        "[[context.secrets.A]]\nk = '1'",
        "[context.secrets]\n_box_config = 'x'\n__class__ = 'y'",
        "[context.secrets]\n_box_config = 'x'",
        "é = 'x'",
        "setdefault = 'x'",
        "setdefault_nested = 'x'",
        "tasks = 'x'",
        "[tasks]\nsetdefault = 1",
        "[tasks]\ndefaults = []",
        "[tasks.defaults]\nsetdefault = 'x'",
        "[tasks.defaults]\nget = 'x'",
        "[tasks.defaults]\nretry_delay = 7\ntimeout = 9",
        "[tasks.defaults]\nretry_delay = 86400000000000",
        "[tasks.defaults]\ntimeout = 100000000000000000000000",
    ]
)
WHOLE = st.sampled_from(
    [
        "v",
        "7",
        "",
        "[]",
        "[1]",
        "['A']",
        "(1, 2)",
        "None",
        "true",
        "{}",
        "{'A': 1}",
        "{'A': {'k': 1}}",
        '{"A": "x", "B": {"k": "$HOME"}}',
        "{'secrets': {'A': 'c'}}",
        "{'secrets': 'x'}",
        "[('secrets', {'A': 'x'})]",
        "['ab']",
        "{1: 2}",
        "{'config': 1}",
        "{'items': 1}",
        "{'A': [{'items': 1}]}",
        "{'A': ({'k': 1},)}",
        "{'a': {'B': {'C': '5'}}}",
        "b'x'",
        "set()",
        "1j",
        "...",
        "the defaults",
        "{'defaults': 1}",
        "{'defaults': {'timeout': 86400000000000}}",
        "86400000000000",
    ]
)
VARIABLES = st.sampled_from(
    [
        "PREFECT__CONTEXT",
        "PREFECT__context",
        "PREFECT__CONTEXT__SECRETS",
        "PREFECT__context__secrets",
        "PREFECT__",
        "PREFECT__A",
        *map(
            variable, ("A", "a", "A__k", "A__K", "A__k__j", "a__B__C", "items", "ITEMS", "setdefault", "get", "", "__")
        ),
        "PREFECT__CONTEXT__CONFIG",
        "PREFECT__CONTEXT__CONFIG__CLOUD",
        "PREFECT__CONTEXT__FLOW",
        "PREFECT__FOO__ITEMS",
        "PREFECT__TASKS",
        "PREFECT__TASKS__DEFAULTS",
        "PREFECT__TASKS__DEFAULTS__RETRY_DELAY",
        "PREFECT__TASKS__DEFAULTS__TIMEOUT",
        "PREFECT__TASKS__DEFAULTS__GET",
        "PREFECT__Foo",
    ]
)


@given(
    user=st.none() | LINES,
    backend=st.none() | LINES,
    environ=st.lists(st.tuples(VARIABLES, WHOLE), max_size=4, unique_by=lambda pair: pair[0]).map(dict),
)
def test_shapes(real, user, backend, environ):
    """Tables in the place of values, values in the place of tables, and reserved names give the same results."""
    check(real, user, backend, environ)


CASES = json.loads(Path(__file__).with_name("cases").joinpath("resolution.json").read_text("utf-8"))
RECORDED_FILES = [case[part] for case in CASES for part in ("toml", "backend_toml", "home_toml") if case.get(part)]
RECORDED = [pair for case in CASES for pair in case["env"] if "CONFIG_PATH" not in pair[0]]
RECORDED_TEXTS = st.sampled_from([text for _, text in RECORDED if text.count("$") <= 1])
# A recorded text as it is, in another's place, or with something put into it.
VARIED = RECORDED_TEXTS | st.builds(
    "{}{}{}".format, RECORDED_TEXTS, st.sampled_from(["'", '"', "\\", " ", "0", "]", "}"]), RECORDED_TEXTS
)


@st.composite
def varied_files(draw):
    """Return two recorded files, one truncated and continued with lines of the other."""
    one, other = draw(st.sampled_from(RECORDED_FILES)).split("\n"), draw(st.sampled_from(RECORDED_FILES)).split("\n")
    return "\n".join(one[: draw(st.integers(0, len(one)))] + other[draw(st.integers(0, len(other))) :])


@pytest.mark.slow
@given(
    user=st.none() | varied_files(),
    backend=st.none() | varied_files(),
    environ=st.lists(st.tuples(st.sampled_from([name for name, _ in RECORDED]), VARIED), max_size=4).map(dict),
)
def test_varied_cases(real, user, backend, environ):
    """New combinations of the recorded files, names and texts give the same results."""
    check(real, user, backend, environ)


SPOTS = [
    {variable(): "1e5"},
    {variable(): "$V", "V": "$W", "W": "42"},
    {variable("items"): "x"},
    {variable(): '"007"', "PREFECT__CONTEXT__SECRETS": "{'B': 1}"},
]


@pytest.mark.slow
@pytest.mark.parametrize("environ", SPOTS, ids=str)
def test_fresh_process(real, environ, tmp_path):
    """A new process gives the same result as the loader in this process."""
    code = (
        "import json\n"
        "try:\n    import prefect\n"
        "except Exception as error:\n    print(json.dumps([type(error).__name__, str(error)]))\n"
        "else:\n"
        "    from prefect.client.secrets import Secret\n"
        "    table = prefect.context.get('secrets', {})\n"
        "    names = [] if isinstance(table, str) else list(table)\n"
        "    print(json.dumps({name: repr(Secret(name).get()) for name in names}))\n"
    )
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **environ}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    resolution = modeled(real, None, None, environ)
    fresh = json.loads(done.stdout.splitlines()[-1])
    if resolution.failure is not None:
        assert fresh == [resolution.failure.type, resolution.failure.message]
    else:
        assert fresh == {name: repr(resolution.get(name).value) for name in resolution.names}
