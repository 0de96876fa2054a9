"""Lines that write a text in a file: TOML, ``.env`` and shell.

Each function returns a line that all tools that read such files understand in the same way, or None if there is none.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, Iterator, Optional

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Notation

_BARE = re.compile(r"[\w-]+", re.ASCII)


def toml_line(name: str, text: str) -> Optional[str]:
    """Return a TOML line that TOML 1.0 and Prefect's parser (toml 0.10.2) read in the same way.

    Args:
        name: the key.
        text: the string.
    """
    import tomli

    from pytest_flowsecrets.resolution.toml_reader import loads

    key = name if _BARE.fullmatch(name) else f"'{name}'"
    for string in _toml_strings(text):
        line = f"{key} = {string}"
        try:
            line.encode()  # no surrogates
            if list(tomli.loads(line).values()) == [text] == list(loads(line).values()):
                return line
        except Exception:  # noqa: BLE001, S112 - toml 0.10.2 raises many types; the next string may work
            continue
    return None


def _toml_strings(text: str) -> Iterator[str]:
    yield f"'{text}'"
    basic = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    yield basic
    yield '"' + basic[1:-1].replace('\\"', "\\u0022") + '"'
    yield f"'''{text}'''"


def env_line(name: str, text: str) -> Optional[str]:
    """Return a line of a ``.env`` file that python-dotenv, Docker Compose and a shell read in the same way.

    Args:
        name: the variable.
        text: its value.
    """
    if "${" in text:
        return None
    if not set(text) & set("'\\\r\n"):
        return f"{name}='{text}'"
    if set(text) & set("$`!"):
        return None
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'{name}="{escaped}"'


def shell_line(name: str, text: str) -> str:
    """Return an assignment for a shell.

    Args:
        name: the variable.
        text: its value.
    """
    return f"{name}={shlex.quote(text)}"


def describe_line(spelling: Any, text: str, notation: Notation) -> Optional[str]:
    """Return advice about the line to write, without the value itself.

    Args:
        spelling: how to write the value, a ``Spelling``.
        text: the value.
        notation: the function that writes a spelling as a line of the file.

    Returns:
        The line with ``...`` in the place of the value, and how to write the value if it is not written as it is.
        None if the file has no way to write the spelling.
    """
    line = notation(spelling.text)
    if line is None:
        return None
    label, _, shape = spelling.label.rpartition(": ")
    template = notation(shape) if "..." in shape else None
    if template is None or "..." not in template:
        return f"write {spelling.label} (--show-values prints the line)"
    if template.replace("...", text) == line:
        return f"write {template} (... stands for the value)"
    return f"write {template}, where ... stands for the value as in {label} (--show-values prints the line)"
