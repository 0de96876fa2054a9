"""Hide the settings in ``.env``, ``prefect.toml`` and ``pyproject.toml`` of the working directory from Prefect 3.

Prefect reads these files again in each child process, and in this process for ``Settings()``, ``use_profile`` and
``temporary_settings``. It offers no way to move or to ignore them. Variables take precedence over them, so for each
setting that a file sets, a variable holds the value that the setting has without the file.

No text of a variable stands for "no value". For such settings, the variable of the table holds JSON, such as
``PREFECT_RESULTS={"default_storage_block": null}``. JSON also replaces the JSON of a table in ``.env``. It takes
precedence over the variable of the setting itself. When a child process starts, the values of such variables in its
environment are therefore copied to the JSON.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import contextmanager
from inspect import isclass
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    MutableMapping,
    Optional,
    Set,
    Tuple,
)

from pytest_flowsecrets.isolation.prefect3.adapter import in_new_thread
from pytest_flowsecrets.names import REST_PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    Leaf = Tuple[Tuple[str, ...], Tuple[str, ...], Any]  # the path of a setting, its variables, its value

# A pattern that a file with settings contains. Most projects name Prefect in pyproject.toml, as a dependency.
_TOOL = r"""(?im)tool["'\s]*\.["'\s]*prefect|^\s*\[\s*["']?tool["']?\s*\]|^\s*["']?tool["']?\s*="""
_FILES = {".env": "(?i)prefect_", "prefect.toml": "=", "pyproject.toml": _TOOL}
_FOR_EACH_TEST = ("PREFECT_API_URL", "PREFECT_API_KEY")  # variables with another value in each test
_DERIVED = frozenset({"PREFECT_UI_URL", "PREFECT_SERVER_UI_API_URL"})  # settings whose values depend on the address

_cached: Dict[str, Any] = {}
_active: List[HiddenFiles] = []
_hooks: List[Any] = []


class HiddenFiles:
    """The files of the working directory of an isolation.

    Args:
        version: the release of Prefect. 2.20 reads no such file.
        home: a folder without such files of the developer.

    Attributes:
        variables: the variables that hide the settings of the files.
    """

    def __init__(self, version: Tuple[int, int, int], home: Path) -> None:
        self._folder = os.getcwd() if version >= (3, 0, 0) else ""
        self._home = home
        self._tables: Dict[str, List[Leaf]] = {}
        self._written: Dict[str, Set[str]] = {}  # all JSON of each table: a test can reuse an environment
        self.variables: Dict[str, str] = {}

    def hide(self) -> None:
        """Set the variables. Call this again after a change of the environment or of the files of the test."""
        if not self._folder:
            return
        previous = {name: os.environ.pop(name) for name in self.unchanged()}
        try:
            texts, self._tables = self._replacements() if have_settings(self._folder) else ({}, {})
        except Exception:  # noqa: BLE001 - a variable of the test is not valid; `read_settings` describes that
            os.environ.update(previous)
            return
        if not texts and not self._tables:
            self.variables = {}
            return
        for name, leaves in self._tables.items():
            texts[name] = _json_of(leaves)
            self._written.setdefault(name, set()).add(texts[name])
        self.variables = {name: text for name, text in texts.items() if name not in os.environ}
        os.environ.update(self.variables)
        if self not in _active:
            _active.append(self)
        if not _hooks:
            _hooks.append(_on_event)
            sys.addaudithook(_on_event)  # Python cannot remove it

    def stop(self) -> None:
        """Stop changing the environments of child processes."""
        if self in _active:
            _active.remove(self)

    def unchanged(self) -> List[str]:
        """Return the names of the variables that the test has not changed."""
        return [name for name, text in self.variables.items() if os.environ.get(name) == text]

    def _replacements(self) -> Tuple[Dict[str, str], Dict[str, List[Leaf]]]:
        key = self._folder, _environment(), stamps(self._folder, _FILES), stamps(self._home, ("prefect.toml",))
        if _cached.get("key") != key or _DERIVED & {*_cached["texts"]}:
            texts, tables = in_new_thread(lambda: _find_replacements(self._folder, str(self._home)))
            _cached.update(key=key, texts=texts, tables=tables)
        return dict(_cached["texts"]), dict(_cached["tables"])

    def prefer_variables(self, environ: MutableMapping[str, str]) -> None:
        """Copy the values that variables of an environment have for settings to the JSON of their tables in it."""
        for table, leaves in self._tables.items():
            written = self._written[table]
            if table not in self.variables or environ.get(table) not in written:
                continue
            environ[table] = _json_of((path, names, _value_in(environ, names, value)) for path, names, value in leaves)
            written.add(environ[table])
            if environ is os.environ:
                self.variables[table] = environ[table]


def _value_in(environ: Mapping[str, str], names: Tuple[str, ...], default: Any) -> Any:
    return next((environ[name] for name in names if name in environ), default)


def _on_event(event: str, arguments: Tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and _active:
        environ = os.environ if arguments[3] is None else arguments[3]
        if isinstance(environ, MutableMapping):
            _active[-1].prefer_variables(environ)


def _environment() -> Any:
    """Return the variables on which the replacements depend."""
    variables = {name: text for name, text in os.environ.items() if name[:8].upper() == REST_PREFIX}
    return tuple(sorted((name, "" if name in _FOR_EACH_TEST else text) for name, text in variables.items()))


def stamps(folder: Any, names: Iterable[str]) -> Tuple[Any, ...]:
    """Return what changes when one of the files in a folder changes."""
    return tuple(_stamp(os.path.join(folder, name)) for name in names)


def _stamp(path: str) -> Optional[Tuple[int, int, int]]:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def have_settings(folder: str) -> bool:
    """Return whether a file in a folder may hold settings of Prefect."""
    for name, pattern in _FILES.items():
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                if re.search(pattern, file.read()):
                    return True
        except (OSError, UnicodeError):  # noqa: PERF203 - three files
            continue
    return False


def _find_replacements(folder: str, home: str) -> Tuple[Dict[str, str], Dict[str, List[Leaf]]]:
    """Return variables that replace the settings of files, and for each table the settings that need JSON."""
    from prefect.settings import Settings

    with working_directory(home):
        isolated = Settings()
    with working_directory(folder):
        try:
            here = Settings().to_environment_variables(exclude_unset=True)
        except Exception:  # noqa: BLE001 - `import prefect` fails in children, too, whatever their environment
            return {}, {}
        expected, own = isolated.to_environment_variables(), isolated.to_environment_variables(exclude_unset=True)
        changed = [name for name, text in here.items() if own.get(name) != text]
        texts = {name: _replacement(expected[name]) for name in changed if name in expected}
        with _variables(texts):
            remaining = Settings().to_environment_variables()
    wrong = {name for name, text in remaining.items() if expected.get(name) != text}
    values = isolated.model_dump(mode="json", context={"include_secrets": True})
    tables: Dict[str, List[Leaf]] = {}
    for path, names in _settings_of(Settings):
        if wrong.isdisjoint(names):
            continue
        if len(path) == 1:  # it is in no table
            texts[f"{REST_PREFIX}{path[0]}".upper()] = ""
        else:
            leaf = path[1:], names, _value_at(values, path)
            tables.setdefault(f"{REST_PREFIX}{path[0]}".upper(), []).append(leaf)
    return texts, tables


def _settings_of(model: Any, path: Tuple[str, ...] = ()) -> Iterator[Tuple[Tuple[str, ...], Tuple[str, ...]]]:
    """Yield the path of each setting in a pydantic model, with the names of its variables, strongest first."""
    for name, field in model.model_fields.items():
        if isclass(field.annotation) and hasattr(field.annotation, "model_fields"):
            yield from _settings_of(field.annotation, (*path, name))
            continue
        aliases = getattr(field.validation_alias, "choices", ())
        names = [each for each in aliases if isinstance(each, str)]
        names.append(f"{model.model_config.get('env_prefix')}{name}")
        yield (*path, name), tuple(each.upper() for each in names)


def _value_at(values: Any, path: Tuple[str, ...]) -> Any:
    for name in path:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _json_of(leaves: Iterable[Leaf]) -> str:
    """Return the JSON of a table with these settings."""
    table: Dict[str, Any] = {}
    for path, _, value in leaves:
        part = table
        for name in path[:-1]:
            part = part.setdefault(name, {})
        part[path[-1]] = value
    return json.dumps(table)


def _replacement(text: str) -> str:
    """Return the text of a variable that replaces the value in a file.

    pydantic-settings merges mappings of all sources. A JSON text that holds the mapping as JSON text replaces them, and
    Prefect decodes it.
    """
    return json.dumps(text) if text.startswith("{") else text


@contextmanager
def working_directory(folder: str) -> Iterator[None]:
    """Work in another folder inside the ``with`` block."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _variables(texts: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in texts}
    os.environ.update(texts)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                del os.environ[name]
            else:
                os.environ[name] = text
