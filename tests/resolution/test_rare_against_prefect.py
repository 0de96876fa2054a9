"""The model agrees with the real Prefect on rare inputs: surrogates, NUL, brackets, literals, sections, paths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("prefect", reason="the model is compared with the real Prefect")

from hypothesis import assume, example, given
from hypothesis import strategies as st

from pytest_flowsecrets.isolation.prefect1.paths import config_files, config_path
from pytest_flowsecrets.resolution.dialects import dialect_for
from pytest_flowsecrets.resolution.packaged_defaults import packaged_defaults
from tests.resolution.conftest import Environ, exchanged
from tests.resolution.test_against_prefect import check, variable

ODD = ["\ud800", "\udfff", "\udce9", "\0"]
PARTS = st.sampled_from([*ODD, "~", "${", "}", "$V", "$HOME", "/", "7", "x", "'", '"', "[", "]", "#", "\\", " ", "\n"])
ODD_TEXTS = st.lists(PARTS | st.sampled_from(ODD), max_size=6).map("".join)
ESCAPES = st.sampled_from(["\\ud800", "\\udce9", "\\0", "\\x00", "\\u0000", "\\U0000dfff", "\udce9"])
ESCAPED_TEXTS = st.lists(ESCAPES | PARTS.filter(lambda part: part not in ODD), max_size=6).map("".join)


def escaped(text):
    """Return a text as a TOML string of escapes, including lone surrogates."""
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'


def secret(toml_value):
    return f"[context.secrets]\nA = {toml_value}\n"


@pytest.mark.slow
@given(text=ODD_TEXTS)
@example("~\ud800")
@example("${\ud800}")
@example("~\ud800\0")
@example("~\udce9")
@example("7\0")
@example("true\0")
@example("~\0")
def test_odd_characters_in_a_file(real, text):
    """Expansion of lone surrogates and NUL in a file fails exactly where Prefect fails."""
    check(real, secret(escaped(text)), None, {"V": "7"})


@pytest.mark.slow
@given(text=ESCAPED_TEXTS)
@example("~\\ud800")
@example("${\\ud800}")
@example("7\\0")
@example("${\udce9}")
def test_odd_characters_in_a_variable(real, text):
    """Backslash escapes of such characters, decoded up to 0.13.14, give the same results."""
    check(real, None, None, {"V": "7", variable(): text})


KEYS = st.sampled_from([1, 1.5, None, True, b"k", (1,), "use_local_secrets", "secrets", "config", "cloud", "A", "api"])
VALUES = st.sampled_from(
    [1, True, False, "x", None, b"\xff", (1, 2), [], {}, {1: 2}, {"A": "7"}, {"use_local_secrets": True}]
)
SECTIONS = st.sampled_from(
    [
        "PREFECT__CLOUD",
        "PREFECT__CLOUD__API",
        "PREFECT__CLOUD__USE_LOCAL_SECRETS",
        "PREFECT__BACKEND",
        "PREFECT__SERVER",
        "PREFECT__TASKS",
        "PREFECT__TASKS__DEFAULTS",
        "PREFECT__CONTEXT",
        "PREFECT__CONTEXT__SECRETS",
        "PREFECT__CONTEXT__CONFIG",
        "PREFECT__CONTEXT__CONFIG__CLOUD",
        variable(),
    ]
)


@pytest.mark.slow
@given(environ=st.dictionaries(SECTIONS, st.dictionaries(KEYS, VALUES, max_size=2).map(repr), max_size=3))
@example({"PREFECT__CLOUD": "{1: 2}"})
@example({"PREFECT__CLOUD": "{}", variable(): "x"})
@example({"PREFECT__CLOUD": "{}", "PREFECT__CONTEXT__CONFIG__CLOUD": "{'use_local_secrets': True}"})
@example({"PREFECT__CLOUD": "5", "PREFECT__CONTEXT__CONFIG__CLOUD": "{1: 2}"})
def test_whole_sections(real, environ):
    """A table that replaces a section, with unusual keys or without necessary ones, gives the same result."""
    check(real, None, None, environ)


LITERALS = st.recursive(
    st.sampled_from(
        [b"\xff", b"7", b"", b"\xff\xfe7\0", b'{"a": 1}', (), 1j, ..., None, True, "7", "b'x'", "$HOME", "é"]
    ),
    lambda inner: st.tuples(inner, inner) | st.lists(inner, max_size=2) | st.dictionaries(st.just("k"), inner),
    max_leaves=4,
)


@pytest.mark.slow
@given(value=LITERALS, by_file=st.booleans())
@example((1, 2), False)
@example(b"\xff", False)
@example(b"\xff", True)
def test_python_literals(real, value, by_file):
    """Tuples, bytes and other values that only a Python literal can write give the same results."""
    if by_file:
        check(real, secret(escaped(repr(value))), None, {})
    else:
        check(real, None, None, {variable(): repr(value)})


BRACKETS = st.builds(
    lambda pair, opened, closed: pair[0] * opened + pair[1] * closed,
    st.sampled_from(["[]", "{}", "()", ("[{'a': ", "}]"), ("a.", "")]),
    st.sampled_from([60, 150, 201, 260]),
    st.sampled_from([0, 60, 150, 260]),
)
WRITTEN = st.sampled_from(
    [
        "A = '''{}'''",
        "A = '''it's\n{}'''",
        'A = """{}"""',
        'A = """say "" \\""" \\\n{}"""',
        'A = "{}"',
        'A = "\\"{}"',
        "A = 'x,{}'",
        "# don't {}\nA = 'x'",
        "A = 'x' # {}",
        "A = \"'''it's {}'''\"",
        "A = '''\n{}'''\nB = '''\n{}'''",
    ]
)


