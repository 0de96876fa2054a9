"""``sys.stdout`` and ``sys.stderr`` with known secrets masked: live output, and all that pytest writes to a terminal.

Light, since it is there in every run. What a process writes to descriptors 1 and 2 by itself does not come this way.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Iterable, Optional, Tuple

Clean = Callable[[Any, str], Tuple[Any, str]]


class MaskedStream:
    """A text stream; everything but writing is the wrapped one's business.

    Args:
        stream: the stream to write to.
        clean: gives a text, or bytes, masked, and what it has to be told with the next one: a value may be written in
            pieces.
    """

    def __init__(self, stream: Any, clean: Clean) -> None:
        self._stream, self._clean, self._before = stream, clean, ""
        self._buffer: Optional[MaskedStream] = None

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # a copy that is being made
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __repr__(self) -> str:
        return f"<masked {self._stream!r}>"

    def write(self, text: Any) -> int:
        """Write a text masked; as many characters are told as were given."""
        masked, self._before = self._clean(text, self._before)
        self._stream.write(masked)
        return len(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write several texts as one, so that a value broken over them is seen."""
        lines = list(lines)
        if lines:
            self.write((b"" if isinstance(lines[0], bytes) else "").join(lines))

    @property
    def buffer(self) -> Any:
        """The binary stream below."""
        if self._buffer is None:
            self._buffer = MaskedStream(self._stream.buffer, self._clean)
        return self._buffer


def wrap_standard_streams(clean: Clean) -> Callable[[], None]:
    """Mask what is written to both; calling the result takes that back where nobody has replaced them since."""
    streams = {name: MaskedStream(getattr(sys, name), clean) for name in ("stdout", "stderr") if getattr(sys, name)}
    for name, stream in streams.items():
        setattr(sys, name, stream)

    def undo() -> None:
        for name, stream in streams.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, stream._stream)  # noqa: SLF001 - our own

    return undo
