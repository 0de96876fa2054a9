"""Strategies for TOML keys and files, environments, and all layers together."""

# ruff: noqa: SIM905  (words in a text are easier to read than a list of literals)
from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Sequence

from hypothesis import strategies as st

from pytest_flowsecrets._strategies.texts import (
    check_choice,
    check_size,
    check_strategy,
    env_texts,
    referred_texts,
    secret_names,
)
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import SECRETS_PREFIX

_BARE = st.just("A") | st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
_INNER = st.text(st.sampled_from("aB1 .-$~#[]=é🔑"), max_size=6)
_QUOTED = _INNER.map('"{}"'.format) | st.sampled_from(['"a\\"b"', '"a\\nb"', '"\\u00e9"', '"a\\\\b"', '"tab\\there"'])
_LITERAL = _INNER.map("'{}'".format)
_METHOD = secret_names(kinds=("method",))
_KEYS: Dict[str, st.SearchStrategy[str]] = {
    "bare": _BARE,
    "quoted": _QUOTED | _LITERAL,
    "dotted": st.lists(_BARE | _QUOTED | _LITERAL, min_size=2, max_size=3).flatmap(
        lambda parts: st.sampled_from([".", " . ", ". "]).map(lambda dot: dot.join(parts))
    ),
    "empty": st.sampled_from(['""', "''"]),
    "unicode": st.text("éß🔑Ω", min_size=1, max_size=4).map('"{}"'.format),
    "whitespace": st.sampled_from(['" "', '" a"', '"a "', '"\\t"', "' '"]),
    "method": _METHOD | _METHOD.map('"{}"'.format),
}
_UNQUOTED = st.sampled_from(
    "0 7 -5 +5 1_000 0xFF 0o17 0b11 1.5 1e5 -0.0 inf nan true false 2020-01-02 2020-01-02T03:04:05 "
    "2020-01-02T03:04:05Z 03:04:05 [] {} [1,2] ['a',\"b\"] [[1],['a']] {a=1} {a='1',b={c=\"$HOME\"}} [{a='1'},{b=2}] "
    "['$HOME','true','1']".split()
)


class Written(NamedTuple):
    """The contents of all layers.

    Attributes:
        config_toml: the text of the user's file, or None.
        backend_toml: the text of the backend's file, or None.
        environ: the environment.
    """

    config_toml: Optional[str]
    backend_toml: Optional[str]
    environ: Dict[str, str]


def toml_keys(
    *, kinds: Sequence[str] = ("bare", "quoted", "dotted", "empty", "unicode", "whitespace", "method")
) -> st.SearchStrategy[str]:
    """Generate keys as they are written in TOML.

    Args:
        kinds: ``bare``, ``quoted`` (in either quotes, with escapes), ``dotted``, ``empty``, ``unicode``,
            ``whitespace``, ``method`` (attributes of Prefect's ``Config``).

    Raises:
        UsageError: there is no kind, or an unknown one.
    """
    check_choice("kinds", kinds, _KEYS)
    return st.one_of([_KEYS[kind] for kind in kinds])


def config_tomls(
    *, keys: Optional[st.SearchStrategy[str]] = None, table: str = "context.secrets", max_secrets: int = 4
) -> st.SearchStrategy[str]:
    """Generate configuration files with a table of secrets. Most of them are valid TOML; some contain a key twice.

    Args:
        keys: a strategy for keys as they are written in TOML.
        table: the name of the table, as it is written in the brackets.
        max_secrets: the maximum number of lines.

    Raises:
        UsageError: an argument is not valid.
    """
    check_size("max_secrets", max_secrets)
    check_strategy("keys", keys)
    _check_table(table)
    values = env_texts().map(toml_string) | _UNQUOTED
    pairs = st.lists(st.tuples(keys if keys is not None else toml_keys(), values), max_size=max_secrets)
    return pairs.map(lambda lines: f"[{table}]\n" + "".join(f"{key} = {value}\n" for key, value in lines))


def environments(
    *,
    names: Optional[st.SearchStrategy[str]] = None,
    texts: Optional[st.SearchStrategy[str]] = None,
    max_secrets: int = 4,
) -> st.SearchStrategy[Dict[str, str]]:
    """Generate environments with secrets, and with other variables to which texts may refer.

    Args:
        names: a strategy for the names of the secrets.
        texts: a strategy for their values.
        max_secrets: the maximum number of secrets.

    Raises:
        UsageError: an argument is not valid.
    """
    check_size("max_secrets", max_secrets)
    check_strategy("names", names)
    check_strategy("texts", texts)
    names = secret_names(kinds=("plain", "mixed", "dunder")) if names is None else names
    variables = st.builds("{}{}".format, _PREFIXES, names) | _WHOLE
    secrets = st.lists(
        st.tuples(variables.filter(_can_be_set), env_texts() if texts is None else texts), max_size=max_secrets
    )
    others = st.fixed_dictionaries({}, optional={"V": referred_texts(), "W": referred_texts(), "x": st.just("1")})
    return st.tuples(others, secrets, st.booleans()).map(_joined)


def layers(*, max_secrets: int = 3) -> st.SearchStrategy[Written]:
    """Generate all layers together, with the same names in several layers.

    Args:
        max_secrets: the maximum number of secrets in each layer.

    Raises:
        UsageError: an argument is not valid.
    """
    check_size("max_secrets", max_secrets)
    few = st.sampled_from(["A", "B", "a", "A.k", "a.k"])
    files = (
        st.none() | config_tomls(keys=few, max_secrets=max_secrets) | config_tomls(keys=few, table="context.secrets.A")
    )
    names = st.sampled_from(["A", "B", "a", "A__k", "A__K", "a__b"])
    return st.builds(Written, files, files, environments(names=names, max_secrets=max_secrets))


def toml_string(text: str) -> str:
    """Return a text as a basic TOML string on one line.

    Args:
        text: any text without lone surrogates.
    """
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(character) or _spelled(character) for character in text) + '"'


def _check_table(table: Any) -> None:
    import tomli

    try:
        named = isinstance(table, str) and "\n" not in table and bool(tomli.loads(f"[{table}]"))
    except tomli.TOMLDecodeError:
        named = False
    if not named:
        raise UsageError(f"table must be a valid name of a TOML table, as in its brackets, not {table!r}")


def _spelled(character: str) -> str:
    return character if character >= " " and character != "\x7f" else f"\\u{ord(character):04x}"


_USUAL = SECRETS_PREFIX
_PREFIXES = st.just(_USUAL) | st.sampled_from(
    ["PREFECT__context__secrets__", "PREFECT__CONTEXT__Secrets__", _USUAL[:-1]]
)
_WHOLE = st.just("PREFECT__CONTEXT__SECRETS")


def _can_be_set(variable: str) -> bool:
    return "=" not in variable and "\0" not in variable


def _joined(parts: Any) -> Dict[str, str]:
    others, secrets, secrets_first = parts
    return {**dict(secrets), **others} if secrets_first else {**others, **dict(secrets)}
