"""Find the values in a broken TOML text line by line, so that reports can mask them."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

from pytest_flowsecrets.leaks.registry import TOKENS, register
from pytest_flowsecrets.resolution.masked_names import always_names

_HEADER = re.compile(r"\s*\[[^\]=]*\]?\]?\s*(?:#.*)?$")
_COMMENT = re.compile(r"\s+#.*$")
_QUOTES = " \t,\"'"


def register_raw_values(text: str) -> None:
    """Register the secrets in a broken text, so that reports that show the text mask them.

    Args:
        text: the text of a configuration file that Prefect or TOML 1.0 cannot read.
    """
    for name, value in raw_values(text):
        register(name, value)


def raw_values(text: str) -> Iterator[Tuple[str, str]]:
    """Find texts that look like the value of a secret: the text after the first ``=``, with and without its quotes.

    A line is searched if its table or its key concerns secrets, or if it is at the top level and its key is not a
    setting of Prefect.

    Args:
        text: the text of a configuration file.

    Yields:
        The key, or ``config.toml`` for a line without one, and a value.
    """
    header = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _HEADER.fullmatch(line):
            header = line.lower()
        else:
            yield from _values_on(line, header)


def _values_on(line: str, header: str) -> Iterator[Tuple[str, str]]:
    """Find values on a line below the header of a table, in lower case, or an empty text at the top level."""
    key, equals, value = line.partition("=")
    name = key.strip().strip("\"'")
    if not _may_be_secret(name, header):
        return
    has_key = bool(equals) and name.isidentifier()
    texts = [value] if has_key else [line, *key.split()[1:], value]
    for text in texts:
        yield from ((name if has_key else "config.toml", each) for each in _with_and_without_quotes(text))


def _may_be_secret(name: str, header: str) -> bool:
    is_unknown = not header and name not in always_names()
    return "secrets" in header + name.lower() or name in TOKENS or is_unknown


def _with_and_without_quotes(text: str) -> Tuple[str, str]:
    return text.strip(), _COMMENT.sub("", text).strip(_QUOTES)
