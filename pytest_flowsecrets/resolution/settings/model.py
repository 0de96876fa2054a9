"""The values of a resolution of settings: inputs, rules of a release, candidates and results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Origin
    from pytest_flowsecrets.resolution.settings.catalogue import Setting
    from pytest_flowsecrets.resolution.settings.files import Reader
    from pytest_flowsecrets.resolution.settings.profiles import Profile
    from pytest_flowsecrets.resolution.settings.values import Converted
    from pytest_flowsecrets.versions import Release

#: The sources, the strongest first.
KINDS = ("env", "dotenv", "prefect.toml", "pyproject.toml", "profile", "default")


class Rules(NamedTuple):
    """The differences between releases.

    Attributes:
        is_old: Prefect 2: no files, and pydantic 1.
        reads_toml: whether ``prefect.toml`` and ``pyproject.toml`` are read.
        merges_by_name: whether each name of a setting is a key of its own when the sources are merged.
        has_standard_toml: whether TOML is read as TOML 1.0, not with ``toml`` 0.10.2.
        reads_tables: whether a table can be the value of a setting.
    """

    is_old: bool
    reads_toml: bool
    merges_by_name: bool
    has_standard_toml: bool
    reads_tables: bool


def rules_of(version: Release) -> Rules:
    """Return the rules of a release.

    Args:
        version: the numbers of the release.
    """
    return Rules(
        is_old=version < (3, 0, 0),
        reads_toml=version >= (3, 1, 0),
        merges_by_name=(3, 0, 0) <= version < (3, 1, 0),
        has_standard_toml=version >= (3, 6, 0),
        reads_tables=version >= (3, 6, 0),
    )


class Candidate(NamedTuple):
    """A place that sets a setting.

    Attributes:
        rank: the smallest one counts.
        origin: the place.
        written: the text or the value of TOML.
    """

    rank: Tuple[int, ...]
    origin: Origin
    written: Any

    def __repr__(self) -> str:
        return f"<Candidate {self.origin.kind} {self.origin}>"


@dataclass(frozen=True, repr=False)
class Result:
    """The value of one setting.

    Attributes:
        setting: the setting.
        candidates: what sets it, the strongest first.
        value: the value, or why Prefect rejects it.
        computed: what Prefect computes it from; ``""`` if it is what the strongest source sets, or the default.
    """

    setting: Setting
    candidates: Sequence[Candidate]
    value: Converted
    computed: str = ""

    def __repr__(self) -> str:
        return f"<Result {self.setting.path} of {len(self.candidates)} candidates>"


class Problem(NamedTuple):
    """Something that makes ``import prefect`` fail.

    Attributes:
        place: the file or the variable.
        reason: what is wrong, without a value.
        path: the setting, or ``""``.
    """

    place: str
    reason: str
    path: str = ""


@dataclass(repr=False)
class SettingsResolution:
    """The settings of one release.

    Attributes:
        version: the version of Prefect.
        profile: the active profile.
        results: each setting by its path.
        problems: what makes ``import prefect`` fail.
        ignored: places of names that no setting has.
    """

    version: str
    profile: Profile
    results: Dict[str, Result] = field(default_factory=dict)
    problems: List[Problem] = field(default_factory=list)
    ignored: List[Origin] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<SettingsResolution of Prefect {self.version}>"


class Inputs(NamedTuple):
    """What the settings are read from.

    Attributes:
        environ: the environment. The order matters if two names differ in case only.
        read: returns the bytes of a file, or None. Relative names are those of the working directory.
        home: the home directory of the user.
    """

    environ: Mapping[str, str]
    read: Reader
    home: str

    def __repr__(self) -> str:
        return f"<Inputs with {len(self.environ)} variables>"
