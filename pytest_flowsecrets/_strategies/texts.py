"""Names, values, and texts as they stand in variables."""

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
# What a text can be made of so that Prefect does something to it.
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
# The plainest comes first and takes no choice: failures shrink to it.
_TOKENS = st.just("a") | st.from_regex(r"[A-Za-z0-9_\-./+=]{1,40}", fullmatch=True)


def secret_names(*, kinds: Sequence[str] = ("plain", "mixed", "odd", "dunder", "method")) -> st.SearchStrategy[str]:
    """Names of secrets, from the usual to those that break something.

    Args:
        kinds: some of ``plain`` (``MY_TOKEN``), ``mixed`` (any case, digits), ``odd`` (spaces, dots, quotes,
            beyond ASCII, empty), ``dunder`` (holding ``__``), ``method`` (attributes of Prefect's ``Config``).

    Raises:
        UsageError: no kind, or an unknown one.
    """
    check_choice("kinds", kinds, _NAMES)
    return st.one_of([_NAMES[kind] for kind in kinds])


def secret_values() -> st.SearchStrategy[Any]:
    """Values that a flow may want: tokens, numbers, and what JSON can say."""
    return _TOKENS | _LITERALS | env_texts()


def env_texts(*, max_fragments: int = 8, surrogates: bool = False) -> st.SearchStrategy[str]:
    """Texts as people put them into variables, which Prefect expands, decodes and types.

    Args:
        max_fragments: how many parts a composed text has at most.
        surrogates: also give bytes that are no UTF-8, as Python shows them (``surrogateescape``).

    Raises:
        UsageError: fewer than one fragment.
    """
    check_size("max_fragments", max_fragments, least=1)
    parts = [*_FRAGMENTS, " ", "\n", "\t", "\r\n", *(["\udce9"] if surrogates else [])]
    composed = st.lists(st.sampled_from(parts), max_size=max_fragments).map("".join)
    spelled = _LITERALS.map(repr) | _LITERALS.map(json.dumps) | _LITERALS.map(lambda value: repr(json.dumps(value)))
    return _TOKENS | composed | spelled.filter(lambda text: "\0" not in text)


def referred_texts() -> st.SearchStrategy[str]:
    """Texts for variables that others refer to: two references each, and ten rounds of expansion fill the memory."""
    return env_texts().filter(lambda text: text.count("$") <= 1)


def check_choice(argument: str, given: Sequence[str], known: Collection[str]) -> None:
    """Refuse an empty or unknown choice.

    Args:
        argument: name of the argument.
        given: what was chosen.
        known: what can be chosen.

    Raises:
        UsageError: nothing, or something unknown, was chosen.
    """
    if not isinstance(given, (list, tuple, set, frozenset)) or not given or any(kind not in [*known] for kind in given):
        raise UsageError(f"{argument} must be a sequence of some of: {', '.join(known)}")


def check_strategy(argument: str, given: Any) -> None:
    """Refuse what is no strategy.

    Args:
        argument: name of the argument.
        given: a strategy, or None.

    Raises:
        UsageError: it is neither.
    """
    if given is not None and not isinstance(given, st.SearchStrategy):
        raise UsageError(f"{argument} must be a Hypothesis strategy of texts, not {given!r}")


def check_size(argument: str, given: int, *, least: int = 0) -> None:
    """Refuse a size that makes no sense.

    Args:
        argument: name of the argument.
        given: the size.
        least: the smallest one that makes sense.

    Raises:
        UsageError: no int, or too small.
    """
    if not isinstance(given, int) or isinstance(given, bool) or given < least:
        raise UsageError(f"{argument} must be an int of at least {least}, not {given!r}")
