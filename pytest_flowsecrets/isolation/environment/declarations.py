"""Which environment variables a test run declares, and which ones are ambient.

An isolated test sees a variable only if the run itself sets it in code that always runs with this test. Every other
variable is *ambient* and hidden. The code that sets the variable decides, not the value. A variable that the shell
also sets, to the same value, is still declared.

===============================================================  ===================================================
Code that sets the variable                                      Isolated tests that see it
===============================================================  ===================================================
before pytest loads this plugin (shell, CI, tox)                 none
a plugin, such as pytest-env or pytest-dotenv                    all
a ``conftest.py``, at import or in a hook                        tests below its folder
a test module, at import                                         tests of this module
a module that ``conftest.py`` imports, from a literal            tests below the folder of that ``conftest.py``
other modules, at import: ``load_dotenv()`` in a flow module     none
a fixture of wider scope                                         all, until the teardown of the fixture
a test and its own fixtures                                      this test
===============================================================  ===================================================

A default (``os.environ.setdefault``, ``D:`` or ``skip_if_set`` of pytest-env) is a declaration even if the shell sets
the variable. Outside isolations the shell's value applies, inside them the default.

While a run is active, ``os.environ`` records each write, and the call stack shows which code made it. Runs can be
nested, because pytester starts pytest in this process.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from fnmatch import translate
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Pattern, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.environment.write_origins import EVERYWHERE, IMPORT, SHELL, origin_of
from pytest_flowsecrets.names import PREFIX, REST_PREFIX
from pytest_flowsecrets.versions import uses_rest_api

# Variables that Prefect's storages read if the secret of this name is missing (0.12.1 to 1.4.1), and Bitbucket's user.
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
        name: the name of the variable.
        text: the new value, or None if the variable was removed.
        scope: the tests that see it: ``EVERYWHERE``, a folder (with a trailing separator) or a file.
        owner: the test or fixture at whose end the declaration ends, or None for the whole run.
        source: a description of the code that made the write.
    """

    name: str
    text: Optional[str]
    scope: str
    owner: object
    source: str

    def __repr__(self) -> str:
        return f"<Declaration of {self.name} by {self.source}>"

    def applies_to(self, path: Optional[str]) -> bool:
        """Return whether a test in the file ``path`` sees the write. A path of None stands for code outside tests."""
        if path is None:
            return not self.scope or self.scope.endswith(os.sep)
        return path.startswith(self.scope) if self.scope.endswith(os.sep) else self.scope in (EVERYWHERE, path)


