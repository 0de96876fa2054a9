"""Where a value can leak through the API of Prefect 2.20 and 3, with the advice for each place.

A finding names a place as ``api``, the kind of the row, and the path in it: ``api flow run parameters.token``. A test
compares the table in ``docs/how-to/leaks.md`` with ``PLACES``.
"""

from __future__ import annotations

from typing import NamedTuple, Optional


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


def advice_for(place: str) -> Optional[str]:
    """Return the advice for a place in the API of Prefect 2.20 or 3, or None for another place."""
    return next((each.advice for each in PLACES if f"{place} ".startswith((f"{each.name} ", f"{each.name}."))), None)
