"""The part of ``os.environ`` that decides what Prefect sees: ``PREFECT__…`` and where the home directory is.

Which of these variables an isolated test keeps is the rule of ``declarations``. Outside of a test run there is no such
rule: a script keeps what it has set since this package was imported.
"""

from __future__ import annotations

import os
import site
from functools import lru_cache
from typing import Callable, Dict, List, Mapping, Optional

from pytest_flowsecrets.isolation.environment import declarations
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

HOME_NAMES = ("HOME", "USERPROFILE") if os.name == "nt" else ("HOME",)  # what `~` follows
_USER_BASE = "PYTHONUSERBASE"
_LONGEST = 100_000  # bytes; Linux refuses to start a process with a variable of 128 KiB


def variable_for(name: str, text: str, version: str) -> Optional[str]:
    """The variable that gives a secret of exactly this name and text, or None where no variable can.

    Prefect changes some names (``secret_of``), and the operating system allows neither NUL nor, in names, ``=``, nor
    very long texts.
    """
    if "=" in name or "\0" in name + text or secret_of(SECRETS_PREFIX + name, version) != name:
        return None
    try:
        return SECRETS_PREFIX + name if len(os.fsencode(name + text)) < _LONGEST else None
    except UnicodeEncodeError:
        return None


@lru_cache(maxsize=4096)
def secret_of(variable: str, version: str) -> Optional[str]:
    """The secret that a variable defines, wholly or (``A__B``) a part of; None if it is not about secrets.

    Up to 0.6.6 the whole name is lower-cased, up to 0.14.22 all but the last part, from 0.15.0 nothing, but then the
    prefix counts only in upper case or in lower case throughout.
    """
    from pytest_flowsecrets.resolution.dialects import dialect_for
    from pytest_flowsecrets.resolution.env_names import is_secret, key_of

    key = key_of(variable, dialect_for(version))
    return key[2] if key is not None and is_secret(key) and len(key) > 2 else None  # noqa: PLR2004 - (context, secrets)


class PrefectVariables:
    """Prefect's part of ``os.environ``: taken, hidden, changed, and given back as it was.

    Attributes:
        kept: who has declared each variable that was kept, in words.
        hidden: who has set each variable that was hidden, in words.
    """

    def __init__(self) -> None:
        self._saved: Dict[str, str] = {}
        self._ambient: Dict[str, str] = {}
        self._home = ""
        self._forget: Callable[[], None] = lambda: None
        self.kept: Dict[str, str] = {}
        self.hidden: Dict[str, str] = {}

    def enter(self, home: str, of_outer: Mapping[str, str]) -> None:
        """Hide the ambient variables and those of outer isolations, and move the home directory to ``home``."""
        run = declarations.current()
        self._saved, self._home, self._forget = current_variables(), home, run.checkpoint()
        kept = {name: entry for name, entry in run.in_effect().items() if of_outer.get(name) != entry.text}
        self.kept = {name: entry.source for name, entry in kept.items()}
        tracked = {name: text for name, text in self._saved.items() if run.tracks(name)}
        self.hidden = {name: run.source_of(name) for name in tracked if name not in kept and name not in of_outer}
        self._ambient = {name: text for name, text in tracked.items() if run.ambient.get(name) == text}
        for name in tracked:
            os.environ.pop(name, None)
        os.environ.update((name, entry.text or "") for name, entry in kept.items())
        if _USER_BASE not in os.environ and site.ENABLE_USER_SITE:
            # Python looks for packages of `pip install --user` below HOME; a child process must still find them.
            os.environ[_USER_BASE] = site.getuserbase()
        for name in HOME_NAMES:
            os.environ[name] = home

    def notes(self, secret: str, version: str) -> List[str]:
        """Return a line for each variable for a secret that was hidden or kept when the isolation began."""
        return [
            f"{label} in this test: {name} ({source})"
            for label, sources in (("hidden", self.hidden), ("kept", self.kept))
            for name, source in sources.items()
            if secret in (name, secret_of(name, version))
        ]

    def keep_home(self) -> None:
        """Set the home directory again if the test has removed it, so that ``~`` never means the developer's own."""
        for name in HOME_NAMES:
            os.environ.setdefault(name, self._home)

    def exit(self) -> None:
        """Make everything that belongs to Prefect as it was, whatever the test did to it."""
        restore_variables(self._saved)
        self._forget()

    def resume(self, variables: Mapping[str, str]) -> None:
        """Go on after an ``exit`` for a while: what has changed meanwhile comes back at the next one."""
        self._saved, self._forget = current_variables(), declarations.current().checkpoint()
        restore_variables(variables)

    def sweep(self, ours: Mapping[str, str]) -> None:
        """After ``exit``: take away what something older than the isolation (a ``monkeypatch``) has put back since.

        Whoever changes variables around an isolation undoes that by itself; only what the isolation itself had set
        (``ours``) or hidden is looked after.
        """
        for name, text in ours.items():
            if os.environ.get(name) == text and self._saved.get(name) != text:
                os.environ.pop(name, None)
        for name, text in self._ambient.items():
            if name not in os.environ:
                os.environ[name] = text
        for name in HOME_NAMES:
            if os.environ.get(name) == self._home:
                _set(name, self._saved.get(name))


def current_variables() -> Dict[str, str]:
    """What a child process needs to see the same: the home directory and all that can be hidden, in order."""
    tracks = declarations.current().tracks
    names = [name for name in os.environ if name in HOME_NAMES or name == _USER_BASE or tracks(name)]
    texts = [(name, os.environ.get(name)) for name in names]
    return {name: text for name, text in texts if text is not None}  # another thread may have removed one


def _set(name: str, text: Optional[str]) -> None:
    if text is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = text


def restore_variables(saved: Mapping[str, str]) -> None:
    """Make Prefect's part of ``os.environ`` what ``visible`` had said, order included: Prefect reads it in order."""
    for name in current_variables():
        if name not in saved:
            os.environ.pop(name, None)
    for name, text in saved.items():
        if os.environ.get(name) != text:
            os.environ[name] = text
    wanted = [name for name in saved if name.startswith(PREFIX)]
    if wanted != [name for name in os.environ if name.startswith(PREFIX)]:
        for name in wanted:
            os.environ.pop(name, None)
            os.environ[name] = saved[name]
