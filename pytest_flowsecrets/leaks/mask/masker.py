"""The single path of every text: a masker masks it and records what it masked as findings.

Errors inside the masking code are counted and described without a value, and never reach pytest. While no secret is
registered, texts pass unchanged and this module imports nothing expensive.
"""

from __future__ import annotations

from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Deque, Iterable, List, Optional, Set, Tuple, Type

from pytest_flowsecrets.leaks.common_words import SHORTEST
from pytest_flowsecrets.leaks.mask.finding_log import Record
from pytest_flowsecrets.leaks.mask.node_ids import TestIds
from pytest_flowsecrets.leaks.registry import registry

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_flowsecrets.leaks.mask.redactor import Masked, Redactor


WITHHELD = "[withheld: it could not be masked]"
OWN_SOURCE = "own source"  # the place of lines of a test's own file, where a value is a literal and not a leak
_MOST_SHORT, _MOST_LONG = 2000, 4  # texts in the cache
_LONG = 2000  # characters


class CleanTexts:
    """A bounded cache of texts that contain no secret.

    The names of a test appear in three reports, and its captured output in two. Short texts are compared by value, long
    ones by identity.
    """

    def __init__(self) -> None:
        self._short: Set[Any] = set()
        self._long: Deque[Any] = deque(maxlen=_MOST_LONG)

    def __len__(self) -> int:
        return len(self._short) + len(self._long)

    def __contains__(self, text: Any) -> bool:
        return text in self._short if len(text) < _LONG else any(text is other for other in self._long)

    def add(self, text: Any) -> None:
        """Add a text."""
        if len(text) >= _LONG:
            self._long.append(text)
            return
        if len(self._short) >= _MOST_SHORT:
            self._short.clear()
        self._short.add(text)

    def clear(self) -> None:
        """Remove all texts."""
        self._short.clear()
        self._long.clear()


