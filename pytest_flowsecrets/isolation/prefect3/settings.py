"""The settings of Prefect 2.20 and 3 in this process: let Prefect read them, replace them, restore them.

Prefect reads its settings once, at import, into ``prefect.context.GLOBAL_SETTINGS_CONTEXT``. All threads and contexts
use that object unless a ``ContextVar`` holds another one (``temporary_settings``). This module replaces the global one,
and the contents of the one in the ``ContextVar``, because copies of a context share that object.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Collection, Container, Dict, Iterable, Iterator, List, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.prefect3.adapter import in_new_thread
from pytest_flowsecrets.isolation.prefect3.flow_runs import guarded, unguarded
from pytest_flowsecrets.isolation.prefect3.hidden_files import have_settings, stamps, working_directory
from pytest_flowsecrets.names import REST_PREFIX

if TYPE_CHECKING:
    from pathlib import Path

URL, KEY = "PREFECT_API_URL", "PREFECT_API_KEY"
_MAX_CACHED = 16

# The settings that Prefect 2.20 calls secret.
_SECRETS_OF_2 = frozenset({KEY, "PREFECT_API_DATABASE_PASSWORD", "PREFECT_API_DATABASE_CONNECTION_URL"})

_logger = logging.getLogger("prefect")
_cache: Dict[Any, Any] = {}


class SettingsState:
    """The settings contexts that this thread uses at the time of the snapshot, and their contents.

    Prefect sets the level of its logger once, from the settings at that time. The level is part of the state, so that
    the logs of a test do not depend on ``PREFECT_LOGGING_LEVEL`` of the developer. A level that is not that of the
    settings, because a ``conftest.py`` has set it, stays.
    """

    def __init__(self) -> None:
        module = _context_module()
        self._global = unguarded(module.GLOBAL_SETTINGS_CONTEXT)
        held = module.SettingsContext.__var__.get(None)
        objects = [self._global] if held is None or held is self._global else [self._global, held]
        self._contents: List[Tuple[Any, Dict[str, Any]]] = [(each, dict(vars(each))) for each in objects]
        self._level = _logger.level

    def apply(self, context: Any) -> None:
        """Make every thread use the settings of ``context``."""
        module = _context_module()
        if logging.getLevelName(_logger.level) == _logging_level(module.GLOBAL_SETTINGS_CONTEXT):
            _logger.setLevel(_logging_level(context))
        for each, _ in self._contents:
            vars(each).update(settings=context.settings, profile=context.profile)
        module.GLOBAL_SETTINGS_CONTEXT = guarded(context)

    def restore(self) -> None:
        """Restore the same objects with the same contents."""
        for each, items in self._contents:
            vars(each).update(items)  # first, because other threads may be reading
            for name in vars(each).keys() - items.keys():
                del vars(each)[name]
        _context_module().GLOBAL_SETTINGS_CONTEXT = guarded(self._global)
        if self._level:
            _logger.setLevel(self._level)
        elif _logger.level and self._global is not None:  # Prefect has set its loggers up in the meantime
            _logger.setLevel(_logging_level(self._global))


def _logging_level(context: Any) -> str:
    if context is None:
        return ""
    settings = context.settings
    return str(settings.logging.level if hasattr(settings, "logging") else settings.PREFECT_LOGGING_LEVEL)


def _context_module() -> Any:
    import prefect.context

    return prefect.context


def read_settings(version: Tuple[int, int, int], folder: Path, url: str, ignored: Collection[str]) -> Any:
    """Return a settings context from ``os.environ`` and the profiles. Files of the working directory are ignored.

    Prefect reads a given environment once, which takes up to 60 ms. For another URL or key, the result is copied.

    Args:
        version: the release of Prefect.
        folder: the private folder whose ``prefect.toml`` counts instead of that in the working directory.
        url: the address of the API of this isolation.
        ignored: the variables that hide those files. Without them, the files of the test count.

    Raises:
        UsageError: Prefect cannot read the settings.
    """
    address = {name: None if name in ignored else os.environ.get(name) for name in (URL, KEY)}
    is_ours = address[URL] == url
    key = (_environment({*ignored, *((URL, KEY) if is_ours else ())}), address[KEY] is None, _stamps(folder))
    context = _cache.get(key)
    if context is None:
        with _without_variables(ignored):
            context = in_new_thread(lambda: _read(version, folder))
        while len(_cache) >= _MAX_CACHED:
            del _cache[next(iter(_cache))]
        _cache[key] = context
    return _with_address(context, address, version) if is_ours else context


@contextmanager
def _without_variables(names: Iterable[str]) -> Iterator[None]:
    """Remove variables inside the ``with`` block."""
    removed = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(removed)


def _environment(excluded: Container[str] = ()) -> Any:
    items = list(os.environ.items())
    return tuple(sorted(item for item in items if item[0][:8].upper() == REST_PREFIX and item[0] not in excluded))


def _stamps(folder: Path) -> Tuple[Any, ...]:
    """Return what changes when a file changes from which Prefect reads settings."""
    return stamps(folder, (os.environ.get("PREFECT_PROFILES_PATH", ""), "prefect.toml"))


def _read(version: Tuple[int, int, int], folder: Path) -> Any:
    with _explained(version), _working_directory(folder):
        from prefect import settings
        from prefect.context import SettingsContext, root_settings_context

        own = settings.Settings() if version >= (3, 0, 0) else settings.get_settings_from_env()
        # `load_profiles` takes the path of the file from the settings in effect, which are the developer's.
        with SettingsContext(profile=settings.Profile(name="flowsecrets", settings={}), settings=own):
            if version < (3, 0, 0):
                return root_settings_context()
            profiles = settings.load_profiles()
        name = os.environ.get("PREFECT_PROFILE") or profiles.active_name
        profile = profiles[name if name in profiles.names else "ephemeral"]
        return SettingsContext(profile=profile, settings=_without_heartbeat(own))


@contextmanager
def _working_directory(folder: Path) -> Iterator[None]:
    """Move to another working directory if Prefect would read settings from a file here, or is to read one there."""
    if not (have_settings(os.getcwd()) or os.path.exists(folder / "prefect.toml")):
        yield
        return
    with working_directory(str(folder)):
        yield


@contextmanager
def _explained(version: Tuple[int, int, int]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - pydantic, TOML parsers, OSError; the texts may hold values
        fields = sorted({".".join(map(str, each["loc"])) for each in getattr(error, "errors", list)()})
        reason = f"{type(error).__name__}{': ' + ', '.join(fields) if fields else ''}"
    else:
        return
    raise UsageError(
        f"Prefect {'.'.join(map(str, version))} cannot read its settings ({reason}): correct the PREFECT_ variables of "
        "this test, or the files in prefect_home"
    )


def _without_heartbeat(settings: Any) -> Any:
    """Switch the heartbeat of flow runs off unless the test has set it: its thread adds up to a second to each run."""
    flows = getattr(settings, "flows", None)
    if flows is None or not hasattr(flows, "heartbeat_frequency") or "heartbeat_frequency" in flows.model_fields_set:
        return settings
    return _copy(settings, flows=_copy(flows, heartbeat_frequency=None))


def _with_address(context: Any, address: Dict[str, Any], version: Tuple[int, int, int]) -> Any:
    import pydantic
    from prefect import settings
    from prefect.context import SettingsContext

    own = context.settings
    if version < (3, 0, 0):
        updates = {settings.PREFECT_API_URL: address[URL], settings.PREFECT_API_KEY: address[KEY]}
        changed = own.copy_with_update(updates={key: value for key, value in updates.items() if value is not None})
    else:
        updates = {"url": address[URL]}
        if address[KEY] is not None:  # otherwise that of the profile counts
            updates["key"] = pydantic.SecretStr(address[KEY])
        changed = own.model_copy(update={"api": own.api.model_copy(update=updates)})
        if "ui_url" not in own.model_fields_set:  # Prefect has derived it from another address
            changed = _copy(changed, ui_url=None)
    return SettingsContext(profile=context.profile, settings=changed)


def _copy(model: Any, **changes: Any) -> Any:
    """Copy a pydantic model with changes that do not count as set, so that no child process gets them as variables."""
    copied = model.model_copy(update=changes)
    for name in set(changes) - model.model_fields_set:
        copied.__pydantic_fields_set__.discard(name)
    return copied


def secret_settings(settings: Any, name: str = "PREFECT") -> Iterator[Tuple[str, str]]:
    """Yield the settings of type SecretStr that have a value, by the names of their variables.

    Prefect 2.20 has no such type. A database URL is secret if it contains a password.

    Args:
        settings: of Prefect, or a part of them.
        name: the beginning of the names.
    """
    for field, value in vars(settings).items():
        variable = field if field.startswith(REST_PREFIX) else f"{name}_{field}".upper()
        if hasattr(value, "model_fields_set"):
            yield from secret_settings(value, variable)
        elif hasattr(value, "get_secret_value") or (field in _SECRETS_OF_2 and value):
            text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
            if "://" not in text or "@" in text:
                yield variable, text
