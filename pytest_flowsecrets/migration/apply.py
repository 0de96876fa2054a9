"""Create the blocks and variables of a plan with the real client of Prefect 2.20 or 3.

The client talks to the API that its settings name. No message contains the text of an error of the client, because
validation errors quote the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterator, Optional

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.migration.model import BLOCK
from pytest_flowsecrets.migration.values import same
from pytest_flowsecrets.versions import installed_version, is_rest_version, release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.migration.model import Item, Plan

CREATED, UNCHANGED, REPLACED, DIFFERENT, FAILED, SKIPPED = (
    "created",
    "unchanged",
    "replaced",
    "different",
    "failed",
    "skipped",
)
ENTERED, NOT_ENTERED = "exists", "not entered"
GOOD = frozenset({CREATED, UNCHANGED, REPLACED, ENTERED})
_ABSENT = object()


@dataclass(frozen=True)
class Result:
    """What happened to an item.

    Attributes:
        kind: ``block`` or ``variable``.
        old: the legacy name.
        new: the new name.
        status: one of the constants of this module.
        detail: more about it, or ``""``.
    """

    kind: str
    old: str
    new: str
    status: str
    detail: str = ""

    def as_dict(self) -> Dict[str, str]:
        """Return the result as plain data."""
        return {
            "kind": self.kind,
            "old": self.old,
            "new": self.new,
            "status": self.status,
            "detail": self.detail,
        }


def installed_target() -> Optional[int]:
    """Return the major version of the installed Prefect if it is 2.20 or 3, else None."""
    version = installed_version()
    return release_of(version)[0] if version is not None and is_rest_version(version) else None


def apply_plan(plan: Plan, *, replace: bool = False) -> Iterator[Result]:
    """Create the items of a plan, and yield what happened to each one. A second run changes nothing.

    Args:
        plan: the plan, for the installed Prefect.
        replace: replace existing blocks and variables that have another value.

    Raises:
        UsageError: see ``require_client``.
    """
    require_client(plan)
    for item in plan.items:
        yield _apply(item, replace=replace)
    for secret in plan.missing:
        status, detail = NOT_ENTERED, f"Secret(value=...).save({secret.new!r})"
        if secret.problem:
            status, detail = SKIPPED, secret.problem
        else:
            try:
                if _load_block(secret.new) is not _ABSENT:
                    status, detail = ENTERED, ""
            except Exception as error:  # noqa: BLE001 - its text may contain a value
                status, detail = FAILED, _describe(error)
        yield Result(BLOCK, secret.old, secret.new, status, detail)


def require_client(plan: Plan) -> None:
    """Check that the client of a plan is installed and has an API.

    Args:
        plan: the plan.

    Raises:
        UsageError: the installed Prefect is not that of the plan, or its settings name no API.
    """
    if installed_target() != plan.target:
        installed = installed_version() or "none"
        raise UsageError(
            f"--apply needs the client of Prefect {'2.20' if plan.target == 2 else '3'} in this environment; "  # noqa: PLR2004
            f"installed: {installed}"
        )
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise UsageError("--apply: no API is configured; set PREFECT_API_URL, or run `prefect cloud login`")


def _apply(item: Item, *, replace: bool) -> Result:
    if item.stored is None or not item.ready:
        return Result(item.kind, item.old, item.new, SKIPPED, item.problem)
    try:
        status = _store(item, replace=replace)
    except Exception as error:  # noqa: BLE001 - its text may contain a value
        return Result(item.kind, item.old, item.new, FAILED, _describe(error))
    detail = "it has another value: add --replace to replace it" if status == DIFFERENT else ""
    return Result(item.kind, item.old, item.new, status, detail)


def _store(item: Item, *, replace: bool) -> str:
    load, save = (_load_block, _save_block) if item.kind == BLOCK else (_load_variable, _save_variable)
    assert item.stored is not None  # noqa: S101 - for the type checker
    existing = load(item.new)
    if existing is not _ABSENT and same(existing, item.stored.value):
        return UNCHANGED
    if existing is not _ABSENT and not replace:
        return DIFFERENT
    save(item.new, item.stored.data)
    return CREATED if existing is _ABSENT else REPLACED


def _load_block(name: str) -> Any:
    from prefect.blocks.system import Secret

    try:
        return Secret.load(name).get()
    except ValueError as error:
        if str(error).startswith("Unable to find block document"):
            return _ABSENT
        raise


def _save_block(name: str, data: Any) -> None:
    from prefect.blocks.system import Secret

    Secret(value=data).save(name, overwrite=True)


def _load_variable(name: str) -> Any:
    from prefect.variables import Variable

    value = Variable.get(name, _ABSENT)
    return getattr(value, "value", value)  # Prefect 2 returns an object


def _save_variable(name: str, data: Any) -> None:
    from prefect.variables import Variable

    Variable.set(name, data, overwrite=True)


def _describe(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    answer = f": the API answers {status}" if status is not None else ""
    return f"{type(error).__name__}{answer} (its text is hidden, because it may contain a value)"