@pytest.mark.slow
@given(brackets=BRACKETS, written=WRITTEN)
@example("[" * 250, "A = '''{}'''")
@example("[" * 150 + "]" * 150, "A = \"'''it's {}'''\"")
@example("a." * 250, "A = '''\n{}'''")
def test_many_brackets_in_strings(real, brackets, written):
    """Brackets and dots in strings and comments of a file do not count as nesting."""
    check(real, "[context.secrets]\n" + written.replace("{}", brackets) + "\n", None, {})


@pytest.mark.slow
@given(brackets=BRACKETS, quotes=st.sampled_from(["'''it's {}'''", '"""a"b {}"""', "['''it's {}''']", "'{}'", "{}"]))
def test_many_brackets_in_literals(real, brackets, quotes):
    """The parser up to Python 3.8 rejects deeply nested brackets, except in strings."""
    check(real, None, None, {variable(): quotes.replace("{}", brackets)})


PATH_PARTS = st.sampled_from(["$A", "$B", "${C}", "$NONE", "~", "/", "/x", "'", "u.toml", "7", ""])
PATHS = st.lists(PATH_PARTS, max_size=3).map("".join)


@given(text=PATHS, environ=st.fixed_dictionaries({}, optional={"A": PATHS, "B": PATHS, "C": PATHS}))
@example("$C/u.toml", {"C": "$B", "B": "/x"})
@example("$A", {"A": "$B", "B": "'/x'"})
def test_paths_of_config_files(real, text, environ):
    """The path of a config file is expanded as often as in the real Prefect."""
    assume(sum(value.count("$") for value in environ.values()) <= 3)  # or ten rounds fill the memory
    environ = {"HOME": "/home/someone", **environ}
    with exchanged((os, "environ", Environ(environ))):
        path = real.configuration.interpolate_env_vars(text)
        assert config_path(text, os.environ, real.version) == (path if isinstance(path, str) else None)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "folder"), [("$C/u.toml", "$B"), ("$C", "$B/$D"), ("${C}u.toml", "$B/")])
def test_path_through_variables(tmp_path, text, folder):
    """A path through three variables names the file that a new Prefect process reads."""
    (tmp_path / "u.toml").write_text('[context.secrets]\nA = "seen"\n')
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "B": "$E", "E": str(tmp_path), "D": "u.toml"}
    environ.update({"C": folder, "PREFECT__USER_CONFIG_PATH": text})
    code = "import prefect; print(dict(prefect.context.secrets))"
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert "seen" in done.stdout
    assert dict(config_files(environ)) == {"user": str(tmp_path / "u.toml")}


def test_packaged_defaults(real):
    """The packaged defaults of this release agree with its own file."""
    text = Path(real.default).read_text("utf-8")
    assert packaged_defaults(dialect_for(real.version)) == real.loads(text)
