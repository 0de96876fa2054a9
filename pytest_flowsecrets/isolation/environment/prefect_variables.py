"""The variables that determine Prefect's configuration: ``PREFECT__…``, and those that name the home directory.

The module ``declarations`` decides which of them an isolated test keeps. Outside a test run, a script keeps the
variables that it has set since it imported this package.
"""

from __future__ import annotations

import os
import site
from functools import lru_cache
from typing import Callable, Collection, Dict, List, Mapping, Optional

from pytest_flowsecrets.isolation.environment import declarations
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

HOME_NAMES = ("HOME", "USERPROFILE") if os.name == "nt" else ("HOME",)  # what `~` follows
_USER_BASE = "PYTHONUSERBASE"
_MAX_BYTES = 100_000  # Linux does not start a process with a variable of 128 KiB or more


def variable_for(name: str, text: str, version: str) -> Optional[str]:
    """Return the variable that defines a secret with exactly this name and text, or None if no variable can.

    Prefect changes some names (``secret_of``). The operating system does not allow NUL, very long texts, or ``=`` in
    names.
    """
    if "=" in name or "\0" in name + text or secret_of(SECRETS_PREFIX + name, version) != name:
        return None
    try:
        return SECRETS_PREFIX + name if len(os.fsencode(name + text)) < _MAX_BYTES else None
    except UnicodeEncodeError:
        return None


@lru_cache(maxsize=4096)
def secret_of(variable: str, version: str) -> Optional[str]:
    """Return the secret that a variable defines, or of which it defines a part (``A__B``); None for other variables.

    Prefect up to 0.6.6 lower-cases the whole name, and up to 0.14.22 all but the last part. From 0.15.0 on it keeps the
    name, but ignores a prefix in mixed case.
    """
    from pytest_flowsecrets.resolution.dialects import dialect_for
    from pytest_flowsecrets.resolution.env_names import is_secret, key_of

    key = key_of(variable, dialect_for(version))
    return key[2] if key is not None and is_secret(key) and len(key) > 2 else None  # noqa: PLR2004 - (context, secrets)


class PrefectVariables:
    """Prefect's part of ``os.environ`` in one isolation. It hides ambient variables and restores everything at the end.

    Attributes:
        kept: the source of each variable that was kept.
        hidden: the source of each variable that was hidden.
    """

    def __init__(self) -> None:
        self._saved: Dict[str, str] = {}
        self._ambient: Dict[str, str] = {}
        self._home = ""
        self._roll_back: Callable[[], None] = lambda: None
        self.kept: Dict[str, str] = {}
        self.hidden: Dict[str, str] = {}

    def enter(self, home: str, of_outer: Mapping[str, str]) -> None:
        """Hide the ambient variables and those of outer isolations, and move the home directory to ``home``."""
        run = declarations.current()
        self._saved, self._home, self._roll_back = current_variables(), home, run.checkpoint()
        in_effect = {name: entry for name, entry in run.in_effect().items() if of_outer.get(name) != entry.text}
        self._hide(run, {*in_effect, *of_outer})
        self.kept = {name: entry.source for name, entry in in_effect.items()}
        os.environ.update((name, entry.text or "") for name, entry in in_effect.items())
        self._move_home(home)

    def _hide(self, run: declarations.Declarations, excluded: Collection[str]) -> None:
        """Remove all tracked variables, and report them as hidden except those in ``excluded``."""
        tracked = {name: self._saved[name] for name in run.tracked(self._saved)}
        self.hidden = {name: run.source_of(name) for name in tracked if name not in excluded}
        self._ambient = {name: text for name, text in tracked.items() if run.ambient.get(name) == text}
        for name in tracked:
            os.environ.pop(name, None)

    @staticmethod
    def _move_home(home: str) -> None:
        if _USER_BASE not in os.environ and site.ENABLE_USER_SITE:
            # Python looks for packages of `pip install --user` below HOME. A child process must still find them.
            os.environ[_USER_BASE] = site.getuserbase()
        for name in HOME_NAMES:
            os.environ[name] = home

    def notes(self, secret: str, version: str) -> List[str]:
        """Return a line for each variable of a secret that was hidden or kept when the isolation began."""
        return [
            f"{label} in this test: {name} ({source})"
            for label, sources in (("hidden", self.hidden), ("kept", self.kept))
            for name, source in sources.items()
            if secret in (name, secret_of(name, version))
        ]

    def keep_home(self) -> None:
        """Set the home variables again if the test has removed them, so that ``~`` never means the real home."""
        for name in HOME_NAMES:
            os.environ.setdefault(name, self._home)

    def exit(self) -> None:
        """Restore Prefect's variables to their values before ``enter``, even if the test has changed them."""
        restore_variables(self._saved)
        self._roll_back()

    def resume(self, variables: Mapping[str, str]) -> None:
        """Continue after a temporary ``exit``. The next ``exit`` restores the values of this moment."""
        self._saved, self._roll_back = current_variables(), declarations.current().checkpoint()
        restore_variables(variables)

    def sweep(self, own: Mapping[str, str]) -> None:
        """Remove variables that code older than the isolation, such as ``monkeypatch``, has restored after ``exit``.

        Such code undoes its own changes. Only variables that the isolation had set (``own``) or hidden are corrected.
        """
        for name, text in own.items():
            if os.environ.get(name) == text and self._saved.get(name) != text:
                os.environ.pop(name, None)
        for name, text in self._ambient.items():
            if name not in os.environ:
                os.environ[name] = text
        for name in HOME_NAMES:
            if os.environ.get(name) == self._home:
                _set(name, self._saved.get(name))


def current_variables() -> Dict[str, str]:
    """Return the variables that a child process needs to see the same secrets, in order: home and tracked variables."""
    names = list(os.environ)
    kept = {*HOME_NAMES, _USER_BASE, *declarations.current().tracked(names)}
    texts = [(name, os.environ.get(name)) for name in names if name in kept]
    return {name: text for name, text in texts if text is not None}  # another thread may have removed a variable


def _set(name: str, text: Optional[str]) -> None:
    if text is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = text


def restore_variables(saved: Mapping[str, str]) -> None:
    """Restore a result of ``current_variables``, including its order, in which Prefect reads the variables."""
    for name in current_variables():
        if name not in saved:
            os.environ.pop(name, None)
    for name, text in saved.items():
        if os.environ.get(name) != text:
            os.environ[name] = text
    _restore_order(saved)


def _restore_order(saved: Mapping[str, str]) -> None:
    names = [name for name in saved if name.startswith(PREFIX)]
    if names != [name for name in os.environ if name.startswith(PREFIX)]:
        for name in names:
            os.environ.pop(name, None)
            os.environ[name] = saved[name]
