"""Resolution of the sources of settings into the values that Prefect 2.20 and 3 use.

Prefect 3 (``Settings``, built with pydantic-settings) asks these sources for each setting, the strongest first:

1. the environment. ``PREFECT_API='{"url": ...}'`` sets several settings of a table and outranks their own variables.
2. ``.env`` in the working directory.
3. From 3.1 on ``prefect.toml``, then ``[tool.prefect]`` of ``pyproject.toml``, both in the working directory.
4. The active profile of ``profiles.toml``.
5. The default.

What is odd: names of variables are read without regard to case, names in a profile are not. Of several names of one
setting, the first one counts, in each source. Prefect 3.0 uses the name as the key under which it merges the sources.
Therefore a profile outranks the environment there for each setting with several names, and a first name in ``.env``
outranks a second name in the environment. Prefect 3.0 also reads the last part of a setting without a prefix from
``.env`` (``LOGGING_LEVEL=DEBUG``, ``HOME=/x``).

Prefect 2.20 has the environment, the profile and the default. A profile outranks a variable whose name is not in upper
case.
"""

from __future__ import annotations

import string
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Dict, List

from pytest_flowsecrets.resolution.settings.model import Candidate, Inputs, Problem, Result, SettingsResolution
from pytest_flowsecrets.resolution.settings.profiles import check_profiles, expand_home
from pytest_flowsecrets.resolution.settings.sources import Sources, ignored
from pytest_flowsecrets.resolution.settings.values import Converted, convert, decode_json

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.settings.catalogue import Setting

_DEBUG = ("logging.level", "internal.logging_level")
_OLD_DEBUG = ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_INTERNAL_LEVEL")
_SIZES = ("logging.to_api.batch_size", "logging.to_api.max_log_size")
_OLD_SIZES = ("PREFECT_LOGGING_TO_API_BATCH_SIZE", "PREFECT_LOGGING_TO_API_MAX_LOG_SIZE")
#: Settings whose value Prefect computes from others: always, or if nothing sets them.
COMPUTED = frozenset(
    {
        "ui_url",
        "cloud.ui_url",
        "server.ui.api_url",
        "server.database.connection_url",
        "logging.to_api.max_log_size",
        "results.local_storage_path",
        "logging.config_path",
        "server.memo_store_path",
    }
)


def resolve_settings(version: str, inputs: Inputs) -> SettingsResolution:
    """Resolve the settings of a release.

    Args:
        version: a version of Prefect 2.20 or 3.
        inputs: environment and files.

    Raises:
        UnknownPrefectVersion: it is another version.
    """
    return _Resolver(version, inputs).run()


