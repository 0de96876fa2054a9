"""Find Prefect's two config files on this machine, and the home directories of its users."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Dict, Iterator, Mapping, Optional, Tuple

from pytest_flowsecrets.names import PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.resolve import Machine

#: For each kind of layer: the variable that names the file, and the default path.
FILES: Dict[str, Tuple[str, str]] = {
    "user": (f"{PREFIX}USER_CONFIG_PATH", "~/.prefect/config.toml"),
    "backend": (f"{PREFIX}BACKEND_CONFIG_PATH", "~/.prefect/backend.toml"),
}


MISSING = "the file does not exist here: Prefect reads neither it nor the file in ~/.prefect"
MISSING_ADVICE = "set the variable to a file that exists, or remove the variable"


def config_files(environ: Mapping[str, str] = os.environ, version: Optional[str] = None) -> Iterator[Tuple[str, str]]:
    """Yield the kind and the path of each existing file that Prefect reads in a process with this environment.

    Args:
        environ: the environment.
        version: the version of Prefect; by default 1.4.1.

    Raises:
        UnknownPrefectVersion: the version does not exist.
    """
    for kind in FILES:
        path = config_path(configured_path(kind, environ), environ, version)
        if path is not None and os.path.isfile(path):
            yield kind, path


def config_path(text: str, environ: Mapping[str, str] = os.environ, version: Optional[str] = None) -> Optional[str]:
    """Expand ``$NAME`` and ``~`` in the path of a config file repeatedly until nothing changes, as Prefect does.

    Args:
        text: the path before the expansion.
        environ: the environment.
        version: the version of Prefect, which decides the type of a path after two rounds; by default 1.4.1.

    Returns:
        The path, or None if the result is not text or still changes after ten rounds. Prefect then reads no file.

    Raises:
        UnknownPrefectVersion: the version does not exist.
    """
    from pytest_flowsecrets.resolution.dialects import dialect_for
    from pytest_flowsecrets.resolution.layers import PrefectLoadError
    from pytest_flowsecrets.resolution.loader.interpolate import LoadContext, interpolate
    from pytest_flowsecrets.versions import DEFAULT_VERSION

    dialect = dialect_for(version or DEFAULT_VERSION)
    around = LoadContext(dialect, environ, os.path.expanduser("~"), UserHomes(), sys.version_info[:2])
    try:
        path, _ = interpolate(text, around)
    except PrefectLoadError:
        return None
    return path if isinstance(path, str) else None


def missing_file(variable: str, path: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a variable names one of Prefect's files, and that file does not exist on this machine.

    Args:
        variable: the name of any variable.
        path: the value of the variable, which may contain ``~`` and ``$NAME``.
        environ: the environment.
    """
    names_a_file = any(variable == name for name, _ in FILES.values())
    return names_a_file and not os.path.isfile(config_path(path, environ) or "")


def missing_files(environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Yield a finding for each variable that names a missing file.

    Args:
        environ: the environment.
    """
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.layers import variable

    for name, _ in FILES.values():
        if name in environ and missing_file(name, environ[name], environ):
            yield Finding("FS017", "error", "", variable(environ, name), MISSING, "0.5.0-1.4.1", MISSING_ADVICE)


def configured_path(kind: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the path of a file before the expansion. It may contain ``~`` and ``$NAME``."""
    variable, usual = FILES[kind]
    return environ.get(variable, usual)


def this_machine() -> Machine:
    """Return this machine's data for the model of ``resolution``."""
    from pytest_flowsecrets.resolution.resolve import Machine

    return Machine(os.path.expanduser("~"), UserHomes())


class UserHomes(Mapping[str, str]):
    """The home directories of other users, looked up on demand."""

    def __getitem__(self, name: str) -> str:
        try:
            import pwd
        except ImportError:  # Windows
            raise KeyError(name) from None
        return pwd.getpwnam(name).pw_dir

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
