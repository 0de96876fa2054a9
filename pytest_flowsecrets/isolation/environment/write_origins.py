"""Find the code that writes to ``os.environ`` from the call stack.

Each write asks for its origin, so the stack is walked in one loop.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, List, Optional, Tuple

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
    """Return the scope and the source of a write: the tests that see it, and a description of the code that made it.

    Args:
        frame: the frame that records the write.
        text: the new value, or None if the variable was removed.
    """
    writers, module = _writers(frame), ""
    for writer in writers:
        path = writer.f_globals.get("__file__") or ""
        if path.endswith("conftest.py") and os.path.basename(path) == "conftest.py":
            return os.path.join(os.path.dirname(path), ""), path
        code = writer.f_code
        if code.co_name != "<module>" or code.co_filename.startswith("<"):
            continue
        if _is_loaded_as_plugin(writer):
            return EVERYWHERE, _name_of(writer)
        if not module:
            module = path
            if text not in code.co_consts:  # the module has computed or read the value, as `load_dotenv()` does
                break
    if module:
        return module, IMPORT + module
    return EVERYWHERE, _name_of(writers[-1]) if writers else SHELL


def _writers(frame: Optional[FrameType]) -> List[FrameType]:
    """Return the frames that lead to the write, up to the test, the fixture or the hook that makes it."""
    writers = []
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] == "pluggy":  # pluggy has called a hook, and the hook a fixture or a test
            break
        if name not in _RECORDERS:
            writers.append(frame)
        frame = frame.f_back
    return writers


def _is_loaded_as_plugin(frame: FrameType) -> bool:
    """Return whether pytest itself imports the module of ``frame``, as a plugin."""
    importer = frame.f_back
    while importer is not None and _name_of(importer).startswith(_IMPORT_SYSTEM):
        importer = importer.f_back
    return importer is not None and _name_of(importer).startswith(_PLUGIN_LOADERS)


def _name_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
