"""What Prefect finds on this machine: the two files besides its own, each by a variable or in a home, and the homes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, Iterator, Mapping, Tuple

from pytest_flowsecrets.resolution.names import PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.advice import Finding
    from pytest_flowsecrets.resolution.resolve import Machine

#: Kind of layer: the variable that names the file, and the file where it is not set.
FILES: Dict[str, Tuple[str, str]] = {
    "user": (f"{PREFIX}USER_CONFIG_PATH", "~/.prefect/config.toml"),
    "backend": (f"{PREFIX}BACKEND_CONFIG_PATH", "~/.prefect/backend.toml"),
}


MISSING = "it names no file here: Prefect reads none, and not the one in ~/.prefect either"
MISSING_ADVICE = "name a file that exists, or leave the variable out"


def config_files(environ: Mapping[str, str] = os.environ) -> Iterator[Tuple[str, str]]:
    """Yield kind and path of each existing file that Prefect reads in a process with this environment."""
    for kind in FILES:
        path = os.path.expanduser(os.path.expandvars(said_path(kind, environ)))
        if os.path.isfile(path):
            yield kind, path


def missing_file(variable: str, path: str) -> bool:
    """Tell whether a variable that names one of Prefect's files names none that exists on this machine.

    Args:
        variable: any variable.
        path: its value, with ``~`` and ``$NAME`` in it.
    """
    names_a_file = any(variable == name for name, _ in FILES.values())
    return names_a_file and not os.path.isfile(os.path.expanduser(os.path.expandvars(path)))


def missing_files(environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Report the variables that name a file that is not there.

    Args:
        environ: the environment.
    """
    from pytest_flowsecrets.resolution.advice import Finding
    from pytest_flowsecrets.resolution.layers import variable

    for name, _ in FILES.values():
        if name in environ and missing_file(name, environ[name]):
            yield Finding("FS017", "error", "", variable(environ, name), MISSING, "0.5.0-1.4.1", MISSING_ADVICE)


def said_path(kind: str, environ: Mapping[str, str] = os.environ) -> str:
    """The path of a file as it is said, with ``~`` and ``$NAME`` in it."""
    variable, usual = FILES[kind]
    return environ.get(variable, usual)


def this_machine() -> Machine:
    """This machine as the model of ``resolution`` sees it."""
    from pytest_flowsecrets.resolution.resolve import Machine

    return Machine(os.path.expanduser("~"), Homes())


class Homes(Mapping[str, str]):
    """Homes of other users, looked up when they are asked for."""

    def __getitem__(self, name: str) -> str:
        import pwd

        return pwd.getpwnam(name).pw_dir

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
