"""``flowsecrets explain`` for Prefect 2.20 and 3: settings, and the Secret blocks of legacy names."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.commands.files.reading import Unreadable, read_bytes
from pytest_flowsecrets.commands.inputs import environment_of
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.prefect3.blocks import block_name
from pytest_flowsecrets.migration.values import decode
from pytest_flowsecrets.names import REST_PREFIX, SECRETS_PREFIX
from pytest_flowsecrets.resolution.display import Mask, one_line
from pytest_flowsecrets.resolution.settings.catalogue import releases
from pytest_flowsecrets.resolution.settings.model import Inputs
from pytest_flowsecrets.resolution.settings.report import api_of, ignored_text, settings_dict, settings_text, shown
from pytest_flowsecrets.resolution.settings.resolve import resolve_settings
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.settings.model import Result, SettingsResolution

_ALWAYS = ("api.url", "PREFECT_API_URL")


def run(arguments: Any, version: str) -> int:
    """Explain settings and names of secrets.

    Args:
        arguments: parsed arguments.
        version: a version of Prefect 2.20 or 3.

    Returns:
        0; 1 if Prefect rejects a setting, or no block can have a name.
    """
    _check_options(arguments)
    environ, mask = environment_of(arguments.env_file), Mask(arguments.show_values)
    versions = releases() if arguments.all_versions else [version]
    inputs = Inputs(environ, _read, os.path.expanduser("~"))
    reports = [_Report.of(resolve_settings(each, inputs), arguments.names, environ) for each in versions]
    for name in reports[0].missing:
        if all(name in report.missing for report in reports):
            raise UsageError(f"Prefect {versions[-1]} has no setting {one_line(name)}: see `prefect config view`")
    if arguments.json:
        print(json.dumps([report.as_dict(mask) for report in reports], indent=2))
    elif arguments.all_versions:
        print("\n".join(line for report in reports for line in report.summary(mask)))
    else:
        print("\n".join(line for report in reports for line in report.text(mask)))
    return int(any(report.has_problems for report in reports))


def _check_options(arguments: Any) -> None:
    for name in ("config", "backend", "python_version"):
        if getattr(arguments, name):
            raise UsageError(
                f"--{name.replace('_', '-')} is for Prefect 0.5 to 1.4: leave it out, or name such a release"
            )
    for name in arguments.names:
        _refuse_other_kinds(name)


def _refuse_other_kinds(name: str) -> None:
    """Refuse a name of a variable, or of a block with its type. A flow gets their values as they were saved.

    Args:
        name: a name from the command line, which may be written as in a template or for ``Block.load``.

    Raises:
        UsageError: the name is one of those. The message says which command shows it.
    """
    kind, _, rest = name[len("prefect.") if name.startswith("prefect.") else 0 :].partition(".")
    if kind == "variables":
        reason = f"a flow gets a variable as it was saved: run `prefect variable inspect {rest or 'NAME'}`"
    else:
        block = rest.replace(".", "/", 1) if kind == "blocks" else name
        slug, slash, document = block.partition("/")
        if not slash:
            return
        reason = f"a flow gets this block as it was saved: run `prefect block inspect {block}`"
        reason = f"run `flowsecrets explain {document}`" if slug == "secret" else reason
    raise UsageError(one_line(f"{name}: explain takes the names of settings and secrets: {reason}"))


def _read(path: str) -> Optional[bytes]:
    """Return the bytes of a file, or None if there is none."""
    if not os.path.isfile(path):
        return None
    try:
        return read_bytes(path)
    except Unreadable as error:
        raise UsageError(f"{error}: Prefect reads its settings there") from None


def is_setting(name: str) -> bool:
    """Return whether a name is that of a setting or of its variable, not that of a secret.

    Args:
        name: a name from the command line.
    """
    return "." in name or name.upper().startswith(REST_PREFIX)


def _is_set(result: Result) -> bool:
    return bool(result.candidates or result.computed)


class Block(NamedTuple):
    """The Secret block for a name.

    Attributes:
        name: the name.
        block: the name of the block; ``""`` if no block can have it.
        variable: the variable of the legacy line that is set for it; ``""`` for none.
        types: the types of the variable's value as text, and after ``Secret.get`` of the release.
    """

    name: str
    block: str
    variable: str = ""
    types: Tuple[str, str] = ("", "")

    @classmethod
    def of(cls, name: str, environ: Mapping[str, str], *, is_typed: bool) -> Block:
        """Describe the block for a name.

        Args:
            name: the name of a secret.
            environ: the environment.
            is_typed: whether the release decodes JSON.
        """
        try:
            block = block_name(name)
        except UsageError:
            block = ""
        variable = next((each for each in environ if each.upper() == f"{SECRETS_PREFIX}{name}".upper()), "")
        if not variable:
            return cls(name, block)
        text = environ[variable]
        value = decode(text) if is_typed else text
        return cls(name, block, variable, ("str", type(value).__name__))


class _Report(NamedTuple):
    resolution: SettingsResolution
    results: List[Result]
    blocks: List[Block]
    missing: List[str]
    legacy_variables: List[str]
    shows_all: bool

    @classmethod
    def of(cls, resolution: SettingsResolution, names: List[str], environ: Mapping[str, str]) -> _Report:
        by_name = {
            name: each for each in resolution.results.values() for name in (each.setting.path, *each.setting.names)
        }
        results, blocks, missing = [], [], []
        for name in names:
            variable = name.lower() if is_setting(name) and "." not in name else f"prefect_{name.replace('.', '_')}"
            result = by_name.get(name) or by_name.get(variable)
            if result is not None:
                results.append(result)
            elif is_setting(name):
                missing.append(name)
            else:
                blocks.append(Block.of(name, environ, is_typed=release_of(resolution.version) >= (3, 0, 0)))
        if not names:
            results = [each for each in resolution.results.values() if _is_set(each) or each.setting.path in _ALWAYS]
        legacy = [name for name in environ if name.upper().startswith(SECRETS_PREFIX)]
        return cls(resolution, results, blocks, missing, legacy, not names)

    @property
    def has_problems(self) -> bool:
        return bool(self.resolution.problems) or not all(each.block for each in self.blocks)

    def summary(self, mask: Mask) -> Iterator[str]:
        """Yield one line for each setting and each name."""
        version = self.resolution.version
        for result in self.results:
            place = f" from {result.candidates[0].origin}" if result.candidates else ""
            yield one_line(f"{result.setting.path} (Prefect {version}): {shown(result, result.value, mask)}{place}")
        for name in self.missing:
            yield one_line(f"{name} (Prefect {version}): no such setting")
        for block in self.blocks:
            yield one_line(f"{block.name} (Prefect {version}): {block.block or 'no block can have this name'}")
        for problem in self.resolution.problems:
            yield one_line(f"Prefect {version}: import prefect fails: {problem.place}: {problem.reason}")

    def text(self, mask: Mask) -> Iterator[str]:
        """Yield the lines of the report."""
        yield from settings_text(self.resolution, self.results, mask)
        for block in self.blocks:
            yield from map(one_line, self._block_text(block))
        if self.shows_all:
            yield from ignored_text(self.resolution)
            yield from (one_line(f"ignored: {name}: {_NO_EFFECT}") for name in self.legacy_variables)

    def _block_text(self, block: Block) -> Iterator[str]:
        version = self.resolution.version
        if not block.block:
            yield f"{block.name} (Prefect {version}): no setting, and no Secret block can have this name"
            yield "  rename    use lower-case letters, digits and dashes only"
            return
        call = f"Secret.load({block.block!r})"
        yield f"{block.name} (Prefect {version}): no setting; if it is a secret, it is the Secret block {block.block!r}"
        if block.block != block.name:
            yield "  name      lower case, with a dash for each underscore: Prefect allows no other block names"
        api = api_of(self.resolution)
        yield f"  from      {call} asks {api.address}" + (f" ({api.origin})" if api.origin else "")
        if api.error:
            yield f"  fails     {api.error}"
        yield f"  type      {call}.get() {_TYPES[release_of(version) >= (3, 0, 0)]}"
        if block.variable:
            yield f"  ignored   {block.variable}: {_NO_EFFECT}"
            if len(set(block.types)) > 1:
                before, after = block.types
                yield f"  type      its value, saved as it is, comes back as {after} instead of {before}"

    def as_dict(self, mask: Mask) -> Dict[str, Any]:
        """Return the report as plain data, for JSON."""
        api = api_of(self.resolution)
        return {
            **settings_dict(self.resolution, self.results, mask),
            "api": api._asdict(),
            "secrets": [
                {
                    "name": each.name,
                    "block": each.block or None,
                    "ignored_variable": each.variable or None,
                    "type_of_ignored_variable": each.types[1] or None,
                }
                for each in self.blocks
            ],
            "ignored_legacy_variables": self.legacy_variables,
        }


_NO_EFFECT = "no effect on Prefect 2 and 3; save a Secret block, or let `flowsecrets migrate` plan it"
_TYPES = {
    True: 'decodes JSON text: the text 42 becomes a number, and "42" with its quotes the text 42',
    False: "returns text, as it was saved",
}
