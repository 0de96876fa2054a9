"""Hypothesis strategies for the names, values and files from which Prefect reads secrets.

They need the extra ``strategies``. A strategy checks its arguments when you build it, not when it draws an example.

Example:
    >>> from hypothesis import given
    >>> from pytest_flowsecrets.strategies import env_texts
    >>> @given(text=env_texts())
    ... def test_my_parser(text): ...
"""

# ruff: noqa: SIM905, RUF001  (words in a text are easier to read; odd characters are the point)
from __future__ import annotations

import json
from typing import Any, Collection, Dict, NamedTuple, Optional, Sequence

from hypothesis import strategies as st

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import SECRETS_PREFIX

__all__ = [
    "Written",
    "config_tomls",
    "env_texts",
    "environments",
    "layers",
    "secret_names",
    "secret_values",
    "toml_keys",
    "toml_string",
]

# -- arguments ---------------------------------------------------------------------------------------------------------


def _check_choice(argument: str, kinds: Sequence[str], known: Collection[str]) -> None:
    """Check that a choice is neither empty nor unknown.

    Args:
        argument: the name of the argument.
        kinds: the chosen kinds.
        known: the available kinds.

    Raises:
        UsageError: there is no kind, or an unknown one.
    """
    if not isinstance(kinds, (list, tuple, set, frozenset)) or not kinds or any(kind not in [*known] for kind in kinds):
        raise UsageError(f"{argument} must be a sequence of some of: {', '.join(known)}")


def _check_strategy(argument: str, strategy: Any) -> None:
    """Check that an argument is a strategy or None.

    Args:
        argument: the name of the argument.
        strategy: the value of the argument.

    Raises:
        UsageError: it is neither.
    """
    if strategy is not None and not isinstance(strategy, st.SearchStrategy):
        raise UsageError(f"{argument} must be a Hypothesis strategy of texts, not {strategy!r}")


def _check_size(argument: str, size: int, *, least: int = 0) -> None:
    """Check that an argument is a valid size.

    Args:
        argument: the name of the argument.
        size: the value of the argument.
        least: the smallest valid size.

    Raises:
        UsageError: it is not an int, or too small.
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < least:
        raise UsageError(f"{argument} must be an int of at least {least}, not {size!r}")


# -- names, values and texts of variables ------------------------------------------------------------------------------

_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
_METHODS = (
    "items keys values get copy clear pop popitem update setdefault fromkeys to_dict to_json to_yaml from_json "
    "merge_update __class__ __doc__ __len__ _box_config box_it_up get_nested setdefault_nested"
).split()
_NAMES: Dict[str, st.SearchStrategy[str]] = {
    "plain": st.just("A")
    | st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=12).filter(lambda name: "__" not in name),
    "mixed": st.text(_WORD, min_size=1, max_size=12),
    "odd": st.text(st.sampled_from("aB1 .-$~#'\"[]=\\é🔑ß\u0131\n\t/${}"), max_size=8),
    "dunder": st.sampled_from(["A__B", "__A", "A__", "_A", "__", "A____B", "CONTEXT__SECRETS", "x_CONTEXT__SECRETS"]),
    "method": st.sampled_from(_METHODS),
}
# Parts of texts that Prefect changes.
_FRAGMENTS = (
    "0 1 7 00 12 1e5 E 0x1F 0b1 0o7 1_000 . + - j true True TRUE false None null NULL nan NaN inf Infinity -inf ' \" "
    "''' \"\"\" \\ \\\\ \\n \\t \\x41 \\u00e9 \\N \\' { } [ ] ( ) , : = # $ $$ $HOME ${HOME} $V ${V} $W $5 ${} ${x} "
    "${context.secrets.A} ${context.secrets.B} ${cloud.api} ${cloud.heartbeat_interval} ${debug} ${ % ~ ~/ ~root "
    "~nobody9/x / b' u' r' set() ... a Z pa ss é ß ١ １ 🔑 \u00a0 \u2028 & | @ ! lambda not 1or"
).split(" ")
_LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10**6) | st.floats() | st.text("aé\"'\\$~{} 1", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "items"]), inner, max_size=3)
    ),
    max_leaves=5,
)
# The simplest text is first and needs no choice, so failures shrink to it.
_TOKENS = st.just("a") | st.from_regex(r"[A-Za-z0-9_\-./+=]{1,40}", fullmatch=True)


def secret_names(*, kinds: Sequence[str] = ("plain", "mixed", "odd", "dunder", "method")) -> st.SearchStrategy[str]:
    """Generate names of secrets, from common ones to those that break Prefect.

    Args:
        kinds: some of ``plain`` (``MY_TOKEN``), ``mixed`` (any case, digits), ``odd`` (spaces, dots, quotes,
            non-ASCII, empty), ``dunder`` (with ``__``), ``method`` (attributes of Prefect's ``Config``).

    Raises:
        UsageError: no kind, or an unknown one.
    """
    _check_choice("kinds", kinds, _NAMES)
    return st.one_of([_NAMES[kind] for kind in kinds])


def secret_values() -> st.SearchStrategy[Any]:
    """Generate values of secrets: tokens, numbers and JSON data."""
    return _TOKENS | _LITERALS | env_texts()


def env_texts(*, max_fragments: int = 8, surrogates: bool = False) -> st.SearchStrategy[str]:
    """Generate texts of variables, which Prefect expands, decodes and types.

    Args:
        max_fragments: the maximum number of parts of a composed text.
        surrogates: include bytes that are not UTF-8, as surrogates (``surrogateescape``).

    Raises:
        UsageError: the maximum is less than one.
    """
    _check_size("max_fragments", max_fragments, least=1)
    parts = [*_FRAGMENTS, " ", "\n", "\t", "\r\n", *(["\udce9"] if surrogates else [])]
    composed = st.lists(st.sampled_from(parts), max_size=max_fragments).map("".join)
    spelled = _LITERALS.map(repr) | _LITERALS.map(json.dumps) | _LITERALS.map(lambda value: repr(json.dumps(value)))
    return _TOKENS | composed | spelled.filter(lambda text: "\0" not in text)


def _referred_texts() -> st.SearchStrategy[str]:
    """Generate texts of referenced variables, with at most one ``$``: ten rounds with two fill the memory."""
    return env_texts().filter(lambda text: text.count("$") <= 1)


# -- files and environments --------------------------------------------------------------------------------------------

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
    _check_choice("kinds", kinds, _KEYS)
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
    _check_size("max_secrets", max_secrets)
    _check_strategy("keys", keys)
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
    _check_size("max_secrets", max_secrets)
    _check_strategy("names", names)
    _check_strategy("texts", texts)
    names = secret_names(kinds=("plain", "mixed", "dunder")) if names is None else names
    variables = st.builds("{}{}".format, _PREFIXES, names) | _WHOLE
    secrets = st.lists(
        st.tuples(variables.filter(_can_be_set), env_texts() if texts is None else texts), max_size=max_secrets
    )
    others = st.fixed_dictionaries({}, optional={"V": _referred_texts(), "W": _referred_texts(), "x": st.just("1")})
    return st.tuples(others, secrets, st.booleans()).map(_joined)


def layers(*, max_secrets: int = 3) -> st.SearchStrategy[Written]:
    """Generate all layers together, with the same names in several layers.

    Args:
        max_secrets: the maximum number of secrets in each layer.

    Raises:
        UsageError: an argument is not valid.
    """
    _check_size("max_secrets", max_secrets)
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
