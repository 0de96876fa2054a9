"""The private ``~/.prefect`` of an isolation. Only its owner can read it, and it is removed afterwards."""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, List, Mapping, Union

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.home import config_text
from pytest_flowsecrets.isolation.home.run_folder import RunFolder, on_termination, remove_tree
from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.leaks.registry import registry

EFFECTIVE_CONFIG, EFFECTIVE_BACKEND = "effective-config.toml", "effective-backend.toml"  # copies with our changes
_OURS = (".prefect/config.toml", ".prefect/backend.toml", EFFECTIVE_CONFIG, EFFECTIVE_BACKEND)
# A context manager around a write. Its arguments: the file, its content as Prefect reads it, and whether to undo the
# write if Prefect rejects the file.
Writing = Callable[[Path, Dict[str, Any], bool], ContextManager[None]]
ConfigText = Union[str, Mapping[str, Any]]


class PrefectHome:
    """The home directory of an isolation.

    Attributes:
        path: the private ``.prefect`` folder. Inside the isolation, ``~/.prefect`` refers to it.
    """

    def __init__(self, root: Path, writing: Writing) -> None:
        self.path = root / ".prefect"
        self._writing = writing

    def __repr__(self) -> str:
        return f"<PrefectHome {str(self.path)!r}>"

    @hide_arguments
    def write_config(self, text_or_mapping: ConfigText, *, strict: bool = True) -> Path:
        """Write ``config.toml``. Prefect sees the new file immediately.

        Args:
            text_or_mapping: TOML text, or a mapping of the whole file such as ``{"context": {"secrets": {"A": "x"}}}``.
            strict: reject a text that Prefect cannot read. With False the file is written in any case, the error of the
                real Prefect is raised, and the file stays for child processes.

        Returns:
            The path of the file.

        Raises:
            ConfigSyntaxError: the text is not valid TOML. Nothing was written.
            SecretRejected: Prefect cannot load the file. The previous file was restored.
            UsageError: ``~/.prefect`` is not a folder. Nothing was written.
            PrefectNotInstalled: ``strict`` is False, and Prefect is not installed.
        """
        return self._write("config.toml", text_or_mapping, strict=strict)

    @hide_arguments
    def write_backend(self, text_or_mapping: ConfigText, *, strict: bool = True) -> Path:
        """Write ``backend.toml``, as ``write_config`` does. Prefect 0.10.0 and later read it after ``config.toml``."""
        return self._write("backend.toml", text_or_mapping, strict=strict)

    def _write(self, name: str, text_or_mapping: ConfigText, *, strict: bool) -> Path:
        target = self.path / name
        text = config_text.to_text(text_or_mapping)
        content = config_text.check(text, str(target)) if strict else {}
        if not strict:
            config_text.register_if_broken(text)
        registry.register_settings(content)
        with self._writing(target, content, strict):
            write_private(target, text)
        return target


def write_private(target: Path, text: Union[str, bytes]) -> None:
    """Write a file that only its owner can read, atomically (by a rename in the same folder).

    The folder is created again if the test has deleted it or has replaced the file system (pyfakefs).

    Raises:
        UsageError: the test has put something else in the place of the folder.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        # pyfakefs replaces the functions of `os`; Path objects from before the replacement use the real file system.
        os.makedirs(target.parent, mode=0o700, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(
            f"{target.parent} is not a folder: the test has replaced it; remove it before you write {target.name}"
        ) from None
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def file_savepoint(target: Path) -> Callable[[], None]:
    """Remember the content of a file, and return a function that restores it or removes the file."""
    content = target.read_bytes() if target.exists() else None

    def restore() -> None:
        if content is not None:
            write_private(target, content)
        else:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                target.unlink()

    return restore


class HomePool:
    """Home directories for isolations. They are reused, because Prefect's defaults depend on the path of the home."""

    def __init__(self) -> None:
        self._free: List[Path] = []
        self._active = 0
        self._registered = False
        self._owner = os.getpid()
        self._forked = False
        self._folder = RunFolder()
        atexit.register(self.close)

    def acquire(self) -> Path:
        """Return an empty home directory (mode 0700) that contains an empty ``.prefect``."""
        if os.getpid() != self._owner:  # a fork must neither use nor remove the directories of its parent
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
        """Return a home directory to the pool and remove its contents."""
        if os.getpid() != self._owner:
            return
        self._active -= 1
        for name in _OURS:  # usually nothing else is there, and this is faster than to remove the folder
            with contextlib.suppress(OSError):
                (root / name).unlink()
        if not _is_empty(root):
            if not remove_tree(root):  # never use it again
                warnings.warn(
                    f"the private home {root} may hold secrets and cannot be removed: delete it", stacklevel=2
                )
                return
            (root / ".prefect").mkdir(parents=True)
        root.chmod(0o700)
        (root / ".prefect").chmod(0o700)
        self._free.append(root)
        if self._forked and not self._active:  # a fork may end by `os._exit`, which runs no exit handlers
            self.close()

    def close(self) -> None:
        """Remove every home directory."""
        if os.getpid() == self._owner:
            self._free.clear()
            with contextlib.suppress(Exception):  # pyfakefs raises various errors after it has removed its file system
                self._folder.close()


def _is_empty(root: Path) -> bool:
    try:
        names = os.listdir(root) + os.listdir(root / ".prefect")
    except OSError:
        return False
    return names == [".prefect"] and not (root / ".prefect").is_symlink()


homes = HomePool()
