"""Which environment variables a test run declares, and which are ambient.

The rule: an isolated test sees a variable only if the run itself has set it, at a place that is a part of this test
whatever other tests run. Everything else is *ambient* and hidden. The place where a variable is set decides, never its
value, so a variable that the shell holds too is declared all the same.

===============================================================  ===================================================
Where a variable is set                                          Which isolated tests see it
===============================================================  ===================================================
before pytest loads this plugin (shell, CI, tox)                 none
a plugin, such as pytest-env or pytest-dotenv                    all
a ``conftest.py``, at import or in a hook                        those below its folder
a test module, at import                                         its own
a module that ``conftest.py`` imports, a text in its code        those below the folder of that ``conftest.py``
other modules, at import: ``load_dotenv()`` in a flow module     none
a fixture of wider scope                                         all, until the fixture is torn down
a test and its own fixtures                                      this test
===============================================================  ===================================================

A default (``os.environ.setdefault``, ``D:`` or ``skip_if_set`` of pytest-env) is declared also where the shell has set
the variable: outside of isolations the shell's value counts, inside the default.

To know who sets a variable, ``os.environ`` records each write while a run is active; the call stack says where it
comes from. Runs can be nested: pytester starts pytest in this process.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from fnmatch import translate
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

from pytest_flowsecrets.isolation.environment.write_origins import EVERYWHERE, IMPORT, SHELL, origin_of
from pytest_flowsecrets.names import PREFIX

# What Prefect's storages read where the secret of this name is missing (0.12.1 to 1.4.1), and the user of Bitbucket.
TOKEN_VARIABLES = (
    "GITHUB_ACCESS_TOKEN",
    "GITLAB_ACCESS_TOKEN",
    "BITBUCKET_ACCESS_TOKEN",
    "BITBUCKET_CLOUD_USERNAME",
    "BITBUCKET_CLOUD_APP_PASSWORD",
    "AZURE_STORAGE_CONNECTION_STRING",
)


class Declaration(NamedTuple):
    """One write to ``os.environ``.

    Attributes:
        name: of the variable.
        text: its value; None where it was removed.
        scope: the tests that see it: ``EVERYWHERE``, a folder (with a separator at its end) or a file.
        owner: the test or fixture with which it ends; None for the whole run.
        source: who has set it, in words.
    """

    name: str
    text: Optional[str]
    scope: str
    owner: object
    source: str

    def __repr__(self) -> str:
        return f"<Declaration of {self.name} by {self.source}>"

    def applies_to(self, path: Optional[str]) -> bool:
        """Whether a test in the file ``path`` sees it; None stands for code outside of any test."""
        if path is None:
            return not self.scope or self.scope.endswith(os.sep)
        return path.startswith(self.scope) if self.scope.endswith(os.sep) else self.scope in (EVERYWHERE, path)


class Declarations:
    """What one test run has declared so far.

    Args:
        ambient: the variables that were there before the run.

    Attributes:
        path: the file of the test that runs now.
    """

    def __init__(self, ambient: Dict[str, str]) -> None:
        self.ambient = ambient
        self.path: Optional[str] = None
        self._bare = _pattern(())
        self._entries: Dict[Tuple[str, str, int], Declaration] = {}
        self._beneath: Dict[str, List[Declaration]] = {}  # while a variable differs from the shell's: those of before
        self._owner: Tuple[object, str] = (None, "")

    def hide(self, patterns: Iterable[str]) -> None:
        """Hide variables that match one of ``patterns``, besides ``PREFECT__`` variables and ``TOKEN_VARIABLES``.

        Args:
            patterns: globs, as for ``fnmatch``. A pattern that begins with ``!`` excludes the names that it matches.
        """
        self._bare = _pattern(patterns)

    def tracks(self, name: str) -> bool:
        """Whether a variable is hidden from isolated tests unless the run declares it."""
        return name.startswith(PREFIX) or self._bare(name)

    def begin(self, owner: object, source: str) -> Callable[[], None]:
        """Let writes from now on end with ``owner``; the result, called, lets them belong to the former owner again."""
        former, self._owner = self._owner, (owner, source)

        def resume() -> None:
            self._owner = former

        return resume

    def end(self, owner: object) -> None:
        """Forget what a test or a fixture has declared."""
        if any(entry.owner is owner for entry in self._entries.values()):
            self._entries = {key: entry for key, entry in self._entries.items() if entry.owner is not owner}
        for entries in self._beneath.values():
            entries[:] = [entry for entry in entries if entry.owner is not owner]

    def record(self, name: str, text: Optional[str], before: Optional[str]) -> None:
        """Record that the code that runs now has changed a variable from ``before`` to ``text``; None is no variable.

        ``mock.patch.dict`` and ``monkeypatch`` write the shell's value when they end. What the run had declared before
        they began is restored then.
        """
        if not self.tracks(name):
            return
        shell = self.ambient.get(name)
        if shell is not None and text != before:
            if text == shell:
                self._restore(name)
                return
            if before == shell:
                self._beneath[name] = [entry for entry in self._entries.values() if entry.name == name]
        self._add(name, text, *origin_of(sys._getframe(1), text))  # noqa: SLF001

    def _restore(self, name: str) -> None:
        """Replace the declarations of a variable by those of the time when it last had the shell's value."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.name != name}
        for entry in self._beneath.pop(name, ()):
            self._entries[name, entry.scope, id(entry.owner)] = entry

    def record_default(self, name: str, text: str) -> None:
        """Record a default for a variable that is set; it counts where the run has not set the variable."""
        if self.tracks(name):
            scope, source = origin_of(sys._getframe(1), text)  # noqa: SLF001
            if not self._texts(name, scope):
                self._add(name, text, scope, source)

    def _texts(self, name: str, path: Optional[str] = None) -> List[str]:
        """Return what the run has set a variable to, for all tests or for those at ``path``."""
        entries = [entry for entry in self._entries.values() if entry.name == name]
        return [entry.text for entry in entries if entry.text is not None and (path is None or entry.applies_to(path))]

    def _add(self, name: str, text: Optional[str], scope: str, source: str) -> None:
        owner, owner_in_words = self._owner
        key = (name, scope, id(owner))
        self._entries.pop(key, None)
        self._entries[key] = Declaration(name, text, scope, owner, owner_in_words or source)

    def add_defaults(self, texts: Mapping[str, str], source: str) -> None:
        """Declare for every test what is not declared yet."""
        for name, text in texts.items():
            if self.tracks(name) and not self._texts(name, EVERYWHERE):
                self._add(name, text, EVERYWHERE, source)

    def inherit(self, declarations: Iterable[Tuple[str, str, str]]) -> None:
        """Take over what another process of this run has declared (``inheritable``); own declarations are stronger."""
        own, self._entries = self._entries, {}
        for name, scope, source in declarations:
            if name in os.environ:
                self._add(name, os.environ[name], scope, source)
        self._entries.update(own)

    def inheritable(self) -> List[Tuple[str, str, str]]:
        """Return what a child process of this run inherits: names, scopes and sources of declared variables."""
        return [
            (entry.name, entry.scope, entry.source)
            for entry in self._entries.values()
            if entry.owner is None and os.environ.get(entry.name, "") == entry.text
        ]

    def checkpoint(self) -> Callable[[], None]:
        """Return a function that forgets what the present owner declares between now and then."""
        owner, former = self._owner[0], self._entries.copy()

        def forget() -> None:
            others = {key: entry for key, entry in self._entries.items() if entry.owner is not owner}
            self._entries = {**{key: entry for key, entry in former.items() if entry.owner is owner}, **others}

        return forget

    def in_effect(self) -> Dict[str, Declaration]:
        """Return what an isolated test in ``path`` sees, by name, in the order in which it was set."""
        kept: Dict[str, Declaration] = {}
        for entry in self._entries.values():
            if entry.applies_to(self.path):
                kept.pop(entry.name, None)
                if entry.text is not None:
                    kept[entry.name] = entry
        return kept

    def set_at_import(self) -> Dict[str, str]:
        """Return the variables that no test sees because modules have set them at import, with these modules."""
        kept, entries = self.in_effect(), self._entries.values()
        return {e.name: e.source for e in entries if e.text and e.name not in kept and e.source.startswith(IMPORT)}

    def source_of(self, name: str) -> str:
        """Return who has set a hidden variable to what it is now, in words."""
        text = os.environ.get(name)
        sources = [entry.source for entry in self._entries.values() if (entry.name, entry.text) == (name, text)]
        return sources[-1] if sources else SHELL if text == self.ambient.get(name) else "another test"


