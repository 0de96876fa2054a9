"""Leaks: the findings of leaked secrets, and the reports about them. They never contain a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from pytest_flowsecrets.findings.model import Finding as _Finding
from pytest_flowsecrets.findings.rules import LEAK, RULES
from pytest_flowsecrets.resolution.layers import Origin

_ADVICE = {
    "captured": "do not print or log it; log the secret's name",
    "live": "do not print or log it; log the secret's name",
    "log": "do not print or log it; log the secret's name",
    "failure": "compare names, lengths or hashes in assertions, and keep the value out of exception messages",
    "reason": "keep the value out of reasons and messages",
    "warning": "keep the value out of warnings",
    "id": "give the parameter an id: pytest.param(value, id='token')",
    "property": "record the secret's name, not its value",
    "file": "do not write it to files, or remove the files",
    "result": "do not return it with persist_result; return the block's name and load the block where it is used; if "
    "an exception keeps the value, as those of HTTP clients keep the request, raise a different one from None",
    "run": "do not put values into the env of run configs (Prefect stores it readable); read the secret in the flow",
    "environment": "a LocalAgent passes on its whole environment, as workers and serve() of Prefect 2 and 3 do; "
    "start it with an environment without secrets",
    "api": "send the secret's name, and let the flow read the value where it runs",
    "searched": "keep the value out of what leaves the flow",
}


def _advice_for(place: str) -> str:
    word = place.split(" ", 1)[0]
    specific = api_advice_for(place) if word == "api" else None
    return specific or _ADVICE.get(word, _ADVICE["reason"])


@dataclass(frozen=True, init=False)
class Leak(_Finding):
    """A leak of a secret.

    Attributes:
        name: the name of the secret.
        form: the form of the value, such as ``base64`` or ``raw, truncated``.
        place: the place of the leak: ``captured stdout``, ``failure``, ``id``, ``file report.xml``, …
        test: the node id of the test, or an empty string outside of tests.
        excerpt: the text around the value, masked.
        names: all names of the value.
        advice: how to fix the leak.
        allowed: whether a marker ``allow_leaks`` allows the leak. Only ``secret_leaks`` returns allowed leaks.
    """

    form: str = ""
    place: str = ""
    excerpt: str = ""
    names: Sequence[str] = ()
    allowed: bool = False

    def __init__(  # noqa: PLR0913, PLR0917 (the columns of a leak)
        self,
        name: str,
        form: str,
        place: str,
        test: str,
        excerpt: str,
        names: Sequence[str] = (),
        *,
        allowed: bool = False,
    ) -> None:
        path, advice = test.partition("::")[0], _advice_for(place)
        origin, message = Origin("test", path), f"{form}, in {place}"
        super().__init__(LEAK, RULES[LEAK].severity, name, origin, message, advice=advice, test=test)
        vars(self).update(form=form, place=place, excerpt=excerpt, names=names, allowed=allowed)

    def __str__(self) -> str:
        return f"{self.name} ({self.form}) in {self.place}: {self.excerpt}"

    @property
    def identity(self) -> Tuple[str, ...]:
        """The data that two reports of the same leak have in common."""
        return self.name, self.form, self.place, self.test

    @property
    def description(self) -> str:
        """The secret, the form, the place and the advice, as SARIF shows them."""
        return f"Secret {self.name} ({self.form}) in {self.place}. Fix: {self.advice}."

    def as_dict(self, place: Any = None) -> Dict[str, Any]:  # noqa: ARG002 (a leak has no other way to write its place)
        """Return the leak as plain data, for JSON."""
        fields = "name", "form", "place", "test", "excerpt", "advice"
        return {field: getattr(self, field) for field in fields}

    def with_test(self, test: str) -> Leak:
        """Return the leak with another id of its test."""
        return Leak(self.name, self.form, self.place, test, self.excerpt, self.names, allowed=self.allowed)

    def as_row(self) -> List[Any]:
        """Return the arguments of this object, which an xdist worker can send."""
        return [*self.identity, self.excerpt, self.names]


def report_section(leaks: Sequence[Leak]) -> str:
    """Return the section that the report of a leaking test shows."""
    lines = [f"{len(leaks)} secret leak{'s' if len(leaks) > 1 else ''}:"]
    for leak in leaks:
        lines += [f"secret {leak.name}, {leak.message}:", f"    {leak.excerpt}", f"    fix: {leak.advice}"]
    return "\n".join(lines)


def summary(leaks: Iterable[Leak]) -> List[str]:
    """Return a line with a count for each secret and place."""
    counts = Counter((leak.name, leak.place) for leak in leaks)
    return [f"{name} in {place}: {count}" for (name, place), count in sorted(counts.items())]


def as_sarif(leaks: Sequence[Leak]) -> Dict[str, Any]:
    """Return the leaks as a SARIF 2.1.0 log, which has the plain data in its properties."""
    from pytest_flowsecrets.findings import reporters

    return reporters.as_sarif(leaks, "pytest-flowsecrets", [LEAK], {"findings": reporters.as_json(leaks)})


def write_report(path: str, leaks: Sequence[Leak]) -> None:
    """Write the leaks as SARIF to ``path`` and as JSON next to it, or the other way round for a ``.json`` path."""
    from pathlib import Path

    from pytest_flowsecrets.findings.reporters import as_json, json_text

    main = Path(path).with_suffix(".sarif") if path.endswith(".json") else Path(path)
    main.parent.mkdir(parents=True, exist_ok=True)
    for target, content in ((main, as_sarif(leaks)), (main.with_suffix(".json"), as_json(leaks))):
        target.write_text(f"{json_text(content)}\n", "utf-8")


def __getattr__(name: str) -> Any:
    if name != "Finding":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import warnings

    warnings.warn("Finding is deprecated: use Leak", DeprecationWarning, stacklevel=2)
    return Leak


# -- places in the API of Prefect 2.20 and 3 ---------------------------------------------------------------------------
#
# A finding names such a place as ``api``, the kind of the row, and the path in it: ``api flow run parameters.token``. A
# test compares the table in ``docs/how-to/leaks.md`` with ``PLACES``.


class ApiPlace(NamedTuple):
    """One place.

    Attributes:
        name: the beginning of the place in a finding.
        example: the place in a finding.
        cause: what brings the value there.
        advice: what to do instead.
    """

    name: str
    example: str
    cause: str
    advice: str


_LOAD = "load the block where its value is used"
_MESSAGE = "keep the value out of exceptions and of the messages of states"
_NAME = "use the block's name or another public value in it"

# The first place with which a finding begins counts.
PLACES = (
    ApiPlace(
        "api log message",
        "api log message",
        "a logger of Prefect, or `print` with `log_prints`",
        "do not log it; log the block's name",
    ),
    ApiPlace(
        "api flow run parameters",
        "api flow run parameters.options.token",
        "a parameter of a flow or subflow, in clear text",
        f"pass the block's name instead of the value and {_LOAD}, or declare the parameter as Secret or SecretStr",
    ),
    ApiPlace(
        "api flow run state", "api flow run state.message", "an exception in a flow, the message of a state", _MESSAGE
    ),
    ApiPlace("api flow run name", "api flow run name", "`flow_run_name`", _NAME),
    ApiPlace(
        "api flow run job_variables",
        "api flow run job_variables.env.TOKEN",
        "`run_deployment(job_variables=…)`",
        "Prefect stores job variables in clear text; use a template such as {{ prefect.blocks.secret.x }}, or "
        f"{_LOAD}",
    ),
    ApiPlace(
        "api flow run input",
        "api flow run input value",
        "`send_input`, `resume_flow_run`",
        f"send the block's name and {_LOAD}",
    ),
    ApiPlace("api flow run", "api flow run tags", "tags, labels and other fields of a flow run", _NAME),
    ApiPlace(
        "api task run state", "api task run state.message", "an exception in a task, the message of a state", _MESSAGE
    ),
    ApiPlace("api task run", "api task run name", "`task_run_name`, tags and other fields of a task run", _NAME),
    ApiPlace(
        "api deployment job_variables",
        "api deployment job_variables.env.TOKEN of 'daily'",
        "`prefect deploy`, which resolves `{{ prefect.blocks.secret.x }}` in `prefect.yaml` on Prefect 3; "
        "`deploy(job_variables=…)`",
        "the deployment stores the value in clear text, because prefect deploy resolves templates in prefect.yaml; "
        f"deploy with flow.deploy(), which stores the template for the worker, or pass the block's name and {_LOAD}",
    ),
    ApiPlace(
        "api deployment parameters",
        "api deployment parameters.token of 'daily'",
        "the parameters of a deployment",
        f"pass the block's name instead of the value and {_LOAD}",
    ),
    ApiPlace(
        "api deployment parameter_openapi_schema",
        "api deployment parameter_openapi_schema.properties.token.default of 'daily'",
        "the default of a flow's parameter",
        f"use the block's name as the default and {_LOAD}",
    ),
    ApiPlace(
        "api deployment pull_steps",
        "api deployment pull_steps.git.token of 'daily'",
        "the pull steps of a deployment",
        "use a template such as {{ prefect.blocks.secret.x }} in the step, which is resolved when a run starts",
    ),
    ApiPlace(
        "api deployment",
        "api deployment description of 'daily'",
        "name, description, tags and other fields of a deployment",
        _NAME,
    ),
    ApiPlace(
        "api artifact",
        "api artifact data of 'report'",
        "`create_markdown_artifact` and other artifacts",
        "keep the value out of artifacts",
    ),
    ApiPlace(
        "api variable",
        "api variable value of 'region'",
        "`Variable.set`",
        "the API never masks variables; save a Secret block",
    ),
    ApiPlace(
        "api event",
        "api event it.happened",
        "`emit_event`, and the events of runs, which contain names, states and exceptions",
        "keep the value out of events, and out of names and exceptions of runs",
    ),
    ApiPlace("api automation", "api automation description", "triggers and actions of an automation", _NAME),
    ApiPlace("api concurrency limit", "api concurrency limit name", "the name or tag of a limit", _NAME),
    ApiPlace(
        "api work",
        "api work queue description",
        "the base job template of a work pool, names of pools, queues and workers",
        "use a template such as {{ prefect.blocks.secret.x }} in the job template, or a Kubernetes secretKeyRef",
    ),
    ApiPlace(
        "api block schema",
        "api block schema fields.properties.value.default",
        "the default or description of a field of a block class",
        "remove it from the block class",
    ),
    ApiPlace(
        "api block type",
        "api block type description",
        "the docstring and code example of a block class",
        "remove it from the block class",
    ),
    ApiPlace(
        "api block",
        "api block data.user of 'plain'",
        "a field of a block that is not secret",
        "declare the field as SecretStr",
    ),
    ApiPlace("api flow", "api flow tags", "name, tags and labels of a flow", _NAME),
    ApiPlace("api request", "api request", "the URL of a request, the filter of a query", f"ask for names; {_LOAD}"),
)


def api_advice_for(place: str) -> Optional[str]:
    """Return the advice for a place in the API of Prefect 2.20 or 3, or None for another place."""
    return next((each.advice for each in PLACES if f"{place} ".startswith((f"{each.name} ", f"{each.name}."))), None)
