"""``sys.stdout`` and ``sys.stderr`` with secrets masked: live output, and all terminal output of pytest.

Every run uses this module, so it imports little. ``descriptors`` masks what bypasses these streams.
"""

from __future__ import annotations

import io
import sys
from typing import Any, Callable, Iterable, Iterator, Optional, Tuple

Clean = Callable[[Any, str], Tuple[Any, str]]
# Methods that the classes of ``io`` define, so ``__getattr__`` does not delegate them.
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
    """The common base of masked text and byte streams. Everything but writing is delegated to the wrapped stream.

    Args:
        stream: the stream to wrap.
        clean: given a text, or bytes, and its own second result of the previous call, returns the masked text and that
            second result. A value can be written in several pieces.
        forward: called after each write and flush.
    """

    _stream: Any

    def __init__(self, stream: Any, clean: Clean, forward: Callable[[], None]) -> None:
        self._stream, self._clean, self._forward, self._before = stream, clean, forward, ""

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # while the object is copied or unpickled
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __repr__(self) -> str:
        return f"<masked {self._stream!r}>"

    def __del__(self) -> None:
        """Leave the wrapped stream open. Streams of ``io`` would close it."""

    def write(self, text: Any) -> int:
        """Write a text, masked.

        Returns:
            The length of the original text.

        Raises:
            TypeError: the object is not of the type that the stream accepts.
        """
        masked, self._before = self._clean(text, self._before)
        self._stream.write(masked)
        self._forward()
        return len(text)

    def flush(self) -> None:
        """Flush the wrapped stream."""
        self._stream.flush()
        self._forward()

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write several texts as one, so that a value that spans them is masked."""
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
        """The masked binary stream below."""
        if self._buffer is None:
            self._buffer = MaskedBuffer(self._stream.buffer, self._clean, self._forward)
        return self._buffer


def wrap_standard_streams(clean: Clean, forward: Callable[[], None]) -> Callable[[], None]:
    """Mask what is written to both standard streams.

    Returns:
        A function that restores the streams, except those that somebody has replaced since.
    """
    names = [name for name in ("stdout", "stderr") if getattr(sys, name)]
    streams = {name: MaskedStream(getattr(sys, name), clean, forward) for name in names}
    for name, stream in streams.items():
        setattr(sys, name, stream)

    def undo() -> None:
        for name, stream in streams.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, stream._stream)  # noqa: SLF001 - our own class

    return undo


# -- captured output ---------------------------------------------------------------------------------------------------


def take_captured(config: Any) -> Iterator[Tuple[Any, str]]:
    """Take the captured output of each standard stream. The caller must write it again.

    Returns:
        Pairs of ``sys.stdout`` or ``sys.stderr`` and the text; nothing if pytest captures nothing.
    """
    manager = config.pluginmanager.get_plugin("capturemanager")
    if manager is not None and manager.is_globally_capturing():
        yield from zip((sys.stdout, sys.stderr), manager.read_global_capture())