class ProcessDeclarations(Declarations):
    """A process that runs no tests: there is nobody to declare, so what was set since this import is kept."""

    def in_effect(self) -> Dict[str, Declaration]:
        """Return every variable that is not as it was when this module was imported."""
        return {
            name: Declaration(name, text, EVERYWHERE, None, "this process")
            for name, text in os.environ.items()
            if self.tracks(name) and self.ambient.get(name) != text
        }


def _pattern(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that says whether a name without the prefix is to be hidden."""
    hidden: Dict[str, None] = dict.fromkeys(TOKEN_VARIABLES)
    shown = [translate(pattern[1:]) for pattern in patterns if pattern.startswith("!")]
    hidden.update(dict.fromkeys(pattern for pattern in patterns if not pattern.startswith("!")))
    matches = re.compile("|".join(translate(pattern) for pattern in hidden)).match
    excludes = re.compile("|".join(shown)).match if shown else None
    return lambda name: bool(matches(name)) and not (excludes and excludes(name))


# -- recording ---------------------------------------------------------------------------------------------------------

_runs: List[Declarations] = []  # the innermost last
_last: List[Declarations] = []  # of the last run that was no part of another
_outside = ProcessDeclarations(dict(os.environ))


def current() -> Declarations:
    """Return what the innermost run has declared."""
    return _runs[-1] if _runs else _outside


def start() -> Callable[[], None]:
    """Begin to record for a run, and return a function that ends it.

    A run that follows another one in the same process has what that one declared: its conftest files may not be
    imported again. A run inside another one takes what it finds as ambient.
    """
    if _runs:
        run = Declarations(dict(os.environ))
    else:
        run = _last.pop() if _last else Declarations(_outside.ambient)
        _install()
    _runs.append(run)

    def stop() -> None:
        if run in _runs:
            del _runs[_runs.index(run) :]
            if not _runs:
                _last[:] = [run]
                _uninstall()

    return stop


@contextmanager
def recording_paused() -> Iterator[None]:
    """Record nothing for a while."""
    runs, _runs[:] = list(_runs), []
    try:
        yield
    finally:
        _runs[:] = runs


def _install() -> None:
    plain: Any = type(os.environ)

    class Environ(plain):  # type: ignore[misc]
        """``os.environ`` that records who writes to it."""

        def __setitem__(self, name: str, text: str) -> None:
            before = self.get(name)
            super().__setitem__(name, text)
            for run in _runs[-1:]:
                run.record(name, text, before)

        def __delitem__(self, name: str) -> None:
            before = self.get(name)
            super().__delitem__(name)
            for run in _runs[-1:]:
                run.record(name, None, before)

        def setdefault(self, name: str, text: str) -> Any:
            if name in self:
                for run in _runs[-1:]:
                    run.record_default(name, text)
            return super().setdefault(name, text)

    _installed.append((os.environ, plain))
    os.environ.__class__ = Environ


def _uninstall() -> None:
    environ, plain = _installed.pop()
    environ.__class__ = plain


_installed: List[Tuple[Any, Any]] = []
