"""Load the settings of the real Prefect from files and variables, one request of JSON a line.

A process of its own, whose home directory is private: Prefect computes paths from it at import. Run as
``python settings_worker.py FOLDER``; the folder gets the directories ``home`` and ``work``.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Dict


def main() -> None:
    """Answer requests until the input ends."""
    root = Path(sys.argv[1])
    home, work = root / "home", root / "work"
    work.mkdir(parents=True, exist_ok=True)
    (home / ".prefect").mkdir(parents=True, exist_ok=True)
    kept = {name: text for name, text in os.environ.items() if not name.upper().startswith("PREFECT")}
    os.environ.clear()
    os.environ.update(kept, HOME=str(home))
    os.chdir(work)
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what Prefect prints
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    loader = Loader(root, dict(os.environ))
    for line in sys.stdin:
        print(json.dumps(loader.answer(json.loads(line))), file=answers, flush=True)


class Loader:
    """The loader of the installed Prefect.

    Args:
        root: the folder of the files.
        environ: the variables that each request keeps.
    """

    def __init__(self, root: Path, environ: Dict[str, str]) -> None:
        import prefect.context
        import prefect.settings

        self.root, self.environ = root, environ
        self.context, self.settings = prefect.context, prefect.settings
        self.variables = getattr(prefect.settings, "SETTING_VARIABLES", None)
        self.cache = getattr(sys.modules.get("prefect.settings.sources"), "_file_cache", {})
        self.written = []

    def answer(self, request: Dict[str, Any]) -> Dict[str, Any]:
        """Return the values or the error.

        Args:
            request: the texts of ``files``, the ``environ``, whether the settings are loaded as a ``whole`` or for the
                tables of the ``paths`` only, and the ``raw`` values of settings that Prefect is to convert.
        """
        for path in self.written:
            path.unlink()
        self.written = [self.root / name for name in request["files"]]
        for path in self.written:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(request["files"][path.relative_to(self.root).as_posix()], "utf-8")
        self.cache.clear()
        if self.variables:
            self.settings._FROM_ENV_CACHE.clear()
        os.environ.clear()
        os.environ.update(self.environ)
        os.environ.update(request["environ"])
        try:
            profile, values = self._whole(request) if request["whole"] else ("", self._parts(request))
        except Exception as error:  # noqa: BLE001
            return {"error": f"{type(error).__name__}: {error}"}
        return {"profile": profile, "values": values}

    def _whole(self, request):
        self.context.GLOBAL_SETTINGS_CONTEXT = None
        context = self.context.root_settings_context()
        get = self._value_of_2 if self.variables else self._value_of_3
        return context.profile.name, {path: get(context.settings, path, request["raw"]) for path in request["paths"]}

    def _value_of_2(self, settings, path, raw):
        setting = self.variables[path]
        value = setting.value_from(settings)
        if path not in raw:
            return plain(value)
        from pydantic.v1 import parse_obj_as

        return "same" if value == parse_obj_as(setting.type, raw[path]) else plain(value)

    def _value_of_3(self, settings, path, raw):
        *tables, name = path.split(".")
        for table in tables:
            settings = getattr(settings, table)
        value = getattr(settings, name)
        return self._compare(type(settings), name, value, raw[path]) if path in raw else plain(value)

    def _parts(self, request):
        """Return the values of settings whose table is loaded alone, or the error of that table."""
        made = {}
        return {path: self._part(made, path, request["raw"]) for path in request["paths"]}

    def _part(self, made, path, raw):
        *tables, name = path.split(".")
        settings_class = self.settings.Settings
        for table in tables:
            settings_class = settings_class.model_fields[table].annotation
        if settings_class not in made:
            try:
                made[settings_class] = settings_class()
            except Exception as error:  # noqa: BLE001
                made[settings_class] = {"error": f"{type(error).__name__}: {error}"}
        if isinstance(made[settings_class], dict):
            return made[settings_class]
        value = getattr(made[settings_class], name)
        return self._compare(settings_class, name, value, raw[path]) if path in raw else plain(value)

    def _compare(self, settings_class, name, value, raw):
        from typing import Annotated

        from pydantic import TypeAdapter

        field = settings_class.model_fields[name]
        candidates = [raw]
        if isinstance(raw, str) and any(each in str(field.annotation).lower() for each in ("list[", "set[")):
            with contextlib.suppress(ValueError):
                candidates.insert(0, json.loads(raw))
        adapter = TypeAdapter(Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation)
        return "same" if any(converted(adapter, each) == value for each in candidates) else plain(value)


def converted(adapter: Any, raw: Any) -> Any:
    """Return a value as Prefect converts it, or a new object if it rejects it."""
    try:
        return adapter.validate_python(raw)
    except ValueError:
        return object()


def plain(value: Any) -> Any:
    """Return a value as JSON data with its type."""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, Path):
        value = str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return [type(value).__name__, repr(value)]
    return [type(value).__name__, repr(value)]


if __name__ == "__main__":
    main()
