"""Record the settings of the installed Prefect 2.20 or 3, and what it makes of generated files and variables.

Run it with each Prefect whose settings the catalogue describes::

    python -m tests.prefect3.record_settings

It replaces the entries of this release in ``pytest_flowsecrets/resolution/settings/catalogue.json`` and in
``tests/resolution/cases/settings.json``.
"""

from __future__ import annotations

import datetime as dt
import inspect
import json
import logging
import os
import random
import sys
import tempfile
from pathlib import Path, PurePath
from typing import Any, Dict, Iterator, List, Tuple, Union, get_args, get_origin

from pytest_flowsecrets.resolution.settings import catalogue
from pytest_flowsecrets.versions import installed_version
from tests.prefect3.settings_cases import RealSettings, new_case

CASES = Path(__file__).parents[1] / "resolution" / "cases" / "settings.json"
NUMBER = 25  # cases of each release
_SIMPLE = {str: "text", bool: "bool", int: "int", float: "float", dt.timedelta: "duration"}
_BOUNDS = ("ge", "gt", "le", "lt")
_LEVELS = ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_SERVER_LEVEL")  # those that Prefect 2 validates
_MACHINE = ("api.ssl_cert_file", "PREFECT_API_SSL_CERT_FILE", "PREFECT_HOME", "home", "profiles_path")


def rows() -> List[Dict[str, Any]]:
    """Return a description of each setting of the installed Prefect."""
    import prefect.settings

    legacy = getattr(prefect.settings, "SETTING_VARIABLES", None)
    return list(_rows_of_2(legacy) if legacy else _rows_of_3(prefect.settings.Settings, ()))


def _rows_of_3(settings_class: Any, path: Tuple[str, ...]) -> Iterator[Dict[str, Any]]:
    from prefect.settings.base import PrefectBaseSettings

    prefix = "_".join(("prefect", *path)) + "_"
    assert settings_class.model_config["env_prefix"].lower() == prefix
    for name, field in settings_class.model_fields.items():
        here = (*path, name)
        if inspect.isclass(field.annotation) and issubclass(field.annotation, PrefectBaseSettings):
            yield from _rows_of_3(field.annotation, here)
            continue
        choices = getattr(field.validation_alias, "choices", [])
        names = [choice for choice in choices if isinstance(choice, str)]
        assert not choices or choices[0].path == [name]
        yield _row(".".join(here), _kind_of_field(field), field, names)


def _kind_of_field(field: Any) -> Dict[str, Any]:
    import pydantic

    types = [each for each in get_args(field.annotation) if each is not type(None)]
    annotation = types[0] if get_origin(field.annotation) is not None and len(types) == 1 else field.annotation
    converts = any(type(each).__name__ == "BeforeValidator" for each in field.metadata)
    if isinstance(annotation, type) and issubclass(annotation, (pydantic.SecretStr,)):
        return {"kind": "secret"}
    literals = _literals(field.annotation)
    if literals:
        return {"kind": "level" if converts else "choice", "choices": literals}
    if annotation is Path:
        return {"kind": "path"}
    if (get_origin(field.annotation) or field.annotation) in (dict, list, set):
        return {"kind": "json"}
    if converts or annotation not in _SIMPLE:
        return {"kind": "other"}
    return {"kind": _SIMPLE[annotation], **_bounds(field.metadata)}


def _literals(annotation: Any) -> List[str]:
    return list(get_args(annotation)) if "Literal" in str(get_origin(annotation)) else []


def _bounds(metadata: Any) -> Dict[str, Any]:
    return {name: getattr(each, name) for each in metadata for name in _BOUNDS if hasattr(each, name)}


def _row(path: str, kind: Dict[str, Any], field: Any, names: List[str]) -> Dict[str, Any]:
    row = {"path": path, **kind}
    if names:
        row["names"] = names
    default = getattr(field.default, "value", field.default)
    if (
        path not in _MACHINE
        and field.default_factory is None
        and isinstance(default, (str, bool, int, float, type(None)))
    ):
        row["default"] = default
    return row


def _rows_of_2(variables: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    for name, setting in variables.items():
        row = _row(name, {"kind": _kind_of_2(setting)}, setting.field, [])
        if name in _LEVELS:
            row.update(kind="level", choices=sorted(logging._nameToLevel))
        if _literals(setting.type):
            row.update(kind="choice", choices=_literals(setting.type))
        bounds = {each: getattr(setting.field, each, None) for each in _BOUNDS}
        row.update({each: bound for each, bound in bounds.items() if bound is not None})
        if setting.is_secret:
            row["secret"] = True
        if setting.value_callback is not None:
            row["computed"] = True
        yield row


def _kind_of_2(setting: Any) -> str:
    types = [each for each in get_args(setting.type) if each is not type(None)]
    annotation = types[0] if get_origin(setting.type) is Union and len(types) == 1 else setting.type
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        return "path"
    return _SIMPLE.get(annotation, "other")


def profiles() -> Dict[str, Any]:
    """Return the profiles that the installed Prefect brings."""
    import toml
    from prefect.settings import DEFAULT_PROFILES_PATH

    return toml.loads(DEFAULT_PROFILES_PATH.read_text("utf-8"))


def main() -> None:
    """Write the entries of the installed Prefect into the catalogue."""
    version = installed_version() or ""
    known = catalogue.read()
    known[version] = catalogue.Entries(rows(), profiles())
    catalogue.FILE.write_text(catalogue.dump(known), "utf-8")
    print(f"{version}: {len(known[version].settings)} settings")
    _record_cases(version)


def _record_cases(version: str) -> None:
    recorded = json.loads(CASES.read_text("utf-8")) if CASES.exists() else {}
    with tempfile.TemporaryDirectory() as root:
        real = RealSettings(sys.executable, version, Path(root).resolve())
        recorded[version] = [_case(real, random.Random(f"{version} {number}")) for number in range(NUMBER)]
        real.close()
    texts = [
        f"{json.dumps(each)}: [\n" + ",\n".join(map(json.dumps, cases)) + "\n]" for each, cases in recorded.items()
    ]
    CASES.write_text("{\n" + ",\n".join(texts) + "\n}\n", "utf-8")


def _case(real: RealSettings, rng: random.Random) -> Dict[str, Any]:
    environ, files, paths = new_case(rng, real.version, whole=True)
    request = {"environ": real.filled(environ), "files": real.filled(files), "paths": paths, "raw": {}, "whole": True}
    answer = real.answer(request)
    if "error" in answer:
        answer = {"error": answer["error"].partition(":")[0]}
    text = json.dumps({"environ": environ, "files": files, "answer": answer})
    return dict(json.loads(text.replace(str(real.root), "{root}")))


if __name__ == "__main__":
    assert "PREFECT_HOME" in os.environ, "set PREFECT_HOME to an empty folder"
    main()
