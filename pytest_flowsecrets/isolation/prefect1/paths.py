"""What Prefect finds on this machine: the two files besides its own, each by a variable or in a home, and the homes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Dict, Iterator, Mapping, Optional, Tuple

from pytest_flowsecrets.names import PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.resolve import Machine

#: Kind of layer: the variable that names the file, and the file where it is not set.
FILES: Dict[str, Tuple[str, str]] = {
    "user": (f"{PREFIX}USER_CONFIG_PATH", "~/.prefect/config.toml"),
    "backend": (f"{PREFIX}BACKEND_CONFIG_PATH", "~/.prefect/backend.toml"),
}


MISSING = "it names no file here: Prefect reads none, and not the one in ~/.prefect either"
MISSING_ADVICE = "name a file that exists, or leave the variable out"


def config_files(environ: Mapping[str, str] = os.environ, version: Optional[str] = None) -> Iterator[Tuple[str, str]]:
    """Yield kind and path of each existing file that Prefect reads in a process with this environment.

    Args:
        environ: the environment.
        version: of Prefect; by default the newest.

    Raises:
        UnknownPrefectVersion: no such release.
    """
    for kind in FILES:
        path = config_path(configured_path(kind, environ), environ, version)
        if path is not None and os.path.isfile(path):
            yield kind, path


def config_path(text: str, environ: Mapping[str, str] = os.environ, version: Optional[str] = None) -> Optional[str]:
    """Expand the path of a config file as Prefect does: ``$NAME`` and ``~`` until nothing changes.

    Args:
        text: the path as it is written.
        environ: the environment.
        version: of Prefect, which decides what a path that took two rounds is typed as; by default the newest.

    Returns:
        The path, or None where it comes to no text, or to none after ten rounds: then Prefect reads no file.

    Raises:
        UnknownPrefectVersion: no such release.
    """
    from pytest_flowsecrets.resolution.dialects import dialect_for
    from pytest_flowsecrets.resolution.layers import Refused
    from pytest_flowsecrets.resolution.loader.interpolate import Surroundings, interpolate
    from pytest_flowsecrets.versions import DEFAULT_VERSION

    dialect = dialect_for(version or DEFAULT_VERSION)
    around = Surroundings(dialect, environ, os.path.expanduser("~"), UserHomes(), sys.version_info[:2])
    try:
        path, _ = interpolate(text, around)
    except Refused:
        return None
    return path if isinstance(path, str) else None


def missing_file(variable: str, path: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a variable that names one of Prefect's files names none that exists on this machine.

    Args:
        variable: any variable.
        path: its value, with ``~`` and ``$NAME`` in it.
        environ: the environment.
    """
    names_a_file = any(variable == name for name, _ in FILES.values())
    return names_a_file and not os.path.isfile(config_path(path, environ) or "")


def missing_files(environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Report the variables that name a file that is not there.

    Args:
        environ: the environment.
    """
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.layers import variable

    for name, _ in FILES.values():
        if name in environ and missing_file(name, environ[name], environ):
            yield Finding("FS017", "error", "", variable(environ, name), MISSING, "0.5.0-1.4.1", MISSING_ADVICE)


def configured_path(kind: str, environ: Mapping[str, str] = os.environ) -> str:
    """The path of a file as it is said, with ``~`` and ``$NAME`` in it."""
    variable, usual = FILES[kind]
    return environ.get(variable, usual)


def this_machine() -> Machine:
    """This machine as the model of ``resolution`` sees it."""
    from pytest_flowsecrets.resolution.resolve import Machine

    return Machine(os.path.expanduser("~"), UserHomes())


class UserHomes(Mapping[str, str]):
    """Homes of other users, looked up when they are asked for."""

    def __getitem__(self, name: str) -> str:
        import pwd

        return pwd.getpwnam(name).pw_dir

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
