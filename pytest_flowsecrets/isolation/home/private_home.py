"""A private ``~/.prefect``: made for one isolation, readable by its owner only, gone afterwards."""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, List, Mapping, Union

from pytest_flowsecrets.isolation.home import config_text
from pytest_flowsecrets.isolation.home.run_folder import RunFolder, on_termination, remove_tree
from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.leaks.registry import registry

EFFECTIVE_CONFIG, EFFECTIVE_BACKEND = "effective-config.toml", "effective-backend.toml"  # copies with our changes
_OURS = (".prefect/config.toml", ".prefect/backend.toml", EFFECTIVE_CONFIG, EFFECTIVE_BACKEND)
# Around a write: the file, what Prefect will read in it, and whether a refusal undoes it.
Writing = Callable[[Path, Dict[str, Any], bool], ContextManager[None]]
ConfigText = Union[str, Mapping[str, Any]]


class PrefectHome:
    """The home directory of an isolation.

    Attributes:
        path: the private ``.prefect`` folder, what ``~/.prefect`` means inside the isolation.
    """

    def __init__(self, root: Path, writing: Writing) -> None:
        self.path = root / ".prefect"
        self._writing = writing

    def __repr__(self) -> str:
        return f"<PrefectHome {str(self.path)!r}>"

    @hide_arguments
    def write_config(self, text_or_mapping: ConfigText, *, strict: bool = True) -> Path:
        """Write ``config.toml`` and let Prefect see it at once.

        Args:
            text_or_mapping: TOML text, or a mapping of the whole file, as ``{"context": {"secrets": {"A": "x"}}}``.
            strict: refuse a text that Prefect could not read. With False the file is written as it is, and what the
                real Prefect raises for it is raised here; the file stays for child processes.

        Returns:
            The path of the file.

        Raises:
            ConfigSyntaxError: the text is no TOML; nothing was written.
            SecretRejected: Prefect refuses to load with it; the former file is back.
            PrefectNotInstalled: not ``strict``, and there is no Prefect that could read it.
        """
        return self._write("config.toml", text_or_mapping, strict=strict)

    @hide_arguments
    def write_backend(self, text_or_mapping: ConfigText, *, strict: bool = True) -> Path:
        """Write ``backend.toml``: read from Prefect 0.10.0 on, stronger than ``config.toml``; as ``write_config``."""
        return self._write("backend.toml", text_or_mapping, strict=strict)

    def _write(self, name: str, text_or_mapping: ConfigText, *, strict: bool) -> Path:
        target = self.path / name
        text = config_text.to_text(text_or_mapping)
        found = config_text.check(text, str(target)) if strict else {}
        if not strict:
            config_text.register_if_broken(text)
        registry.register_settings(found)
        with self._writing(target, found, strict):
            write_private(target, text)
        return target


def write_private(target: Path, text: Union[str, bytes]) -> None:
    """Write a file that only its owner can read, at once or not at all (a rename in the same folder).

    Its folder is made again if the test has deleted it, or has replaced the file system (pyfakefs).
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    os.makedirs(target.parent, mode=0o700, exist_ok=True)  # by os, which pyfakefs replaces; older Paths are real
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


class HomePool:
    """Home directories, used again when they come back: with the same path Prefect's defaults are the same."""

    def __init__(self) -> None:
        self._free: List[Path] = []
        self._active = 0
        self._registered = False
        self._owner = os.getpid()
        self._forked = False
        self._folder = RunFolder()
        atexit.register(self.close)

    def acquire(self) -> Path:
        """An empty home directory (mode 0700) with an empty ``.prefect`` in it."""
        if os.getpid() != self._owner:  # a fork: the parent's directories are not ours to use or to remove
            self._free, self._owner, self._forked, self._folder, self._active = [], os.getpid(), True, RunFolder(), 0
        self._active += 1
        while self._free:
            root = self._free.pop()
            if _is_empty(root):
                return root
        if not self._registered:
            on_termination(self.close)
            self._registered = True
        root = Path(tempfile.mkdtemp(prefix="home-", dir=self._folder.path()))
        (root / ".prefect").mkdir(mode=0o700)
        return root

    def release(self, root: Path) -> None:
        """Take a home directory back and remove whatever the test left in it."""
        if os.getpid() != self._owner:
            return
        self._active -= 1
        for name in _OURS:  # the usual case, cheaper than to remove whatever there may be
            with contextlib.suppress(OSError):
                (root / name).unlink()
        if not _is_empty(root):
            if not remove_tree(root):  # never hand it out again
                warnings.warn(
                    f"the private home {root} may hold secrets and cannot be removed: delete it", stacklevel=2
                )
                return
            (root / ".prefect").mkdir(parents=True)
        root.chmod(0o700)
        (root / ".prefect").chmod(0o700)
        self._free.append(root)
        if self._forked and not self._active:  # it may end by `os._exit`, without a chance to clean up
            self.close()

    def close(self) -> None:
        """Remove every home directory."""
        if os.getpid() == self._owner:
            self._free.clear()
            with contextlib.suppress(Exception):  # pyfakefs raises what it likes once its file system is gone
                self._folder.close()


def _is_empty(root: Path) -> bool:
    try:
        names = os.listdir(root) + os.listdir(root / ".prefect")
    except OSError:
        return False
    return names == [".prefect"] and not (root / ".prefect").is_symlink()


homes = HomePool()
