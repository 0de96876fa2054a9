"""Find the code that writes to ``os.environ`` from the call stack."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Iterator, Optional, Tuple

if TYPE_CHECKING:
    from types import FrameType

EVERYWHERE = ""
SHELL = "the environment of pytest"
IMPORT = "the import of "
_RECORDERS = frozenset(
    {"os", "collections.abc", "_collections_abc", "pytest_flowsecrets.isolation.environment.declarations"}
)
_IMPORT_SYSTEM = ("importlib", "_frozen_importlib", "_pytest.assertion.rewrite")
_PLUGIN_LOADERS = ("_pytest.config", "pluggy")


def origin_of(frame: Optional[FrameType], text: Optional[str]) -> Tuple[str, str]:
    """Return the scope and the source of a write: the tests that see it, and a description of the code that made it."""
    imported, source, literal = "", SHELL, False
    callers = (caller for caller in _callers(frame) if caller.f_globals.get("__name__", "") not in _RECORDERS)
    for caller in callers:
        name, path = caller.f_globals.get("__name__", ""), caller.f_globals.get("__file__") or ""
        if name.partition(".")[0] == "pluggy":  # pluggy has called a hook, and the hook a fixture or a test
            break
        if literal or not imported:
            if os.path.basename(path) == "conftest.py":
                return os.path.join(os.path.dirname(path), ""), path
            at_import = caller.f_code.co_name == "<module>" and not caller.f_code.co_filename.startswith("<")
            if at_import and _is_loaded_as_plugin(caller):
                return EVERYWHERE, name
            if at_import and not imported:
                imported, literal = path, text in caller.f_code.co_consts
        source = name
    return (imported, IMPORT + imported) if imported else (EVERYWHERE, source)


def _callers(frame: Optional[FrameType]) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_loaded_as_plugin(frame: FrameType) -> bool:
    """Return whether pytest itself imports the module of ``frame``, as a plugin."""
    names = (str(caller.f_globals.get("__name__", "")) for caller in _callers(frame.f_back))
    importer = next((name for name in names if not name.startswith(_IMPORT_SYSTEM)), "")
    return importer.startswith(_PLUGIN_LOADERS)
