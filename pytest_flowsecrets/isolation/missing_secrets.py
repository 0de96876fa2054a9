"""Explain why a flow or a test does not find a secret.

Prefect's own error only says that the secret was not found. The causes below are tried in turn: each function looks at
one kind of mistake and returns what happened and what to write instead. The texts contain names only, never values.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Collection, Iterator, List, NamedTuple, Optional, Sequence

from pytest_flowsecrets.errors import FlowSecretsError, SecretNotFound
from pytest_flowsecrets.isolation.environment.prefect_variables import secret_of
from pytest_flowsecrets.isolation.environment.write_origins import IMPORT
from pytest_flowsecrets.isolation.guards.signals import deferred_signals
from pytest_flowsecrets.names import SECRETS_PREFIX
from pytest_flowsecrets.resolution.masked_names import masked_name
from pytest_flowsecrets.resolution.near_names import nearest_name
from pytest_flowsecrets.versions import DEFAULT_VERSION, installed_version, uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.stack import Isolation

MAX_LINES = 6
_MAX_NAMES = 8  # in the first line
# The texts of `Secret.get` of Prefect 0.5.5, of 0.6.0 to 1.4.1, of its Cloud client, and of `Secret.load`.
_MISSING = re.compile(
    r'Local Secret "(?P<local>.{1,200}?)" was not found\.'
    r"|The secret (?P<cloud>.{1,200}?) was not found\. "
    r"|\bSecret (?P<old>[^\s\"]+) was not found\."
    r"|Unable to find block document named (?P<block>\S+) for block type secret\b"
)
_UNREADABLE = re.compile(r"[^0-9A-Z]+")


class Case(NamedTuple):
    """A missing secret, and what is known about the test that misses it.

    Attributes:
        name: the name that the flow asks for.
        isolation: the isolation of the test, or None if the test is not isolated.
        marks: the marks of the test.
        fixture: a description of the fixture of wider scope, or the like, in which the error was raised, or ``""``.
        cloud: the names of the secrets of ``prefect_cloud``.
    """

    name: str
    isolation: Optional[Isolation]
    marks: Sequence[Any] = ()
    fixture: str = ""
    cloud: Collection[str] = ()

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
        """The mark that sets the secret."""
        return f"@pytest.mark.secrets({self.assignment})"


class Cause(NamedTuple):
    """Why a secret is missing, and the next step."""

    message: str
    fix: str


def missing_name(text: str) -> Optional[str]:
    """Return the name of the missing secret if a text holds Prefect's message about one.

    Args:
        text: the text of an error, a state or a log.
    """
    match = _MISSING.search(text)
    return None if match is None else next(filter(None, match.groups()))


def missing_in_error(error: Optional[BaseException]) -> Optional[str]:
    """Return the name of the missing secret that an error, or one that it wraps, is about.

    Args:
        error: the exception.
    """
    for each in _chain(error):
        name = each.name if isinstance(each, SecretNotFound) else missing_name(_text(each))
        if name is not None:
            return name
    return None


def _chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    pending, seen = [error], set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        with suppress(Exception):  # the attributes of an error may be anything, such as a property that fails
            more = getattr(each, "exceptions", ())
            more = list(more) if isinstance(more, (list, tuple)) else []
            more.append(getattr(getattr(each, "state", None), "result", None))  # of a signal of Prefect
            pending += [other for other in more if isinstance(other, BaseException)]
        pending += [each.__context__, each.__cause__]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - any error of the user may be broken
        return ""


def explain_missing(case: Case) -> List[str]:
    """Return the lines that explain why a secret is missing: at most six, the last with the next step.

    Args:
        case: the secret and the test.
    """
    causes = [cause for cause in (rule(case) for rule in CAUSES) if cause is not None]
    messages = [cause.message for cause in causes][: MAX_LINES - 2]
    fix = causes[0].fix if causes else f"write {case.mark}"
    return [_summary(case), *messages, f"fix: {fix}"]


def _summary(case: Case) -> str:
    missing = f"secret {masked_name(case.name)!r} does not exist"
    if case.fixture:
        return f"{missing} in {case.fixture}, which runs outside the isolation of the test"
    if case.isolation is None:
        return f"{missing}: this test is not isolated, because it has no secrets marker and no fixture for secrets"
    names = [repr(masked_name(name)) for name in case.names]
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{missing} in this test, which has {', '.join(names[:_MAX_NAMES]) + more if names else 'no secrets'}"


# -- causes, the most certain first ------------------------------------------------------------------------------------


def _wider_scope(case: Case) -> Optional[Cause]:
    if not case.fixture:
        return None
    isolate = "local_secrets_factory" if case.fixture.startswith("the fixture") else "isolated_prefect"
    return Cause(
        "markers and local_secrets set secrets for one test only; code of a wider scope runs before and after it",
        f"use scope='function', or `with {isolate}({{{masked_name(case.name)!r}: \"...\"}}):` in it",
    )


def _held_by_cloud(case: Case) -> Optional[Cause]:
    if case.name not in case.cloud:
        return None
    return Cause(
        "prefect_cloud has it, and Prefect asks Cloud for secrets only inside a flow run",
        "read it inside `with prefect_cloud.flow_run():`, or set a local secret with local_secrets",
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
    return f"write {case.mark}" if uses_rest_api() else f"write {SECRETS_PREFIX}{masked_name(case.name)}"


def _hidden_variable(case: Case) -> Optional[Cause]:
    for variable, source in case.isolation.hidden_variables.items() if case.isolation else ():
        if variable != case.name and not _sets(variable, case):
            continue
        declare = "call load_dotenv() in conftest.py" if source.startswith(IMPORT) else "set it in conftest.py"
        return Cause(
            f"{variable} (from {source}) is hidden: isolated tests see only variables that the test run itself sets",
            f"write {case.mark}" if uses_rest_api() else f"write {case.mark}, or {declare}",
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
    near = nearest_name(case.name, [*case.names, *case.cloud])
    if near is None:
        return None
    return Cause(near.message, f"ask for {masked_name(near.name)!r}, or write {case.mark}")


def _misspelled_mark(case: Case) -> Optional[Cause]:
    """Find a mark that this package does not know, such as ``@pytest.mark.secret(TOKEN="x")``."""
    for mark in case.marks:
        near = nearest_name(mark.name, ("secrets",))
        if near is not None and (mark.kwargs or mark.args):  # `@pytest.mark.secure` is a mark of the user
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


# -- where the name of the missing secret is ---------------------------------------------------------------------------

_MAX_FRAMES, _MAX_LOCALS = 20, 200
_noted: List[Any] = []  # the last error that left an isolation of the user, with the lines that explain it


def missing_in_failure(error: BaseException, traceback: Any, output: str) -> Optional[str]:
    """Return the name of the missing secret because of which a test has failed, or None.

    Args:
        error: the error of the test. It may be an assertion about the state of a flow run.
        traceback: its traceback. The test's variables may hold the state or the result of a flow run.
        output: the captured output and log of the test.
    """
    name = missing_in_error(error)
    if name is None:
        texts = (text for frame in _frames(traceback) for text in _state_texts(frame))
        name = next(filter(None, map(missing_name, texts)), None)
    return name or missing_name(output)


def _frames(traceback: Any) -> Iterator[Any]:
    count = 0
    while traceback is not None and count < _MAX_FRAMES:
        module = traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if module not in ("_pytest", "pluggy", "prefect"):
            count += 1
            yield traceback.tb_frame
        traceback = traceback.tb_next


def _state_texts(frame: Any) -> Iterator[str]:
    """Yield the messages of the states in the variables of a function, and the logs of its flow runs."""
    for value in list(frame.f_locals.values())[:_MAX_LOCALS]:
        kind = type(value)
        module = str(getattr(kind, "__module__", ""))
        if module.startswith("prefect.") and hasattr(kind, "is_failed"):
            yield from _messages(value)
        elif module.startswith("pytest_flowsecrets.") and kind.__name__ == "FlowRun":
            yield from (log.message for log in value.logs)


def _messages(state: Any) -> Iterator[str]:
    yield str(state.message)
    result = getattr(state, "result", None)  # up to Prefect 1.4.1, of a flow run: the states of its tasks
    for each in result.values() if isinstance(result, dict) else ():
        if hasattr(type(each), "is_failed"):
            yield str(each.message)


def note_missing(error: BaseException, isolation: Isolation) -> None:
    """Remember why a secret is missing in an isolation that ends because of the error.

    Args:
        error: the exception that ends the ``with`` block of the isolation.
        isolation: the isolation, which is still active.
    """
    # An explanation must not replace the error itself, and must not hide the exception of a signal's handler.
    with deferred_signals(), suppress(Exception):
        name = missing_in_error(error)
        if name is not None and isolation.active:
            _noted[:] = [(error, explain_missing(Case(name, isolation)))]


def noted_lines(error: BaseException) -> List[str]:
    """Return the lines that ``note_missing`` has remembered for an error, and forget them."""
    noted, _noted[:] = list(_noted), []
    return next((lines for each, lines in noted if any(part is each for part in _chain(error))), [])
