"""Explain why a flow or a test does not find a secret.

Prefect's own error only says that the secret was not found. The causes below are tried in turn: each function looks at
one kind of mistake and returns what happened and what to write instead. The texts contain names only, never values.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional, Sequence

from pytest_flowsecrets.errors import FlowSecretsError
from pytest_flowsecrets.isolation.environment.prefect_variables import secret_of
from pytest_flowsecrets.isolation.environment.write_origins import IMPORT
from pytest_flowsecrets.isolation.guards import deferred_signals
from pytest_flowsecrets.isolation.missing_in_errors import chain_of, missing_in_error
from pytest_flowsecrets.names import SECRETS_PREFIX
from pytest_flowsecrets.resolution.shown_names import masked_name, nearest_name
from pytest_flowsecrets.versions import DEFAULT_VERSION, installed_version, uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.stack import Isolation

MAX_LINES = 6
_MAX_NAMES = 8  # in the first line
_UNREADABLE = re.compile(r"[^0-9A-Z]+")


class Cloud(NamedTuple):
    """The fake Prefect Cloud of a test.

    Attributes:
        variable: the name of the fixture or variable that holds it.
        names: the names of its secrets.
        reads: the names of the secrets that flow runs have read.
    """

    variable: str
    names: Sequence[str]
    reads: Sequence[str] = ()


class Case(NamedTuple):
    """A missing secret, and what is known about the test that misses it.

    Attributes:
        name: the name that the flow asks for.
        isolation: the isolation of the test, or None if the test is not isolated.
        marks: the markers of the test.
        fixture: a description of the fixture of wider scope, or the like, in which the error was raised, or ``""``.
        cloud: the fake Prefect Cloud of the test, or None.
        place: where the secret is missing: see ``Missing``.
    """

    name: str
    isolation: Optional[Isolation]
    marks: Sequence[Any] = ()
    fixture: str = ""
    cloud: Optional[Cloud] = None
    place: str = ""

    @property
    def asked_cloud(self) -> Optional[Cloud]:
        """The fake Prefect Cloud if the flow asked it for the secret, or None."""
        return self.cloud if self.place == "cloud" else None

    @property
    def names(self) -> List[str]:
        """The names of the secrets of the test."""
        try:
            return [] if self.isolation is None else list(self.isolation.secrets)
        except FlowSecretsError:  # another isolation is active
            return []

    @property
    def version(self) -> str:
        """The version of Prefect."""
        return self.isolation.version if self.isolation else installed_version() or DEFAULT_VERSION

    @property
    def assignment(self) -> str:
        """The arguments that set the secret, as for ``dict``."""
        name = masked_name(self.name)
        return f'{name}="..."' if name.isidentifier() else f'{{{name!r}: "..."}}'

    @property
    def mark(self) -> str:
        """The marker that sets the secret."""
        return f"@pytest.mark.secrets({self.assignment})"

    @property
    def statement(self) -> str:
        """The code that sets the secret where it is missing: the marker, or a call that sets it in Cloud."""
        if self.asked_cloud is None:
            return self.mark
        name = masked_name(self.name)
        quoted = f'"{name}"' if name.isidentifier() else repr(name)
        return f'{self.asked_cloud.variable}.secrets.set({quoted}, "...")'


class Cause(NamedTuple):
    """Why a secret is missing, and the next step."""

    message: str
    fix: str


def explain_missing(case: Case) -> List[str]:
    """Return the lines that explain why a secret is missing: at most six, the last with the next step.

    Args:
        case: the secret and the test.

    Returns:
        The lines. There are none if the secret may be missing for a reason that this package does not know.
    """
    if case.place == "context":
        return _explain_storage(case)
    causes = [cause for cause in (rule(case) for rule in CAUSES) if cause is not None]
    messages = [cause.message for cause in causes][: MAX_LINES - 2]
    fix = causes[0].fix if causes else f"write {case.statement}"
    return [_summary(case), *messages, f"fix: {fix}"]


def _explain_storage(case: Case) -> List[str]:
    """Explain why a library such as botocore, which reads the context only, does not find a secret of Cloud."""
    if case.cloud is None or case.name not in case.cloud.names or case.name in case.cloud.reads:
        return []
    return [
        f"{case.cloud.variable} has {case.name!r}, but a flow run gets it only if the storage of its flow names it",
        f'fix: name it in the storage, such as GitHub(..., secrets=["{case.name}"])',
    ]


def _summary(case: Case) -> str:
    missing = f"secret {masked_name(case.name)!r} does not exist"
    if case.asked_cloud is not None:
        others = [name for name in case.asked_cloud.names if name != case.name]
        return f"{missing} in {case.asked_cloud.variable}, which has {_list(others) or 'no secrets'}"
    if case.fixture:
        return f"{missing} in {case.fixture}, which runs outside the isolation of the test"
    if case.isolation is None:
        return f"{missing}: this test is not isolated, because it has no secrets marker and no fixture for secrets"
    return (
        f"{missing} in this test, which has {_list(case.names) or ('no local secrets' if case.cloud else 'no secrets')}"
    )


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(repr(masked_name(name)) for name in names[:_MAX_NAMES]) + more


# -- causes, the most certain first ------------------------------------------------------------------------------------


def _wider_scope(case: Case) -> Optional[Cause]:
    if not case.fixture or case.asked_cloud is not None:
        return None
    isolate = "local_secrets_factory" if case.fixture.startswith("the fixture") else "isolated_prefect"
    return Cause(
        "markers and local_secrets set secrets for one test only; code of a wider scope runs before and after it",
        f"use scope='function', or `with {isolate}({{{masked_name(case.name)!r}: \"...\"}}):` in it",
    )


def _held_by_cloud(case: Case) -> Optional[Cause]:
    if case.cloud is None or case.name not in case.cloud.names:
        return None
    cloud = case.cloud.variable
    if case.asked_cloud is not None:
        return Cause(f"{cloud} has it now, but did not have it when it was read", "set it before the flow run starts")
    return Cause(
        f"{cloud} has it, and Prefect asks Cloud for secrets only inside a flow run",
        f"read it inside `with {cloud}.flow_run():`, or set a local secret with local_secrets",
    )


def _unread_variable(case: Case) -> Optional[Cause]:
    """Find a variable that was set after Prefect had read its configuration."""
    if uses_rest_api() or "prefect" not in sys.modules:
        return None
    for variable in os.environ:
        if _sets(variable, case):
            where = "local_secrets.reload() after it" if case.isolation else f"{case.mark}, which needs no variable"
            return Cause(f"{variable} was set after Prefect had read its configuration", f"use {where}")
    return None


def _misspelled_variable(case: Case) -> Optional[Cause]:
    """Find a variable that seems to set the secret, and that Prefect does not read."""
    wanted = _UNREADABLE.sub("", case.name.upper())
    forms = {f"PREFECT{middle}{wanted}" for middle in ("CONTEXTSECRETS", "CONTEXTSECRET", "SECRETS", "SECRET")}
    for variable in os.environ:
        if _UNREADABLE.sub("", variable.upper()) in forms and not variable.startswith(SECRETS_PREFIX):
            return Cause(f"Prefect does not read {variable}", _right_variable(case))
    return None


def _right_variable(case: Case) -> str:
    return f"write {case.statement}" if uses_rest_api() else f"write {SECRETS_PREFIX}{masked_name(case.name)}"


def _hidden_variable(case: Case) -> Optional[Cause]:
    for variable, source in case.isolation.hidden_variables.items() if case.isolation else ():
        if variable != case.name and not _sets(variable, case):
            continue
        declare = "call load_dotenv() in conftest.py" if source.startswith(IMPORT) else "set it in conftest.py"
        return Cause(
            f"{variable} (from {source}) is hidden: isolated tests see only variables that the test run itself sets",
            f"write {case.statement}" if uses_rest_api() else f"write {case.statement}, or {declare}",
        )
    return None


def _set_to_no_effect(case: Case) -> Optional[Cause]:
    """Find a variable of Prefect 1 in a test of Prefect 2.20 or 3."""
    if not uses_rest_api():
        return None
    for variable in os.environ:
        if _sets(variable, case):
            message = f"{variable} is set, but Prefect {case.version} reads no secrets from variables"
            return Cause(message, f"write {case.mark}")
    return None


def _sets(variable: str, case: Case) -> bool:
    """Return whether a variable is the one that sets the secret in Prefect 0.5.5 to 1.4.1."""
    if not uses_rest_api():
        return secret_of(variable, case.version) == case.name
    block = variable[len(SECRETS_PREFIX) :].lower().replace("_", "-")
    return variable.startswith(SECRETS_PREFIX) and block == case.name.lower().replace("_", "-")


def _wrong_table(case: Case) -> Optional[Cause]:
    """Find a key of a config file that has the name of the secret, and that is in another table."""
    if case.isolation is None or uses_rest_api():
        return None
    for key, slot in case.isolation.require_legacy("config files").model().flat.items():
        if key[-1] == case.name and key[:2] != ("context", "secrets") and slot.kind != "defaults":
            table = ".".join(map(str, key[:-1]))
            return Cause(f"{slot.origin} sets it in [{table}]", "write it in [context.secrets], where Prefect reads it")
    return None


def _near_name(case: Case) -> Optional[Cause]:
    of_cloud = case.cloud.names if case.cloud else ()
    near = nearest_name(case.name, of_cloud if case.asked_cloud else [*case.names, *of_cloud])
    if near is None:
        return None
    place = f"{case.cloud.variable}: " if case.cloud and not case.asked_cloud and near.name in of_cloud else ""
    return Cause(place + near.message, f"ask for {masked_name(near.name)!r}, or write {case.statement}")


def _misspelled_mark(case: Case) -> Optional[Cause]:
    """Find a marker that this package does not know, such as ``@pytest.mark.secret(TOKEN="x")``."""
    for mark in case.marks:
        near = nearest_name(mark.name, ("secrets",))
        if near is not None and (mark.kwargs or mark.args):  # `@pytest.mark.secure` is a marker of the user
            return Cause(
                f"the marker {mark.name!r} does nothing: the marker of this plugin is 'secrets'", f"write {case.mark}"
            )
    return None


CAUSES: Sequence[Callable[[Case], Optional[Cause]]] = (
    _wider_scope,
    _held_by_cloud,
    _misspelled_mark,
    _unread_variable,
    _misspelled_variable,
    _set_to_no_effect,
    _hidden_variable,
    _wrong_table,
    _near_name,
)


# -- errors that end an isolation --------------------------------------------------------------------------------------

_noted: List[Any] = []  # the last error that left an isolation of the user, with the lines that explain it


def note_missing(error: BaseException, isolation: Isolation) -> None:
    """Remember why a secret is missing in an isolation that ends because of the error.

    Args:
        error: the exception that ends the ``with`` block of the isolation.
        isolation: the isolation, which is still active.
    """
    # An explanation must not replace the error itself, and must not hide the exception of a signal's handler.
    with deferred_signals(), suppress(Exception):
        missing = missing_in_error(error)
        if missing is not None and isolation.active:
            _noted[:] = [(error, explain_missing(Case(missing.name, isolation, place=missing.place)))]


def noted_lines(error: BaseException) -> List[str]:
    """Return the lines that ``note_missing`` has remembered for an error, and forget them."""
    noted, _noted[:] = list(_noted), []
    return next((lines for each, lines in noted if any(part is each for part in chain_of(error))), [])
