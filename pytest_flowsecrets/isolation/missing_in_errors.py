"""Find the missing secret that an error, the state of a flow run or a log is about."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.errors import SecretNotFound

AWS_CREDENTIALS = "AWS_CREDENTIALS"
# The texts of `Secret.get` of Prefect 0.5.5, of 0.6.0 to 1.4.1, of its Cloud client, and of `Secret.load`.
_MISSING = re.compile(
    r'Local Secret "(?P<local>.{1,200}?)" was not found\.'
    r"|The secret (?P<cloud>.{1,200}?) was not found\. "
    r"|\bSecret (?P<old>[^\s\"]+) was not found\."
    r"|Unable to find block document named (?P<block>\S+) for block type secret\b"
)
_NO_CREDENTIALS = "Unable to locate credentials"  # botocore
_FAKE_CLOUD = "pytest_flowsecrets.backend.fake_cloud", "FakeCloud"  # not imported: it needs more packages
_MAX_FRAMES, _MAX_LOCALS = 20, 200


class Missing(NamedTuple):
    """A missing secret.

    Attributes:
        name: the name that the flow or the test asked for.
        place: where it is missing: ``cloud`` (Prefect Cloud), ``context`` (a library read ``prefect.context.secrets``
            only), or ``""`` for any other place.
    """

    name: str
    place: str = ""


def missing_in_text(text: str) -> Optional[Missing]:
    """Return the missing secret if a text holds a message about one.

    Args:
        text: the text of an error, a state or a log.
    """
    match = _MISSING.search(text)
    if match is None:
        return Missing(AWS_CREDENTIALS, "context") if _NO_CREDENTIALS in text else None
    return Missing(next(filter(None, match.groups())), "cloud" if match["cloud"] else "")


def missing_in_error(error: Optional[BaseException]) -> Optional[Missing]:
    """Return the missing secret that an error, or one that it wraps, is about.

    Args:
        error: the exception.
    """
    for each in chain_of(error):
        if isinstance(each, SecretNotFound):
            return Missing(each.name, each.place)
        missing = missing_in_text(_text(each))
        if missing is not None:
            return missing
    return None


def chain_of(error: Optional[BaseException]) -> Iterator[BaseException]:
    """Yield an error and those that it wraps."""
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


def missing_in_failure(error: BaseException, traceback: Any, output: str) -> Optional[Missing]:
    """Return the missing secret that made a test fail, or None.

    Args:
        error: the error of the test. It may be an assertion about the state of a flow run.
        traceback: its traceback. The test's variables may hold the state or the result of a flow run.
        output: the captured output and log of the test.
    """
    missing = missing_in_error(error)
    if missing is None:
        texts = (text for frame in _frames(traceback) for text in _state_texts(frame))
        missing = next(filter(None, map(missing_in_text, texts)), None)
    return missing or missing_in_text(output)


def find_cloud(fixtures: Mapping[str, Any], traceback: Any) -> Optional[Tuple[str, Any]]:
    """Return a fake Prefect Cloud of a test and the name of its variable, or None.

    Args:
        fixtures: the values of the fixtures of the test.
        traceback: the traceback of the failure. The variables of the test may hold the Cloud.
    """
    own = {name: value for name, value in fixtures.items() if name == "prefect_cloud"}  # other fixtures may return it
    for variables in (own, fixtures, *(frame.f_locals for frame in _frames(traceback))):
        for name, value in list(variables.items())[:_MAX_LOCALS]:
            if (type(value).__module__, type(value).__name__) == _FAKE_CLOUD:
                return name, value
    return None


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
            yield from (str(each.message) for each in (value.state, *value.task_states.values()))


def _messages(state: Any) -> Iterator[str]:
    yield str(state.message)
    result = getattr(state, "result", None)  # up to Prefect 1.4.1, of a flow run: the states of its tasks
    for each in result.values() if isinstance(result, dict) else ():
        if hasattr(type(each), "is_failed"):
            yield str(each.message)
