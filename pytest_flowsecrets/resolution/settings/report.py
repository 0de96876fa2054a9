"""Explanations of settings of Prefect 2.20 and 3, as text and as JSON.

Values of secret settings, of mappings such as ``client.custom_headers``, and the credentials in addresses are masked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from pytest_flowsecrets.resolution.display import one_line
from pytest_flowsecrets.resolution.settings.catalogue import recorded_release
from pytest_flowsecrets.resolution.settings.model import rules_of
from pytest_flowsecrets.resolution.settings.resolve import COMPUTED
from pytest_flowsecrets.resolution.settings.values import Converted, convert
from pytest_flowsecrets.resolution.shown_names import masked_name
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.display import Mask
    from pytest_flowsecrets.resolution.layers import Origin
    from pytest_flowsecrets.resolution.settings.model import Candidate, Result, SettingsResolution

_MASKED_KINDS = ("secret", "json")
_CREDENTIALS = re.compile(r"(?<=://)\S*@")  # up to the last @, because a password may contain slashes


class Api(NamedTuple):
    """The API that the client asks.

    Attributes:
        address: the address, or what Prefect uses without one.
        origin: where the address is set; ``""`` if nowhere.
        error: the error without an address; ``""`` for none.
    """

    address: str
    origin: str = ""
    error: str = ""


def api_of(resolution: SettingsResolution) -> Api:
    """Return the API from which a flow loads its Secret blocks.

    Args:
        resolution: the settings.
    """
    is_old = "PREFECT_API_URL" in resolution.results
    url = resolution.results["PREFECT_API_URL" if is_old else "api.url"]
    if url.value.value:
        return Api(without_credentials(str(url.value.value)), _place(url.candidates[0].origin))
    if is_old:
        return Api("Prefect's own API in the process of the flow, with the database of this machine")
    ephemeral = next(
        (result for path, result in resolution.results.items() if path == "server.ephemeral.enabled"), None
    )
    if ephemeral is not None and ephemeral.value.value:
        return Api("a temporary server that Prefect starts, with the database of this machine")
    return Api("none", error="no API URL is set: the client raises ValueError")


def without_credentials(text: str) -> str:
    """Replace the user and the password in addresses.

    Args:
        text: any text.
    """
    return _CREDENTIALS.sub("•••@", text)


def setting_rows(result: Result, mask: Mask, version: str) -> Iterator[Tuple[str, str]]:
    """Yield the label and the text of each line below the title of a setting.

    Args:
        result: the setting.
        mask: determines how secret values are shown.
        version: the version of Prefect.
    """
    if result.computed:
        yield "computed", f"because {result.computed}"
    for number, candidate in enumerate(result.candidates):
        label = "overrides" if number or result.computed else "from"
        yield label, f"{_place(candidate.origin)}: {_written(result, candidate, mask, version)}"
    if not result.candidates and not result.computed:
        yield "from", "default"
    yield "set by", ", ".join(name.upper() for name in result.setting.names)


def settings_text(resolution: SettingsResolution, results: Sequence[Result], mask: Mask) -> Iterator[str]:
    """Yield the lines about the settings of one release.

    Args:
        resolution: all settings.
        results: those to show.
        mask: determines how secret values are shown.
    """
    version, profile = resolution.version, resolution.profile
    known = recorded_release(version)
    rules = "" if known == version else f" (by the rules of {known})"
    name = f"profile {profile.name} of {profile.file}" if profile.name else "no profile"
    yield one_line(f"Prefect {version}{rules}: {name}" + (f", because {profile.reason}" if profile.reason else ""))
    for problem in resolution.problems:
        yield one_line(f"  fails     {problem.place}: {problem.reason}; import prefect fails until it is corrected")
    for result in results:
        yield one_line(f"{result.setting.path}: {shown(result, result.value, mask)}")
        for label, text in setting_rows(result, mask, version):
            yield one_line(f"  {label:<9} {text}")


def ignored_text(resolution: SettingsResolution) -> Iterator[str]:
    """Yield a line for each name that no setting has.

    Args:
        resolution: the settings.
    """
    for origin in resolution.ignored:
        yield one_line(f"ignored: {_place(origin)}: Prefect {resolution.version} has no setting {_name(origin)}")


def shown(result: Result, value: Converted, mask: Mask) -> str:
    """Return the value of a setting as it is printed.

    Args:
        result: the setting.
        value: the value.
        mask: determines how secret values are shown.
    """
    if value.failure:
        return f"not valid: {value.failure}"
    if (not result.candidates and not value.is_exact) or (value.value is None and result.setting.path in COMPUTED):
        return "computed by Prefect"
    if value.value is None:
        return "None"
    if result.setting.kind in _MASKED_KINDS:
        return mask.text(value.value)
    text = repr(value.value)
    return text if mask.show_values else without_credentials(text)


def settings_dict(resolution: SettingsResolution, results: Sequence[Result], mask: Mask) -> Dict[str, Any]:
    """Return settings as plain data, for JSON.

    Args:
        resolution: all settings.
        results: those to show.
        mask: determines how secret values are shown.
    """
    profile = resolution.profile
    return {
        "prefect_version": resolution.version,
        "profile": {"name": profile.name, "file": profile.file, "reason": profile.reason},
        "problems": [{"place": each.place, "reason": each.reason} for each in resolution.problems],
        "settings": [_setting_dict(each, mask, resolution.version) for each in results],
        "ignored": [{**_place_dict(origin), "name": _name(origin)} for origin in resolution.ignored],
    }


def _setting_dict(result: Result, mask: Mask, version: str) -> Dict[str, Any]:
    sources: List[Dict[str, Any]] = [
        {**_place_dict(each.origin), "value": _written(result, each, mask, version)} for each in result.candidates
    ]
    data = {
        "setting": result.setting.path,
        "variables": [name.upper() for name in result.setting.names],
        "value": shown(result, result.value, mask),
        "sources": sources,
    }
    return {**data, "computed": result.computed} if result.computed else data


def _written(result: Result, candidate: Candidate, mask: Mask, version: str) -> str:
    is_old = rules_of(release_of(version)).is_old
    return shown(result, convert(result.setting, candidate.written, is_old=is_old), mask)


def _place(origin: Origin) -> str:
    return f"{origin.kind} {origin}" if origin.kind in ("env", "profile") else str(origin)


def _name(origin: Origin) -> str:
    if origin.kind in ("env", "dotenv"):
        return origin.place
    return masked_name(origin.key[-1] if origin.kind == "profile" else ".".join(origin.key))


def _place_dict(origin: Origin) -> Dict[str, Any]:
    place: Dict[str, Any] = {"source": origin.kind, "place": origin.place}
    if origin.file:
        place["file"] = origin.file
    if origin.line is not None:
        place.update(line=origin.line, column=origin.column)
    return place
