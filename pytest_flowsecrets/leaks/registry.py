"""The registry of secret values: ``register`` adds a value, and the rest of ``leaks`` searches for what is in it.

The registry imports almost nothing and stores nothing until somebody calls ``listen``. The pytest plugin does so for
the length of a run. Isolations, the fake API and the routes can therefore register every value that they handle.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

from pytest_flowsecrets.leaks.formats import SHORTEST, is_common

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.leaks.formats.known_formats import Format

# Calls a predicate with each text that an API received. Returns an object with `where` and `request.fields` for each
# text for which the predicate is true.
Search = Callable[[Callable[[str], bool]], List[Any]]

# Yields each text that an API stores, with its place.
TextSource = Callable[[], Iterable[Tuple[str, str]]]

TOKENS = frozenset({"api_key", "auth_token", "_tenant_token"})


class SecretRegistry:
    """The values to search for, each with the names of its secrets.

    Any thread can register and read values.

    Attributes:
        request_searches: searches of the open APIs that record their requests.
        on_api_close: called with the search of an API that is about to close.
        text_sources: the open APIs whose rows can be searched.
        on_source_close: called with such a source when its API is about to close.
        on_text: called with a text, and its place, that no secret should reach.
        folders: folders into which Prefect can write now.
        on_folder_close: called with such a folder when Prefect stops using it.
        on_error: called with an error that ``register`` suppressed.
        has_short: whether a value is shorter than six characters.
        encoders: encoders from hooks, by the names of their forms.
        formats: formats from hooks.
    """

    def __init__(self) -> None:
        self._names: Dict[str, List[str]] = {}
        self._changes: List[str] = []
        self._base_version = 0  # before the first change
        self._listeners = 0
        self.request_searches: List[Search] = []
        self.on_api_close: List[Callable[[Search], None]] = []
        self.text_sources: List[TextSource] = []
        self.on_source_close: List[Callable[[TextSource], object]] = []
        self.on_text: List[Callable[[str, str], object]] = []
        self.folders: List[Path] = []
        self.on_folder_close: List[Callable[[Path], object]] = []
        self.on_error: List[Callable[[Exception], object]] = []
        self.has_short = False
        self.encoders: Dict[str, Callable[[str], Any]] = {}
        self.formats: List[Format] = []

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<SecretRegistry of {len(self)} values>"

    @property
    def version(self) -> int:
        """The version of the registry. Each change gives it a new one."""
        return self._base_version + len(self._changes)

    @contextmanager
    def searchable(self, search: Search) -> Iterator[None]:
        """Include the requests to an API in the search for leaks while the API is open."""
        self.request_searches.append(search)
        try:
            yield
            for callback in self.on_api_close:
                callback(search)
        finally:
            self.request_searches.remove(search)

    @contextmanager
    def text_source(self, source: TextSource) -> Iterator[None]:
        """Include the texts that an API stores in the search for leaks while the API is open."""
        self.text_sources.append(source)
        try:
            yield
        finally:
            self.text_sources.remove(source)
            for callback in self.on_source_close:
                callback(source)

    @contextmanager
    def folder(self, path: Path) -> Iterator[None]:
        """Include a folder in the search for leaks while Prefect can write results and flows into it."""
        self.folders.append(path)
        try:
            yield
        finally:
            self.folders.remove(path)
            for callback in self.on_folder_close:
                callback(path)

    def report_text(self, text: str, place: str) -> None:
        """Report a text at a place that no secret should reach."""
        for callback in self.on_text:
            callback(text, place)

    def listen(self) -> None:
        """Store the values that are registered from now on. Each call needs a call of ``forget``."""
        self._listeners += 1

    def forget(self) -> None:
        """Undo one call of ``listen``. The last call clears the registry."""
        self._listeners -= 1
        if not self._listeners:
            self._changes, self._base_version = [], self.version + 1
            self._names.clear()
            self.encoders.clear()
            self.formats.clear()
            self.has_short = False

    def register(self, name: str, value: Any, *, explicit: bool = False) -> None:
        """Register a secret. ``secret_parts.parts_of`` decides which texts are searched for because of it.

        Args:
            name: the name that the mask shows.
            value: text, bytes, or anything that JSON can represent.
            explicit: whether to search for the value even if it is short or a common word.
        """
        if not self._listeners:
            return
        name = str(name)
        for text in [value] if isinstance(value, str) else self._texts_of(value):
            names = self._names.get(text, ())
            if text and name not in names and (explicit or not is_common(text)):
                self._names[text] = [*names, name]
                self.has_short = self.has_short or len(text) < SHORTEST
                self._changes.append(text)

    def _texts_of(self, value: Any) -> List[str]:
        """Return the texts of a value. Errors do not reach the caller of ``register``."""
        try:
            return list(texts_of(value, self.formats))
        except Exception as error:  # noqa: BLE001 - a value of any class
            for callback in self.on_error:
                callback(error)
            return []

    def register_settings(self, settings: Mapping[str, Any]) -> None:
        """Register the secrets in a Prefect configuration and the tokens for Prefect's API."""
        for name, value in _items(_items(settings, "context"), "secrets").items():
            self.register(name, value)
        for key, value in _items(settings, "cloud").items():
            for name, token in ((key, value), *(value.items() if isinstance(value, Mapping) else ())):
                if name in TOKENS and isinstance(token, str):
                    self.register(f"cloud {name}", token)

    def values(self, since: int = -1) -> Mapping[str, Tuple[str, ...]]:
        """Return the texts with their names, in the order of registration.

        Args:
            since: a version; only texts that changed after it are returned.
        """
        changed = self._changes[since - self._base_version :] if since >= self._base_version else list(self._names)
        return {text: tuple(self._names[text]) for text in changed}


def _items(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the mapping at a key, or an empty one if there is something else."""
    value = settings.get(key)
    return value if isinstance(value, Mapping) else {}


def texts_of(value: Any, formats: Sequence[Format] = ()) -> Iterator[str]:
    """Yield a value as text. For a mapping or sequence, yield the sensitive texts in it.

    Args:
        value: the value of a secret.
        formats: formats from hooks, which take precedence over the built-in ones.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, (bytes, bytearray)):
        yield bytes(value).decode("utf-8", "surrogateescape")
    elif isinstance(value, (Mapping, list, tuple, set, frozenset)):
        from pytest_flowsecrets.leaks.formats.secret_parts import texts_in_data

        yield from texts_in_data(value, formats)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


registry = SecretRegistry()
register = registry.register
