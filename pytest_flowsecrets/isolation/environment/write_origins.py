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
    module, is_literal, source = "", False, SHELL
    for caller in _writers(frame):
        if is_literal or not module:
            declaring = _declaring_code(caller)
            if declaring is not None:
                return declaring
            if not module and _is_import(caller):
                module, is_literal = _path_of(caller), text in caller.f_code.co_consts
        source = _name_of(caller)
    return (module, IMPORT + module) if module else (EVERYWHERE, source)


def _writers(frame: Optional[FrameType]) -> Iterator[FrameType]:
    """Yield the frames that lead to the write, up to the test, the fixture or the hook that makes it."""
    for caller in _callers(frame):
        name = _name_of(caller)
        if name.partition(".")[0] == "pluggy":  # pluggy has called a hook, and the hook a fixture or a test
            return
        if name not in _RECORDERS:
            yield caller


def _declaring_code(frame: FrameType) -> Optional[Tuple[str, str]]:
    """Return the scope and the source of a write by a ``conftest.py`` or by a plugin, or None for other code."""
    path = _path_of(frame)
    if os.path.basename(path) == "conftest.py":
        return os.path.join(os.path.dirname(path), ""), path
    return (EVERYWHERE, _name_of(frame)) if _is_import(frame) and _is_loaded_as_plugin(frame) else None


def _is_import(frame: FrameType) -> bool:
    return frame.f_code.co_name == "<module>" and not frame.f_code.co_filename.startswith("<")


def _name_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _path_of(frame: FrameType) -> str:
    return frame.f_globals.get("__file__") or ""


def _callers(frame: Optional[FrameType]) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_loaded_as_plugin(frame: FrameType) -> bool:
    """Return whether pytest itself imports the module of ``frame``, as a plugin."""
    names = map(_name_of, _callers(frame.f_back))
    importer = next((name for name in names if not name.startswith(_IMPORT_SYSTEM)), "")
    return importer.startswith(_PLUGIN_LOADERS)
