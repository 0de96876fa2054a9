"""Putting a mask, ``[secret NAME]``, in the place of every known secret in a text."""

from __future__ import annotations

from itertools import chain
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.leaks.search.finder import Finder, Match

_ROUNDS = 5  # a mask and its neighbours can make another secret, so what came out is looked through again
_LONGEST_NAME = 80
_FEW = 8  # characters
_AT_ONCE = 1 << 20  # characters that are put together
_PARTS_OF_MASKS = "secret", "hidden", "...", "***"
WITHHELD = "[withheld]"
_BETWEEN = " \t\r\n'\",bE>|+?-\\"  # between a value's parts on two lines
_LONGEST_REST, _TAIL = 1 << 14, 64  # characters; of a stream in which a value has begun, or may have


class Masked(NamedTuple):
    """A secret that was masked, the form in which it stood there, and where its mask begins."""

    names: Tuple[str, ...]
    form: str
    start: int


class Redactor:
    """Masks values.

    Args:
        values: texts, each with its names, the first of which is shown.
    """

    def __init__(self, values: Mapping[str, Tuple[str, ...]]) -> None:
        self._finder = Finder({})
        self._masks: Dict[str, str] = {}
        self._like_masks = False
        self.update(values)

    def __repr__(self) -> str:
        return f"<Redactor {self._finder!r}>"

    def update(self, values: Mapping[str, Tuple[str, ...]]) -> None:
        """Mask more values, or show other names."""
        self._finder.update(values)
        self._masks.clear()
        self._like_masks = self._like_masks or any(part in value for value in values for part in _PARTS_OF_MASKS)

    def find(self, text: str) -> List[Match]:
        """Every known secret in a text; see ``Finder.find``."""
        return self._finder.find(text)

    def find_in_bytes(self, data: bytes) -> List[Match]:
        """Every known secret in some bytes; see ``Finder.find_in_bytes``."""
        return self._finder.find_in_bytes(data)

    def redact(self, text: str, masked: Optional[List[Masked]] = None) -> str:
        """The text with every known secret masked; the same object if there is none in it.

        Args:
            text: any text.
            masked: if given, a list to which what was masked is added.
        """
        if self._finder.is_clean(text):
            return text
        for _ in range(_ROUNDS):
            matches = self._finder.each(text)
            first = next(matches, None)
            if first is None:
                return text
            text, done = self._replace(text, chain([first], matches))
            if masked is not None:
                masked += done
            if not self._makes_another(text, done):
                return text
        return WITHHELD if not self._finder.find(WITHHELD) else ""

    def _makes_another(self, text: str, done: Iterable[Masked]) -> bool:
        """Whether masks and their neighbours come to another secret: it would have to begin or end there."""
        if self._like_masks:
            return True  # looked through as a whole
        return self._finder.is_near(text, [(each.start, each.start + len(self.mask(each.names[0]))) for each in done])

    def redact_bytes(self, data: bytes, masked: Optional[List[Masked]] = None) -> bytes:
        """The same for bytes, whatever they are."""
        for _ in range(_ROUNDS):
            matches = self._finder.find_in_bytes(data)
            if not matches:
                return data
            # Latin-1 gives each byte a character, so places are the same; a mask is ASCII.
            text, done = self._replace(data.decode("latin-1"), matches)
            data = text.encode("latin-1")
            if masked is not None:
                masked += done
        return b""

    def redact_next(self, before: str, text: str, masked: Optional[List[Masked]] = None) -> Tuple[str, str]:
        """The next text of a stream masked, and what the one after it has to know: its end, where a value may begin.

        Args:
            before: what the call before said, at first nothing.
            text: what is written now.
            masked: if given, a list to which what was masked is added.
        """
        whole = before + text
        if len(text) < _FEW and self._finder.is_foreign(text):  # the dot of a test that has passed
            return text, whole[-_TAIL:]
        matches = self._finder.find(whole)
        if not matches:
            return text, whole[-_TAIL:]
        open_ends = [match.start for match in matches if "cut" in match.form and not whole[match.end :].strip(_BETWEEN)]
        closed = max(match.end for match in matches)
        rest = whole[min(open_ends) :][-_LONGEST_REST:] if open_ends else whole[closed:][-_TAIL:]
        if not before:
            return self.redact(text, masked), rest
        size = len(before)
        inside = [match._replace(start=max(0, match.start - size), end=match.end - size) for match in matches]
        shown, done = self._replace(text, [match for match in inside if match.end > 0])
        if masked is not None:
            masked += done
        return self.redact(shown, masked), rest

    def _replace(self, text: str, matches: Iterable[Match]) -> Tuple[str, List[Masked]]:
        shown = ""  # grows in place, so that a large text is there twice and not three times
        pieces: List[str] = []
        masked: List[Masked] = []
        done = length = 0
        for match in matches:
            if match.end <= done:
                continue  # inside another secret
            pieces += [text[done : match.start], self.mask(match.names[0])]
            length += len(pieces[-2])
            masked.append(Masked(match.names, match.form, length))
            length += len(pieces[-1])
            done = match.end
            if length - len(shown) > _AT_ONCE:
                shown += "".join(pieces)
                pieces.clear()
        shown += "".join([*pieces, text[done:]])
        return shown, masked

    def mask(self, name: str) -> str:
        """What stands in the place of a secret: its name, but where that would show a secret."""
        if name not in self._masks:
            shown = name.encode("unicode_escape").decode()[:_LONGEST_NAME]
            number = len(self._masks) + 1
            choices = (f"[secret {shown}]", f"[secret #{number}]", f"[hidden {number}]", "[...]", "***", "")
            self._masks[name] = next(mask for mask in choices if not self._finder.find(mask))
        return self._masks[name]
