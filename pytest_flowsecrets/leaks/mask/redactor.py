"""Replace each secret in a text with its mask, ``[secret NAME]``."""

from __future__ import annotations

from itertools import chain
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from pytest_flowsecrets.leaks.search.finder import Finder, Match

_ROUNDS = 5  # a mask and its surroundings can form another secret, so the result is searched again
_LONGEST_NAME = 80
_FEW = 8  # characters
_BATCH = 1 << 20  # characters that are joined at once
_PARTS_OF_MASKS = "secret", "hidden", "...", "***"
WITHHELD = "[withheld]"
_BETWEEN = " \t\r\n'\",bE>|+?-\\"  # characters between two lines of a value
_LONGEST_REST, _TAIL = 1 << 14, 64  # characters to keep of a stream after a truncated value, and otherwise


class Masked(NamedTuple):
    """A masked secret: its names, its form in the original text, and the position of its mask."""

    names: Tuple[str, ...]
    form: str
    start: int


class Redactor:
    """Masks values.

    Args:
        values: texts with the names of their secrets. The mask shows the first name.
    """

    def __init__(self, values: Mapping[str, Tuple[str, ...]]) -> None:
        self._finder = Finder({})
        self._masks: Dict[str, str] = {}
        self._resembles_mask = False
        self.update(values)

    def __repr__(self) -> str:
        return f"<Redactor {self._finder!r}>"

    def update(self, values: Mapping[str, Tuple[str, ...]]) -> None:
        """Mask more values, or change names."""
        self._resembles_mask = self._resembles_mask or any(
            part in value for value in values for part in _PARTS_OF_MASKS
        )
        self._finder.update(values)
        self._masks = {}  # last, and a new one: another thread can be choosing a mask without the new values

    def find(self, text: str) -> List[Match]:
        """Return every secret in a text; see ``Finder.find``."""
        return self._finder.find(text)

    def redact(self, text: str, masked: Optional[List[Masked]] = None) -> str:
        """Return a text with every secret masked, or the same object if there is none.

        Args:
            text: any text.
            masked: a list to which the masked secrets are appended.
        """
        if self._finder.is_clean(text):
            return text
        for _ in range(_ROUNDS):
            matches = self._finder.each(text)
            first = next(matches, None)
            if first is None:
                return text
            text, replaced = self._replace(text, chain([first], matches))
            if masked is not None:
                masked += replaced
            if not self._makes_another(text, replaced):
                return text
        return WITHHELD if not self._finder.find(WITHHELD) else ""

    def _makes_another(self, text: str, masked: Iterable[Masked]) -> bool:
        """Return whether masks and their surroundings form another secret, which begins or ends at a mask."""
        if self._resembles_mask:
            return True  # a mask itself can be a part of a secret
        return self._finder.is_near(text, [(each.start, each.start + len(self.mask(each.names[0]))) for each in masked])

    def redact_bytes(self, data: bytes, masked: Optional[List[Masked]] = None) -> bytes:
        """Return any bytes with every secret masked, or the same object if there is none."""
        for _ in range(_ROUNDS):
            matches = [*self._finder.each(data)]
            if not matches:
                return data
            # Latin-1 maps each byte to a character, so positions stay the same. A mask is ASCII.
            text, replaced = self._replace(data.decode("latin-1"), matches)
            data = text.encode("latin-1")
            if masked is not None:
                masked += replaced
        return b""

    def redact_next(self, before: str, text: str, masked: Optional[List[Masked]] = None) -> Tuple[str, str]:
        """Mask the next text of a stream.

        Args:
            before: the second result of the previous call; at first an empty string.
            text: the next text.
            masked: a list to which the masked secrets are appended.

        Returns:
            The masked text, and the end of the stream so far, in which a value can begin.
        """
        whole = before + text
        if len(text) < _FEW and self._finder.is_foreign(text):  # such as the dot of a passed test
            return text, whole[-_TAIL:]
        matches = self._finder.find(whole)
        if not matches:
            return text, whole[-_TAIL:]
        shown = self._replace_after(len(before), text, matches, masked) if before else text
        return self.redact(shown, masked), _unfinished(whole, matches)

    def _replace_after(self, size: int, text: str, matches: Iterable[Match], masked: Optional[List[Masked]]) -> str:
        """Mask the part of each match that is in a text, which follows ``size`` characters of the searched one."""
        inside = [match._replace(start=max(0, match.start - size), end=match.end - size) for match in matches]
        shown, replaced = self._replace(text, [match for match in inside if match.end > 0])
        if masked is not None:
            masked += replaced
        return shown

    def _replace(self, text: str, matches: Iterable[Match]) -> Tuple[str, List[Masked]]:
        shown = ""  # grows in place, so a large text is in memory twice, not three times
        pieces: List[str] = []
        masked: List[Masked] = []
        position = length = 0
        for match in matches:
            if match.end <= position:
                continue  # inside the previous match
            pieces += [text[position : match.start], self.mask(match.names[0])]
            length += len(pieces[-2])
            masked.append(Masked(match.names, match.form, length))
            length += len(pieces[-1])
            position = match.end
            if length - len(shown) > _BATCH:
                shown += "".join(pieces)
                pieces.clear()
        shown += "".join([*pieces, text[position:]])
        return shown, masked

    def mask(self, name: str) -> str:
        """Return the mask of a secret. It shows the name, unless the name contains a secret."""
        masks = self._masks
        if name not in masks:
            shown = name.encode("unicode_escape").decode()[:_LONGEST_NAME]
            number = len(masks) + 1
            choices = (f"[secret {shown}]", f"[secret #{number}]", f"[hidden {number}]", "[...]", "***", "")
            masks[name] = next(mask for mask in choices if not self._finder.find(mask))
        return masks[name]


def _unfinished(text: str, matches: Sequence[Match]) -> str:
    """Return the end of a text in which a value has begun, or may have begun."""
    open_ends = [match.start for match in matches if match.is_truncated and not text[match.end :].strip(_BETWEEN)]
    if open_ends:
        return text[min(open_ends) :][-_LONGEST_REST:]
    return text[max(match.end for match in matches) :][-_TAIL:]