class _Resolver:
    def __init__(self, version: str, inputs: Inputs) -> None:
        self.version, self.inputs = version, inputs
        self.sources = Sources(version, inputs)
        self.release, self.rules, self.problems = self.sources.release, self.sources.rules, self.sources.problems

    def run(self) -> SettingsResolution:
        results = {
            setting.path: self._result(setting, self.sources.candidates(setting)) for setting in self.sources.settings
        }
        self._check_log_sizes(results)
        if self.rules.is_old:
            self._check_password(results)
        resolution = SettingsResolution(self.version, self.sources.profile, results, self.problems)
        self._compute(resolution)
        if not self.rules.is_old:
            self._check_profiles(results)
        self.problems += [Problem(*problem) for problem in self.sources.profile.problems]
        resolution.ignored = list(ignored(self.sources))
        return resolution

    def _check_profiles(self, results: Dict[str, Result]) -> None:
        """Check the file of profiles that the settings name. It can be another one than the one in use."""
        path = str(results["profiles_path"].value.value)
        problems = check_profiles(path, self.inputs.read(path), is_standard=self.rules.has_standard_toml)
        self.problems += [Problem(*problem) for problem in problems]

    def _result(self, setting: Setting, candidates: List[Candidate]) -> Result:
        if not candidates:
            return Result(setting, candidates, Converted(setting.default, is_exact=setting.has_default))
        if setting.kind == "json":
            value = self._merged(candidates)
        else:
            value = convert(setting, candidates[0].written, is_old=self.rules.is_old)
        if value.failure:
            self.problems.append(Problem(str(candidates[0].origin), f"{setting.path} {value.failure}", setting.path))
        if self.rules.is_old:
            self._check_hidden(setting, candidates)
        return Result(setting, candidates, value)

    def _check_hidden(self, setting: Setting, candidates: List[Candidate]) -> None:
        """Report a variable that Prefect 2 rejects although a profile replaces its value."""
        for each in [each for each in candidates[1:] if each.origin.kind == "env"][:1]:
            failure = convert(setting, each.written, is_old=True).failure
            if failure and candidates[0].origin.kind != "env":
                self.problems.append(Problem(str(each.origin), f"{setting.path} {failure}", setting.path))

    def _check_log_sizes(self, results: Dict[str, Result]) -> None:
        """Report a batch of logs that is smaller than the largest log."""
        sizes = [results[path] for path in (_OLD_SIZES if self.rules.is_old else _SIZES)]
        batch, log = (each.value.value for each in sizes)
        if batch is not None and log is not None and batch < log:
            places = [str(each.candidates[0].origin) for each in sizes if each.candidates]
            reason = f"{sizes[1].setting.path} must not be larger than {sizes[0].setting.path}"
            self.problems.append(Problem(", ".join(places), reason, sizes[0].setting.path))

    def _check_password(self, results: Dict[str, Result]) -> None:
        """Report a password of the database without an address, which Prefect 2 searches for a place to put it."""
        password, url = (results[f"PREFECT_API_DATABASE_{name}"].candidates for name in ("PASSWORD", "CONNECTION_URL"))
        in_environment = [[each for each in found if each.origin.kind == "env"] for found in (password, url)]
        for passwords, urls in ((password, url), in_environment):
            if passwords and passwords[0].written and not urls:
                reason = "PREFECT_API_DATABASE_PASSWORD needs PREFECT_API_DATABASE_CONNECTION_URL"
                self.problems.append(Problem(str(passwords[0].origin), reason, "PREFECT_API_DATABASE_PASSWORD"))
                return

    def _merged(self, candidates: List[Candidate]) -> Converted:
        """Return the value of a setting that is a mapping: the sources add keys to each other."""
        merged: Any = None
        seen = set()
        for each in candidates:
            if each.rank[:2] in seen:
                continue
            seen.add(each.rank[:2])
            decoded = each.written
            if isinstance(decoded, str):
                result = decode_json(decoded)
                if result.failure:
                    return result
                decoded = result.value
            elif not (isinstance(decoded, dict) and each.origin.kind.endswith(".toml")):
                return Converted(None, "must be JSON")
            merged = decoded if merged is None else _deep_update(decoded, merged)
        return Converted(merged, is_exact=False)

    def _compute(self, resolution: SettingsResolution) -> None:
        results = resolution.results
        old = self.rules.is_old
        debug = ("PREFECT_DEBUG_MODE",) if old else ("debug_mode", "testing.test_mode")
        for path in [path for path in debug if results[path].value.value is True][:1]:
            for level in _OLD_DEBUG if old else _DEBUG:
                results[level] = replace(results[level], value=Converted("DEBUG"), computed=f"{path} is on")
        home, profiles = ("PREFECT_HOME", "PREFECT_PROFILES_PATH") if old else ("home", "profiles_path")
        written = results[home].value.value if results[home].candidates else None
        folder = _path(expand_home("~/.prefect" if written is None else str(written), self.inputs.home))
        results[home] = replace(results[home], value=results[home].value._replace(value=folder, is_exact=True))
        own = results[profiles].value.value if results[profiles].candidates else None
        text = "$PREFECT_HOME/profiles.toml" if own is None else str(own)
        if not old and self.release < (3, 4, 0) and "PREFECT_HOME" in text:
            text = "$PREFECT_HOME/profiles.toml"
        text = (
            string.Template(text).safe_substitute(PREFECT_HOME=folder) if old else text.replace("$PREFECT_HOME", folder)
        )
        value = results[profiles].value._replace(value=_path(text), is_exact=True)
        results[profiles] = replace(results[profiles], value=value)
        for each in results.values():
            if each.setting.kind == "path" and each.value.is_exact and isinstance(each.value.value, str):
                results[each.setting.path] = replace(each, value=each.value._replace(value=_path(each.value.value)))


def _path(text: str) -> str:
    return str(PurePosixPath(text))


def _deep_update(weaker: Any, stronger: Any) -> Any:
    if not (isinstance(weaker, dict) and isinstance(stronger, dict)):
        return stronger
    merged = dict(weaker)
    for key, value in stronger.items():
        merged[key] = _deep_update(merged[key], value) if key in merged else value
    return merged
