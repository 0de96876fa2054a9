"""``flowsecrets migrate``: the plan of a migration to Prefect 2.20 or 3, its diff, and its execution."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Tuple

from pytest_flowsecrets.commands.explain import layers_of
from pytest_flowsecrets.commands.files.reading import Unreadable, read_bytes
from pytest_flowsecrets.commands.inputs import dialects_of, environment_of, machine_of
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.migration.apply import GOOD, apply_plan, installed_target, require_client
from pytest_flowsecrets.migration.model import BLOCK, Plan
from pytest_flowsecrets.migration.plan import make_plan, new_names, texts_not_decoded
from pytest_flowsecrets.migration.sources import parse_modules, replace_file, source_files
from pytest_flowsecrets.resolution.display import Mask, one_line
from pytest_flowsecrets.resolution.resolve import resolve
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.migration.apply import Result
    from pytest_flowsecrets.migration.rewrite import SourceModule
    from pytest_flowsecrets.resolution.resolve import Resolution

OLDEST_LIBCST = (1, 1, 0)
_NEWEST = 3


def run(arguments: Any) -> int:
    """Plan a migration; rewrite code and create blocks if the options say so.

    Args:
        arguments: parsed arguments.

    Returns:
        0 if nothing is left to decide or to do by hand, else 1.

    Raises:
        UsageError: an option is not valid, or a package is missing.
    """
    (dialect,), target = dialects_of(arguments), _target(arguments)
    resolution = resolve(
        layers_of(arguments), environment_of(arguments.env_file), dialect, machine=machine_of(arguments)
    )
    notes: List[str] = []
    sources, unread = _read(arguments.sources, notes)
    modules, not_parsed = _modules(sources)
    used = _places(each for module in modules for each in module.secrets)
    loaded = _places(each for module in modules for each in module.blocks)
    renames = _renames(arguments.rename)
    plan = make_plan(resolution, target, renames=renames, cloud_names=arguments.cloud_secret, used=used, loaded=loaded)
    plan.errors += unread + not_parsed
    plan.notes += notes
    obstacle = _obstacle(plan) if arguments.apply else None
    diffs = _rewrite(modules, plan, resolution, arguments, write=arguments.write and obstacle is None)
    if not arguments.json:
        _write_plan(plan, diffs)
    if obstacle is not None:
        if arguments.json:
            _write_results(plan, diffs, [], arguments)
        raise obstacle
    results = list(apply_plan(plan, replace=arguments.replace)) if arguments.apply else []
    _write_results(plan, diffs, results, arguments)
    return int(_exit_status(plan, results, arguments))


def _obstacle(plan: Plan) -> Optional[UsageError]:
    """Return the error because of which the plan cannot be applied, before anything changes."""
    try:
        require_client(plan)
    except UsageError as error:
        return error
    return None


def _exit_status(plan: Plan, results: List[Result], arguments: Any) -> bool:
    if not arguments.apply:
        return plan.needs_attention
    others = plan.errors or any(change.reason for change in plan.code) or any(item.changes for item in plan.items)
    return bool(others) or any(result.status not in GOOD for result in results)


def _target(arguments: Any) -> int:
    installed = installed_target()
    return arguments.target or installed or _NEWEST


def _renames(options: List[str]) -> Dict[str, str]:
    renames = {}
    for option in options:
        old, equals, new = option.rpartition("=")
        if not (old and equals and new):
            raise UsageError(f"--rename {option}: write OLD=new")
        renames[old] = new
    return renames


# -- code --------------------------------------------------------------------------------------------------------------


def _read(paths: List[str], notes: List[str]) -> Tuple[Dict[str, bytes], List[str]]:
    """Return the contents of the Python files, and the errors of files that cannot be read or rewritten."""
    files, sources, errors = source_files(paths), {}, []
    notes += [f"{folder}: not searched; to search it, pass it as a source" for folder in files.skipped]
    for path in (*files.python, *files.notebooks):
        try:
            sources[path] = read_bytes(path)
        except Unreadable as error:  # noqa: PERF203 (the other files are read)
            errors.append(str(error))
    for path in files.notebooks:
        text = sources.pop(path, b"")
        if b"prefect" in text and b"ecret" in text:
            errors.append(f"{path}: a notebook that mentions Prefect and secrets: change it by hand")
    return sources, errors


def _modules(sources: Dict[str, bytes]) -> Tuple[List[SourceModule], List[str]]:
    if not sources:
        return [], []
    _require_libcst()
    return parse_modules(sources)


def _places(uses: Iterable[Tuple[str, str]]) -> Dict[str, List[str]]:
    """Return the places of each name."""
    places: Dict[str, List[str]] = {}
    for name, place in uses:
        places.setdefault(name, []).append(place)
    return places


def _require_libcst() -> None:
    try:
        installed = metadata.version("libcst")
    except metadata.PackageNotFoundError:
        installed = "none"
    if installed == "none" or release_of(installed) < OLDEST_LIBCST:
        raise UsageError(
            f"reading Python files needs libcst 1.1, installed: {installed}; pip install 'pytest-flowsecrets[migrate]'"
        )


def _rewrite(
    modules: List[SourceModule], plan: Plan, resolution: Resolution, arguments: Any, *, write: bool
) -> List[str]:
    """Add the changes to the plan, write the files if asked, and return the lines of the diffs."""
    names, decoded = new_names(plan), texts_not_decoded(resolution)
    lines: List[str] = []
    for module in modules:
        new, changes = module.rewrite(names, decoded)
        plan.code += changes
        if new == module.source:
            continue
        if arguments.diff:
            lines += module.diff(new, names)
        problem = replace_file(module.path, new, arguments.sources) if write else ""
        plan.errors += [f"{module.path}: not written: {problem}"] if problem else []
    return lines


# -- output ------------------------------------------------------------------------------------------------------------


def _write_plan(plan: Plan, diffs: List[str]) -> None:
    for line in [*text_of(plan, Mask()), *diffs]:
        print(one_line(line), flush=True)
    for note in plan.notes:
        print(one_line(f"note: {note}"), flush=True)
    for error in plan.errors:
        print(one_line(f"flowsecrets: {error}"), file=sys.stderr)


def _write_results(plan: Plan, diffs: List[str], results: List[Result], arguments: Any) -> None:
    if arguments.json:
        applied = [result.as_dict() for result in results] if arguments.apply else None
        print(json.dumps({**plan.as_dict(Mask()), "diff": diffs, "applied": applied}, indent=2))
        return
    for result in results:
        name = f"{result.kind} {result.new}" if result.new else result.old
        print(one_line(f"{result.status}: {name}" + (f": {result.detail}" if result.detail else "")))
    if not arguments.apply:
        ready = sum(item.ready for item in plan.items)
        print(f"Nothing was created. To create {ready} of {len(plan.items)} items, add --apply.")


def text_of(plan: Plan, mask: Mask) -> List[str]:
    """Return the lines that describe a plan, without values.

    Args:
        plan: the plan.
        mask: determines how values are shown.
    """
    lines = [f"Prefect {plan.source} -> {plan.target}"]
    for item in plan.items:
        value = mask.text(item.stored.value) if item.stored is not None else "not stored"
        kind = "Secret block" if item.kind == BLOCK else "Variable"
        lines.append(f"{item.old} -> {kind} {item.new or '?'}: {value}" + (f" ({item.origin})" if item.origin else ""))
        lines += [f"  changes: {change}" for change in item.changes]
        lines += [f"  problem: {item.problem}"] if item.problem else []
    for secret in plan.missing:
        where = f" (used at {', '.join(secret.used_at)})" if secret.used_at else ""
        lines.append(f"{secret.old} -> Secret block {secret.new or '?'}: {secret.reason}{where}")
        lines += [f"  problem: {secret.problem}"] if secret.problem else []
    for change in plan.code:
        what = f"by hand: {change.reason}" if change.reason else f"-> {change.new}"
        lines.append(f"{change.file}:{change.line}:{change.column}: {change.old} {what}")
    return lines