class Masker:
    """Masks texts with all secrets that are registered so far.

    Attributes:
        faults: errors inside the masking code.
        record: the findings.
        ids: the real and masked ids of tests.
        test: the id of the running test, or an empty string.
    """

    def __init__(self) -> None:
        self.faults, self.record, self.ids = Faults(), Record(), TestIds()
        self.test = ""
        self._clean_texts = CleanTexts()
        self._names: Set[str] = set()  # names and keywords of tests that contain no secret
        self._redactor: Optional[Redactor] = None
        self._version = -1

    def forget_values(self) -> None:
        """Forget the values. The next text builds a new redactor from the registry."""
        self._redactor, self._version = None, -1

    @property
    def redactor(self) -> Optional[Redactor]:
        """The redactor for all registered secrets, or None if there are none."""
        if self._version != registry.version:
            version = registry.version
            self._clean_texts.clear()
            self._names.clear()
            if self._redactor is None and len(registry):
                from pytest_flowsecrets.leaks.mask.redactor import Redactor

                self._redactor = Redactor({})
            if self._redactor is not None:
                self._redactor.update(registry.values(self._version))
            self._version = version  # last: after an error, the next text tries again
        return self._redactor

    def clean(self, text: Any, place: str, test: Optional[str] = None) -> Any:
        """Return a text, or bytes, masked, and record the findings.

        Returns:
            The same object if it contains no secret; a note if it cannot be masked.
        """
        try:
            redactor = None if self._is_too_short(text) else self.redactor
            if redactor is None or text in self._clean_texts or (place == "id" and self.ids.keeps(text)):
                return text
            return self._clean(redactor, text, place, self.test if test is None else test)
        except Exception as error:  # noqa: BLE001 - an error in the masking code must not fail the run
            self.faults.add(error)
            return WITHHELD if isinstance(text, str) else WITHHELD.encode()

    def _clean(self, redactor: Redactor, text: Any, place: str, test: str) -> Any:
        masked: List[Masked] = []
        redact: Callable[..., Any] = redactor.redact if isinstance(text, str) else redactor.redact_bytes
        result = self.ids.apart(text, lambda part: redact(part, masked))
        if not masked:
            self._clean_texts.add(text)
        elif place != OWN_SOURCE:
            self._remember(masked, result if isinstance(result, str) else result.decode("latin-1"), place, test)
        return result

    def _remember(self, masked: Iterable[Masked], shown: str, place: str, test: str) -> None:
        self.record.add(masked, shown, place, self.ids.collected_id(test), self.shown_id(test))

    def shown_id(self, test: str) -> str:
        """Return the id of a test with secrets masked."""
        redactor = self.redactor
        collected = self.ids.collected_id(test)
        return self.ids.apart(collected, redactor.redact) if redactor else collected

    def _is_too_short(self, text: Any) -> bool:
        """Return whether a text is too short to contain a secret."""
        return not text or (len(text) < SHORTEST and not registry.has_short)

    def clean_live(self, text: Any, before: str) -> Tuple[Any, str]:
        """Return a text, or bytes, masked for a stream, and the ``before`` argument of the next call.

        Raises:
            TypeError: the object is neither text nor bytes.
        """
        if not isinstance(text, str):
            shown, rest = self.clean_live(memoryview(text).tobytes().decode("utf-8", "surrogateescape"), before)
            return shown.encode("utf-8", "surrogateescape"), rest
        try:
            return self._clean_live(text, before)
        except Exception as error:  # noqa: BLE001 - an error in the masking code must not fail the run
            self.faults.add(error)
            return WITHHELD + "\n" * text.endswith("\n"), ""

    def _clean_live(self, text: str, before: str) -> Tuple[str, str]:
        redactor = self.redactor
        if redactor is None:
            return text, ""
        if not registry.has_short and len(before) + len(text) < SHORTEST:
            return text, before + text
        masked: List[Masked] = []
        rest = ""

        def redact(part: str) -> str:
            nonlocal rest
            masked.clear()
            shown, rest = redactor.redact_next(before, part, masked)
            return shown

        shown = self.ids.apart(text, redact)
        if masked:
            self._remember(masked, shown, "live output", self.test)
        return shown, rest

    def _is_clean(self, text: Any) -> bool:
        """Return whether a text contains no secret."""
        if text not in self._clean_texts:
            if self.redactor is None or self.redactor.find(text):
                return False
            self._clean_texts.add(text)
        return True


_PACKAGE = Path(__file__).parents[2]


class Faults:
    """A context manager that suppresses every ``Exception`` and records where it was raised.

    The caller withholds the text that could not be masked. ``KeyboardInterrupt``, ``pytest.exit`` and ``pytest.fail``
    pass through, because they are not subclasses of ``Exception``.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.add(error)
        return True

    def __len__(self) -> int:
        return sum(self._counts.values())

    def __repr__(self) -> str:
        return f"<Faults {len(self)}>"

    def add(self, error: Exception) -> None:
        """Record an error by its type and place. Its text can contain a value and is not recorded."""
        self.note(f"text withheld because it could not be masked: {type(error).__name__} in {_place_of(error)}")

    def note(self, description: str) -> None:
        """Record another fault, described without a value."""
        self._counts[description] += 1

    def merge(self, counts: Any) -> None:
        """Add the faults of an xdist worker, as pairs of a description and a count."""
        for description, count in counts:
            self._counts[description] += count

    def pairs(self) -> List[List[Any]]:
        """Return pairs of a description and a count, as plain data that xdist can send."""
        return [[description, count] for description, count in sorted(self._counts.items())]

    def unreported_lines(self) -> List[str]:
        """Return a line with a count for each kind of fault that was not reported yet."""
        new, self._reported = self._counts - self._reported, self._counts.copy()
        return [f"{description}: {count}" for description, count in sorted(new.items())]


def _place_of(error: BaseException) -> str:
    """Return the last line of this package that the error passed through."""
    place, traceback = "an unknown place", error.__traceback__
    while traceback is not None:
        path = Path(traceback.tb_frame.f_code.co_filename)
        if _PACKAGE in path.parents:
            place = f"{path.relative_to(_PACKAGE.parent).as_posix()}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
