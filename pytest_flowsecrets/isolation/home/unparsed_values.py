"""The values in a TOML text that no parser reads, found line by line, so that reports can mask them."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

from pytest_flowsecrets.leaks.registry import TOKENS, register
from pytest_flowsecrets.resolution.masked_names import always_names

_HEADER = re.compile(r"\s*\[[^\]=]*\]?\]?\s*(?:#.*)?$")
_COMMENT = re.compile(r"\s+#.*$")
_QUOTES = " \t,\"'"


def register_raw_values(text: str) -> None:
    """Make the secrets in a broken text known, so that a report that shows the text masks them.

    Args:
        text: a configuration file's text, which Prefect or TOML 1.0 refuses.
    """
    for name, value in raw_values(text):
        register(name, value)


def raw_values(text: str) -> Iterator[Tuple[str, str]]:
    """Find what looks like the value of a secret: what follows the first ``=``, with and without quotes and comment.

    Lines count where their table or their key has to do with secrets, or where the key is no setting of Prefect's.

    Args:
        text: a configuration file's text.

    Yields:
        The key, or ``config.toml`` for a line without one, and a value.
    """
    header = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _HEADER.fullmatch(line):
            header = line.lower()
            continue
        key, equals, value = line.partition("=")
        name = key.strip().strip("\"'")
        top_level = not header and name not in always_names()
        if not ("secrets" in header + name.lower() or name in TOKENS or top_level):
            continue
        label = name if equals and name.isidentifier() else "config.toml"
        words = [value] if equals and label == name else [line, *key.split()[1:], value]
        for word in words:
            for shown in (word.strip(), _COMMENT.sub("", word).strip(_QUOTES)):
                yield label, shown
