"""Which configuration files Prefect reads besides its own: two, each by a variable or in the home directory."""

from __future__ import annotations

import os
from typing import Dict, Iterator, Tuple

from pytest_flowsecrets.resolution.names import PREFIX

#: Kind of layer: the variable that names the file, and the file where it is not set.
FILES: Dict[str, Tuple[str, str]] = {
    "user": (f"{PREFIX}USER_CONFIG_PATH", "~/.prefect/config.toml"),
    "backend": (f"{PREFIX}BACKEND_CONFIG_PATH", "~/.prefect/backend.toml"),
}


def config_files() -> Iterator[Tuple[str, str]]:
    """Kind and path of each file that Prefect would read in this process now; one that does not exist is no fault."""
    for kind in FILES:
        path = os.path.expanduser(os.path.expandvars(said_path(kind)))
        if os.path.isfile(path):
            yield kind, path


def said_path(kind: str) -> str:
    """The path of a file as it is said, with ``~`` and ``$NAME`` in it."""
    variable, usual = FILES[kind]
    return os.environ.get(variable, usual)
