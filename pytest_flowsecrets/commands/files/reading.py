"""Reading of the files to check, and the error for a file that cannot be checked."""

from __future__ import annotations

from typing import Optional

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.resolution.display import one_line
from pytest_flowsecrets.resolution.toml_positions import position
from pytest_flowsecrets.resolution.toml_reader import deep_place

LARGEST = 2 * 2**20
TEMPLATE = "a template, not YAML: render it first"


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
            return checked_bytes(path, file.read(LARGEST + 1))
    except OSError as error:
        raise Unreadable(path, (error.strerror or type(error).__name__).lower()) from None


def checked_bytes(path: str, source: bytes) -> bytes:
    """Return the bytes of a text file.

    Args:
        path: the name of the file.
        source: its bytes.

    Raises:
        Unreadable: they are binary, or more than 2 MB.
    """
    if len(source) > LARGEST:
        raise Unreadable(path, f"larger than {LARGEST // 2**20} MB")
    if b"\0" in source:
        line, column = position(source, source.index(b"\0"))
        raise Unreadable(path, "a binary file", line, column)
    return source


def read_text(path: str) -> str:
    """Read a file as UTF-8, without a byte order mark.

    Args:
        path: the file.

    Raises:
        Unreadable: as for :func:`read_bytes`, or the file is not UTF-8.
    """
    return decoded(path, read_bytes(path)).lstrip("\ufeff")


def read_toml(path: str) -> bytes:
    """Read a configuration file and check that parsers can read it.

    Args:
        path: the file.

    Raises:
        Unreadable: as for :func:`read_text`, or the text is nested too deeply for the parsers.
    """
    source = read_bytes(path)
    refuse_deep(path, source)
    return source


def refuse_deep(path: str, source: bytes) -> None:
    """Check that the parsers of TOML can read a text.

    Args:
        path: the name of the file.
        source: its bytes.

    Raises:
        Unreadable: the text is not UTF-8, or nested too deeply for the parsers.
    """
    place = deep_place(decoded(path, source))
    if place is not None:
        raise Unreadable(path, "nested too deeply", *place)


def decoded(path: str, source: bytes) -> str:
    """Decode UTF-8.

    Args:
        path: the name of the file.
        source: its bytes.

    Raises:
        Unreadable: the bytes are not UTF-8.
    """
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(path, "not UTF-8", *position(source, error.start)) from None
