"""What Prefect finds on this machine: the two files besides its own, each by a variable or in a home, and the homes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, Iterator, Mapping, Tuple

from pytest_flowsecrets.resolution.names import PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.resolve import Machine

#: Kind of layer: the variable that names the file, and the file where it is not set.
FILES: Dict[str, Tuple[str, str]] = {
    "user": (f"{PREFIX}USER_CONFIG_PATH", "~/.prefect/config.toml"),
    "backend": (f"{PREFIX}BACKEND_CONFIG_PATH", "~/.prefect/backend.toml"),
}


def config_files(environ: Mapping[str, str] = os.environ) -> Iterator[Tuple[str, str]]:
    """Yield kind and path of each existing file that Prefect reads in a process with this environment."""
    for kind in FILES:
        path = os.path.expanduser(os.path.expandvars(said_path(kind, environ)))
        if os.path.isfile(path):
            yield kind, path


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
