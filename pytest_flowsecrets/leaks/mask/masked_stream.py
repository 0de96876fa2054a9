"""``sys.stdout`` and ``sys.stderr`` with known secrets masked: live output, and all that pytest writes to a terminal.

Light, since it is there in every run. What is written to descriptors 1 and 2 past them, ``descriptors.py`` masks.
"""

from __future__ import annotations

import io
import sys
from typing import Any, Callable, Iterable, Optional, Tuple

Clean = Callable[[Any, str], Tuple[Any, str]]
# What the classes of ``io`` define themselves, so that it does not come to ``__getattr__``.
_METHODS = (
    "close",
    "detach",
    "fileno",
    "isatty",
    "read",
    "readable",
    "readinto",
    "readline",
    "readlines",
    "seek",
    "seekable",
    "tell",
    "truncate",
    "writable",
    "__iter__",
    "__next__",
)
_ATTRIBUTES = "closed", "encoding", "errors", "newlines"


class _Masked:
    """What masked streams of text and of bytes have in common: everything but writing is the wrapped one's business.

    Args:
        stream: the stream to write to.
        clean: gives a text, or bytes, masked, and what it has to be told with the next one: a value may be written in
            pieces.
        forward: called after each write and flush, where the descriptor below is redirected.
    """

    _stream: Any

    def __init__(self, stream: Any, clean: Clean, forward: Callable[[], None]) -> None:
        self._stream, self._clean, self._forward, self._before = stream, clean, forward, ""

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # a copy that is being made
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __repr__(self) -> str:
        return f"<masked {self._stream!r}>"

    def __del__(self) -> None:
        """Leave the wrapped stream open, which streams of ``io`` would close."""

    def write(self, text: Any) -> int:
        """Write a text masked.

        Returns:
            The length of the text as it was passed.

        Raises:
            TypeError: it is not of the type that the stream takes.
        """
        masked, self._before = self._clean(text, self._before)
        self._stream.write(masked)
        self._forward()
        return len(text)

    def flush(self) -> None:
        """Flush the stream below."""
        self._stream.flush()
        self._forward()

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write several texts as one, so that a value broken over them is seen."""
        lines = list(lines)
        if lines:
            self.write((b"" if isinstance(lines[0], bytes) else "").join(lines))


def _forward(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._stream, name)(*args, **kwargs)

    method.__name__ = name
    return method


for _name in _METHODS:
    setattr(_Masked, _name, _forward(_name))
for _name in _ATTRIBUTES:
    setattr(_Masked, _name, property(lambda self, name=_name: getattr(self._stream, name)))  # type: ignore[misc]


class MaskedBuffer(_Masked, io.BufferedIOBase):
    """A masked stream of bytes."""


class MaskedStream(_Masked, io.TextIOBase):
    """A masked stream of text."""

    _buffer: Optional[MaskedBuffer] = None

    @property
    def buffer(self) -> Any:
        """The binary stream below."""
        if self._buffer is None:
            self._buffer = MaskedBuffer(self._stream.buffer, self._clean, self._forward)
        return self._buffer


def wrap_standard_streams(clean: Clean, forward: Callable[[], None]) -> Callable[[], None]:
    """Mask what is written to both; calling the result takes that back where nobody has replaced them since."""
    names = [name for name in ("stdout", "stderr") if getattr(sys, name)]
    streams = {name: MaskedStream(getattr(sys, name), clean, forward) for name in names}
    for name, stream in streams.items():
        setattr(sys, name, stream)

    def undo() -> None:
        for name, stream in streams.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, stream._stream)  # noqa: SLF001 - our own

    return undo
