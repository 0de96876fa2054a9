"""Strategies for names, values, and texts of variables."""

# ruff: noqa: SIM905, RUF001  (words in a text are easier to read; odd characters are the point)
from __future__ import annotations

import json
from typing import Any, Collection, Dict, Sequence

from hypothesis import strategies as st

from pytest_flowsecrets.errors import UsageError

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
    check_choice("kinds", kinds, _NAMES)
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
    check_size("max_fragments", max_fragments, least=1)
    parts = [*_FRAGMENTS, " ", "\n", "\t", "\r\n", *(["\udce9"] if surrogates else [])]
    composed = st.lists(st.sampled_from(parts), max_size=max_fragments).map("".join)
    spelled = _LITERALS.map(repr) | _LITERALS.map(json.dumps) | _LITERALS.map(lambda value: repr(json.dumps(value)))
    return _TOKENS | composed | spelled.filter(lambda text: "\0" not in text)


def referred_texts() -> st.SearchStrategy[str]:
    """Generate texts of referenced variables, with at most one ``$``: ten rounds with two fill the memory."""
    return env_texts().filter(lambda text: text.count("$") <= 1)


def check_choice(argument: str, kinds: Sequence[str], known: Collection[str]) -> None:
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


def check_strategy(argument: str, strategy: Any) -> None:
    """Check that an argument is a strategy or None.

    Args:
        argument: the name of the argument.
        strategy: the value of the argument.

    Raises:
        UsageError: it is neither.
    """
    if strategy is not None and not isinstance(strategy, st.SearchStrategy):
        raise UsageError(f"{argument} must be a Hypothesis strategy of texts, not {strategy!r}")


def check_size(argument: str, size: int, *, least: int = 0) -> None:
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