class Declarations:
    """The declarations of one test run.

    Args:
        ambient: the variables before the run.

    Attributes:
        path: the file of the current test.
    """

    def __init__(self, ambient: Dict[str, str]) -> None:
        self.ambient = ambient
        self.path: Optional[str] = None
        self._is_hidden = _pattern(()).match
        self._entries: Dict[Tuple[str, str, int], Declaration] = {}
        self._before_override: Dict[str, List[Declaration]] = {}  # from when the variable last had the shell's value
        self._owner: Tuple[object, str] = (None, "")

    def hide(self, patterns: Iterable[str]) -> None:
        """Hide variables that match one of ``patterns``, besides Prefect's settings and ``TOKEN_VARIABLES``.

        Args:
            patterns: globs, as for ``fnmatch``. A pattern that begins with ``!`` excludes the names that it matches.
        """
        self._is_hidden = _pattern(patterns).match

    def tracked(self, names: Iterable[str]) -> List[str]:
        """Return the variables among ``names`` that are hidden from isolated tests unless the run declares them."""
        is_hidden = self._is_hidden  # for all names at once, because each isolation asks for the whole environment
        return [name for name in names if is_hidden(name) or (name.startswith(REST_PREFIX) and _is_rest_line())]

    def tracks(self, name: str) -> bool:
        """Return whether a variable is hidden from isolated tests unless the run declares it."""
        return bool(self.tracked((name,)))

    def begin(self, owner: object, source: str) -> Callable[[], None]:
        """Make ``owner`` the owner of all writes from now on, and return a function that restores the previous one."""
        previous, self._owner = self._owner, (owner, source)

        def resume() -> None:
            self._owner = previous

        return resume

    def end(self, owner: object) -> None:
        """Remove the declarations of a test or fixture."""
        if any(entry.owner is owner for entry in self._entries.values()):
            self._entries = {key: entry for key, entry in self._entries.items() if entry.owner is not owner}
        for entries in self._before_override.values():
            entries[:] = [entry for entry in entries if entry.owner is not owner]

    def record(self, name: str, text: Optional[str], before: Optional[str]) -> None:
        """Record that the running code changed a variable.

        ``mock.patch.dict`` and ``monkeypatch`` write the shell's value when they end. In that case the declarations
        from before they began are restored.

        Args:
            name: the name of the variable.
            text: the new value, or None if the variable was removed.
            before: the previous value, or None if the variable did not exist.
        """
        if not self.tracks(name):
            return
        shell = self.ambient.get(name)
        if shell is not None and text != before:
            if text == shell:
                self._restore(name)
                return
            if before == shell:
                self._before_override[name] = [entry for entry in self._entries.values() if entry.name == name]
        self._add(name, text, *origin_of(sys._getframe(1), text))  # noqa: SLF001

    def _restore(self, name: str) -> None:
        """Restore the declarations of a variable from when it last had the shell's value."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.name != name}
        for entry in self._before_override.pop(name, ()):
            self._entries[name, entry.scope, id(entry.owner)] = entry

    def record_default(self, name: str, text: str) -> None:
        """Record a default for a variable that is already set. It applies unless the run itself sets the variable."""
        if self.tracks(name):
            scope, source = origin_of(sys._getframe(1), text)  # noqa: SLF001
            if not self._texts(name, scope):
                self._add(name, text, scope, source)

    def _texts(self, name: str, path: Optional[str] = None) -> List[str]:
        """Return the values to which the run has set a variable, for all tests or for those at ``path``."""
        entries = [entry for entry in self._entries.values() if entry.name == name]
        return [entry.text for entry in entries if entry.text is not None and (path is None or entry.applies_to(path))]

    def _add(self, name: str, text: Optional[str], scope: str, source: str) -> None:
        owner, description = self._owner
        key = (name, scope, id(owner))
        self._entries.pop(key, None)
        self._entries[key] = Declaration(name, text, scope, owner, description or source)

    def add_defaults(self, texts: Mapping[str, str], source: str) -> None:
        """Declare variables for every test, except those that are already declared."""
        for name, text in texts.items():
            if self.tracks(name) and not self._texts(name, EVERYWHERE):
                self._add(name, text, EVERYWHERE, source)

    def inherit(self, declarations: Iterable[Tuple[str, str, str]]) -> None:
        """Add the declarations of another process of this run (``inheritable``). Own declarations take precedence."""
        own, self._entries = self._entries, {}
        for name, scope, source in declarations:
            if name in os.environ:
                self._add(name, os.environ[name], scope, source)
        self._entries.update(own)

    def inheritable(self) -> List[Tuple[str, str, str]]:
        """Return the name, scope and source of each declaration that a child process of this run inherits."""
        return [
            (entry.name, entry.scope, entry.source)
            for entry in self._entries.values()
            if entry.owner is None and os.environ.get(entry.name, "") == entry.text
        ]

    def checkpoint(self) -> Callable[[], None]:
        """Return a function that removes the declarations that the current owner makes until it is called."""
        owner, before = self._owner[0], self._entries.copy()

        def roll_back() -> None:
            others = {key: entry for key, entry in self._entries.items() if entry.owner is not owner}
            self._entries = {**{key: entry for key, entry in before.items() if entry.owner is owner}, **others}

        return roll_back

    def in_effect(self) -> Dict[str, Declaration]:
        """Return the declarations that an isolated test in ``path`` sees, by name, in the order of the writes."""
        declarations: Dict[str, Declaration] = {}
        for entry in self._entries.values():
            if entry.applies_to(self.path):
                declarations.pop(entry.name, None)
                if entry.text is not None:
                    declarations[entry.name] = entry
        return declarations

    def set_at_import(self) -> Dict[str, str]:
        """Return the variables that no test sees because modules set them at import, with the sources of the writes."""
        in_effect, entries = self.in_effect(), self._entries.values()
        return {e.name: e.source for e in entries if e.text and e.name not in in_effect and e.source.startswith(IMPORT)}

    def source_of(self, name: str) -> str:
        """Return a description of the code that set a hidden variable to its current value."""
        text = os.environ.get(name)
        sources = [entry.source for entry in self._entries.values() if (entry.name, entry.text) == (name, text)]
        return sources[-1] if sources else SHELL if text == self.ambient.get(name) else "another test"


class ProcessDeclarations(Declarations):
    """The declarations of a process that runs no tests: every write since the import of this module counts as one."""

    def in_effect(self) -> Dict[str, Declaration]:
        """Return every variable whose value differs from that at the import of this module."""
        return {
            name: Declaration(name, text, EVERYWHERE, None, "this process")
            for name, text in os.environ.items()
            if self.ambient.get(name) != text and self.tracks(name)
        }


def _is_rest_line() -> bool:
    """Return whether Prefect 2.20 or 3 is installed, whose settings are variables."""
    try:
        return uses_rest_api()
    except UsageError:  # the test has replaced the file system before anything has asked
        return False


def _pattern(patterns: Iterable[str]) -> Pattern[str]:
    """Return a pattern of the names to hide: ``PREFECT__…``, ``TOKEN_VARIABLES``, and those of the user's globs."""
    shown = [translate(pattern[1:]) for pattern in patterns if pattern.startswith("!")]
    hidden = [*TOKEN_VARIABLES, *(pattern for pattern in patterns if not pattern.startswith("!"))]
    names = "|".join(map(translate, dict.fromkeys(hidden)))
    except_shown = f"(?!{'|'.join(shown)})" if shown else ""
    return re.compile(f"{PREFIX}|{except_shown}(?:{names})")


# -- recording ---------------------------------------------------------------------------------------------------------

_runs: List[Declarations] = []  # the innermost last
_previous: List[Declarations] = []  # of the previous outermost run
_process = ProcessDeclarations(dict(os.environ))


def current() -> Declarations:
    """Return the declarations of the innermost run."""
    return _runs[-1] if _runs else _process


def start() -> Callable[[], None]:
    """Start to record for a run, and return a function that ends the run.

    A run that follows another one in the same process starts with the declarations of that run, because Python may not
    import its conftest files again. For a nested run, all variables that exist at its start are ambient.
    """
    if _runs:
        run = Declarations(dict(os.environ))
    else:
        run = _previous.pop() if _previous else Declarations(_process.ambient)
        _install()
    _runs.append(run)

    def stop() -> None:
        if run in _runs:
            del _runs[_runs.index(run) :]
            if not _runs:
                _previous[:] = [run]
                _uninstall()

    return stop


@contextmanager
def recording_paused() -> Iterator[None]:
    """Record no writes inside the ``with`` block."""
    runs, _runs[:] = list(_runs), []
    try:
        yield
    finally:
        _runs[:] = runs


def _install() -> None:
    plain: Any = type(os.environ)

    class Environ(plain):  # type: ignore[misc]
        """``os.environ``, which also records each write."""

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
