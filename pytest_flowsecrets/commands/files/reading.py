"""Reading of the files to check, and the error for a file that cannot be checked."""

from __future__ import annotations

from typing import Optional

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.resolution.display import one_line
from pytest_flowsecrets.resolution.toml_positions import position
from pytest_flowsecrets.resolution.toml_reader import deep_place

LARGEST = 2 * 2**20


class Unreadable(UsageError):  # noqa: N818
    """A file that cannot be checked."""

    def __init__(self, path: str, reason: str, line: Optional[int] = None, column: Optional[int] = None) -> None:
        super().__init__(path, reason, line, column)
        self.path, self.reason, self.line, self.column = path, reason, line, column

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return one_line(f"{place}: {self.reason}")


def read_bytes(path: str) -> bytes:
    """Read a text file as bytes.

    Args:
        path: the file.

    Raises:
        Unreadable: the file is missing, not readable, a directory, binary, or larger than 2 MB.
    """
    try:
        with open(path, "rb") as file:
            source = file.read(LARGEST + 1)
    except OSError as error:
        raise Unreadable(path, (error.strerror or type(error).__name__).lower()) from None
    if len(source) > LARGEST:
        raise Unreadable(path, f"larger than {LARGEST // 2**20} MB")
    if b"\0" in source:
        line, column = position(source, source.index(b"\0"))
        raise Unreadable(path, "a binary file", line, column)
    return source


def read_text(path: str) -> str:
    """Read a file as UTF-8.

    Args:
        path: the file.

    Raises:
        Unreadable: as for :func:`read_bytes`, or the file is not UTF-8.
    """
    return _decode(path, read_bytes(path)).lstrip("\ufeff")


def read_toml(path: str) -> bytes:
    """Read a configuration file and check that parsers can read it.

    Args:
        path: the file.

    Raises:
        Unreadable: as for :func:`read_text`, or the text is nested too deeply for the parsers.
    """
    source = read_bytes(path)
    place = deep_place(_decode(path, source))
    if place is not None:
        raise Unreadable(path, "nested too deeply", *place)
    return source


def _decode(path: str, source: bytes) -> str:
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(path, "not UTF-8", *position(source, error.start)) from None
