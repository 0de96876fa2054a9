"""The release of Prefect 2.20 or 3 that files are checked for, and the rules that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, NamedTuple, Optional, Sequence, Tuple

from pytest_flowsecrets.errors import UnknownPrefectVersion
from pytest_flowsecrets.findings.rules import finding_of
from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.resolution.layers import Origin
from pytest_flowsecrets.versions import installed_version, is_rest_version, release_of, uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.commands.files.env_files import Item
    from pytest_flowsecrets.findings.model import Finding

NEWEST = "3.9.1"


class Target(NamedTuple):
    """The release of Prefect 2.20 or 3.

    Attributes:
        version: the release.
        is_rest: whether all files are for this release. Otherwise only those are that no legacy release reads.
        is_legacy: whether all files are for a legacy release that the user names.
    """

    version: str = NEWEST
    is_rest: bool = False
    is_legacy: bool = False

    def concerns(self, versions: str) -> bool:
        """Return whether a finding concerns the release.

        Args:
            versions: the releases of the finding as ranges, such as ``2.20.0-2.20.27, 3.0.0-3.6.29``.
        """
        if not self.is_rest or not versions:
            return True
        own = release_of(self.version)[:2]
        ranges = [[release_of(each)[:2] for each in span.split("-")] for span in versions.split(", ")]
        # The newest release of a list stands for those after it.
        return any(first <= own <= last for first, last in ranges) or (own > ranges[-1][1] >= release_of(NEWEST)[:2])


def target_of(version: Optional[str]) -> Target:
    """Return the release of Prefect 2.20 or 3.

    Args:
        version: the version in the settings of ``check``, or None for the installed one.
    """
    if version is None:
        return Target(str(installed_version()), is_rest=True) if uses_rest_api() else Target()
    if version in ("2", "2.20", "3"):
        return Target("2.20.27" if version.startswith("2") else NEWEST, is_rest=True)
    try:
        is_rest = is_rest_version(version)
    except UnknownPrefectVersion:
        is_rest = False  # the legacy rules report the error
    return Target(version, is_rest=True) if is_rest else Target(is_legacy=True)


def variables_findings(items: Sequence[Tuple[Item, Origin]], kind: str, target: Target) -> List[Finding]:
    """Apply the rules about settings of Prefect 2.20 and 3 to variables.

    Args:
        items: the variables with their places.
        kind: the type of the file.
        target: the release.
    """
    results: List[Finding] = []
    if target.is_rest:
        for item, origin in items:
            if item.name.startswith(PREFIX) and item.problem is None:
                message, advice = "Prefect 2.20 and 3 ignore this variable", "`flowsecrets migrate` shows what to write"
                results.append(finding_of("FS079", item.name, origin, message, advice, versions=""))
    concerned = [each for each in items if each[0].name.startswith("PREFECT_") or _may_be_secret(each[0], kind)]
    if not concerned or target.is_legacy:
        return results
    from pytest_flowsecrets.commands.linter.settings_rules import names_of, variable_findings

    names = names_of(target.version)
    for item, origin in concerned:
        results += variable_findings(item, origin, kind, names)
    return results


def _may_be_secret(item: Item, kind: str) -> bool:
    return kind == "dockerfile" or "://" in (item.value or "")


def settings_findings(text: str, path: str, kind: str, target: Target) -> List[Finding]:
    """Check a file with settings of Prefect 2.20 and 3.

    Args:
        text: the text of the file.
        path: the name of the file.
        kind: ``prefect-toml``, ``profiles`` or ``pyproject``.
        target: the release.
    """
    from pytest_flowsecrets.commands.linter.settings_rules import names_of, toml_findings

    return toml_findings(text, path, kind, names_of(target.version))


def legacy_file(path: str) -> List[Finding]:
    """Return the finding about a configuration file that only Prefect 0.5 to 1.4 reads.

    Args:
        path: the file.
    """
    origin = Origin("user", path, 1, 1)
    message, advice = "Prefect 2.20 and 3 do not read this file", "`flowsecrets migrate` shows what to write instead"
    return [finding_of("FS082", "", origin, message, advice, versions="")]
