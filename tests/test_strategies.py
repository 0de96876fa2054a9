"""The strategies generate what they promise, and reject bad arguments when they are built."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

import tomli
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from pytest_flowsecrets import strategies as fs
from pytest_flowsecrets.errors import UsageError

settings.register_profile("quick", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
QUICK = settings.get_profile("quick")


@pytest.mark.parametrize(
    "build",
    [
        lambda: fs.secret_names(kinds=()),
        lambda: fs.secret_names(kinds="plain"),
        lambda: fs.secret_names(kinds=("plain", "nonsense")),
        lambda: fs.toml_keys(kinds=("nonsense",)),
        lambda: fs.env_texts(max_fragments=0),
        lambda: fs.env_texts(max_fragments="3"),
        lambda: fs.config_tomls(max_secrets=-1),
        lambda: fs.environments(max_secrets=True),
        lambda: fs.layers(max_secrets=None),
        lambda: fs.secret_names(kinds=None),
        lambda: fs.secret_names(kinds=[[]]),
        lambda: fs.toml_keys(kinds=iter(["bare"])),
        lambda: fs.config_tomls(keys="A"),
        lambda: fs.config_tomls(table=5),
        lambda: fs.config_tomls(table=""),
        lambda: fs.config_tomls(table="a]\n[b"),
        lambda: fs.environments(names=["A"]),
        lambda: fs.environments(texts=5),
    ],
)
def test_bad_arguments(build):
    """Bad arguments are rejected at once, not at the first example."""
    with pytest.raises(UsageError, match="must be"):
        build()


@given(name=fs.secret_names(kinds=("plain",)))
@QUICK
def test_plain_names(name):
    """A variable can set every plain name."""
    assert name == name.upper()
    assert "__" not in name


@given(text=fs.env_texts())
@QUICK
def test_env_texts(text):
    """A variable can hold every text."""
    assert "\0" not in text
    text.encode()


@given(
    key=fs.toml_keys(), kind=st.sampled_from(["bare", "quoted", "dotted", "empty", "unicode", "whitespace", "method"])
)
@QUICK
def test_toml_keys(key, kind):
    """Each key is valid TOML."""
    assert tomli.loads(f"{key} = 1")


@given(text=fs.env_texts())
@QUICK
def test_toml_string(text):
    """A TOML string is read back as the same text."""
    assert tomli.loads("a = " + fs.toml_string(text))["a"] == text


@pytest.mark.slow
@given(
    text=fs.config_tomls(keys=st.just("A"), max_secrets=1),
    environ=fs.environments(),
    value=fs.secret_values(),
    written=fs.layers(),
)
@QUICK
def test_the_rest(text, environ, value, written):
    """Files are TOML, and environments contain only text that an environment can hold."""
    tomli.loads(text)
    for name, content in [*environ.items(), *written.environ.items()]:
        assert "=" not in name
        assert "\0" not in name + content
    assert isinstance(written, fs.Written)


def test_shrinking():
    """A failure shrinks to a readable example."""
    smallest = find(
        fs.env_texts(), lambda text: "$" in text, settings=settings(QUICK, max_examples=2_000, database=None)
    )
    assert len(smallest) <= len("$HOME")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "holds", "smallest"),
    [
        (fs.env_texts(), str, "a"),
        (fs.secret_names(), str, "A"),
        (fs.toml_keys(), str, "A"),
        (fs.config_tomls(), lambda text: "=" in text, '[context.secrets]\nA = "a"\n'),
        (
            fs.environments(),
            lambda environ: any("A" in name for name in environ),
            {"PREFECT__CONTEXT__SECRETS__A": "a"},
        ),
    ],
)
def test_the_smallest_is_the_plainest(strategy, holds, smallest):
    """Irrelevant parts of a shrunk example are plain: no unusual key, no word with a meaning."""
    quiet = settings(QUICK, max_examples=500, database=None, suppress_health_check=list(HealthCheck))
    assert find(strategy, holds, settings=quiet) == smallest
