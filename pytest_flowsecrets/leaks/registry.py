"""Which values must not leave: ``register`` tells it, everything else in this room asks it.

Imports next to nothing and does nothing unless somebody listens (the pytest plugin does, for the length of a run), so
that isolations, the fake API and the routes may tell every value they see.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

from pytest_flowsecrets.leaks.common_words import SHORTEST, is_common

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.leaks.formats.known_formats import Format

# Asked whether a text holds something; gives the places where one does, with `where` and `request.fields`.
Search = Callable[[Callable[[str], bool]], List[Any]]

TOKENS = frozenset({"api_key", "auth_token", "_tenant_token"})


class Known:
    """The values that are looked for, by their text, with the names that they have."""

    def __init__(self) -> None:
        self._names: Dict[str, List[str]] = {}
        self._changes: List[str] = []
        self._begun = 0  # the version before the first change
        self._listeners = 0
        self.outlets: List[Search] = []
        self.watchers: List[Callable[[Search], None]] = []
        self.readers: List[Callable[[str, str], object]] = []
        self.folders: List[Path] = []
        self.leavers: List[Callable[[Path], object]] = []
        self.fault_listeners: List[Callable[[Exception], object]] = []
        self.told = False  # whether short values are looked for too
        self.encoders: Dict[str, Callable[[str], Any]] = {}  # of users, by the names of their forms
        self.formats: List[Format] = []  # of users

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Known {len(self)} values>"

    @property
    def version(self) -> int:
        """Another number after each change."""
        return self._begun + len(self._changes)

    @contextmanager
    def outlet(self, search: Search) -> Iterator[None]:
        """While values may leave by an API that remembers what it was sent: how that can be searched."""
        self.outlets.append(search)
        try:
            yield
            for watcher in self.watchers:
                watcher(search)
        finally:
            self.outlets.remove(search)

    @contextmanager
    def folder(self, path: Path) -> Iterator[None]:
        """While Prefect may write into a folder: results, flows."""
        self.folders.append(path)
        try:
            yield
        finally:
            self.folders.remove(path)
            for leaver in self.leavers:
                leaver(path)

    def tell(self, text: str, place: str) -> None:
        """Say that a text has come to a place where no secret belongs."""
        for reader in self.readers:
            reader(text, place)

    def listen(self) -> None:
        """Remember what is registered from now on; each call needs its ``forget``."""
        self._listeners += 1

    def forget(self) -> None:
        """Stop listening; the last one who does makes everything forgotten."""
        self._listeners -= 1
        if not self._listeners:
            self._begun = self.version + 1
            self._changes.clear()
            self._names.clear()
            self.encoders.clear()
            self.formats.clear()
            self.told = False

    def register(self, name: str, value: Any, *, told: bool = False) -> None:
        """Make a secret known. What is looked for because of it, ``structure.parts_of`` decides.

        Args:
            name: what a mask shows.
            value: text, bytes, or anything that JSON can say.
            told: look for it even if it is short or a common word.
        """
        if not self._listeners:
            return
        for text in self._texts_of(value):
            if text and (told or not is_common(text)):
                self.told = self.told or len(text) < SHORTEST
                self._add(str(name), text)

    def _texts_of(self, value: Any) -> List[str]:
        """The texts of a value; an error in looking for them is not the caller's."""
        try:
            return list(texts_of(value, self.formats))
        except Exception as error:  # noqa: BLE001 - a value of any class
            for listener in self.fault_listeners:
                listener(error)
            return [value] if isinstance(value, str) else []

    def register_settings(self, settings: Mapping[str, Any]) -> None:
        """Make known what a Prefect configuration holds: its secrets, and the tokens for its API."""
        context, cloud = settings.get("context"), settings.get("cloud")
        secrets = context.get("secrets") if isinstance(context, Mapping) else None
        for name, value in secrets.items() if isinstance(secrets, Mapping) else ():
            self.register(name, value)
        for key, value in cloud.items() if isinstance(cloud, Mapping) else ():
            for name, token in [(key, value), *(value.items() if isinstance(value, Mapping) else ())]:
                if name in TOKENS and isinstance(token, str):
                    self.register(f"cloud {name}", token)

    def _add(self, name: str, text: str) -> None:
        names = self._names.setdefault(text, [])
        if name not in names:
            names.append(name)
            self._changes.append(text)

    def values(self, since: int = -1) -> Mapping[str, Tuple[str, ...]]:
        """The texts, each with its names, the first registered first; only what changed since a version, if given."""
        changed = self._changes[since - self._begun :] if since >= self._begun else list(self._names)
        return {text: tuple(self._names[text]) for text in changed}


def texts_of(value: Any, formats: Sequence[Format] = ()) -> Iterator[str]:
    """Return a value as text; of a mapping or sequence, the texts in it that are sensitive.

    Args:
        value: of a secret.
        formats: those of users, which come before our own.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, (bytes, bytearray)):
        yield bytes(value).decode("utf-8", "surrogateescape")
    elif isinstance(value, (Mapping, list, tuple, set, frozenset)):
        from pytest_flowsecrets.leaks.formats.parts import texts_in_data

        yield from texts_in_data(value, formats)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


known = Known()
register = known.register
