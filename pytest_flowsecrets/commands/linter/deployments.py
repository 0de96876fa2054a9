"""Rules for ``prefect.yaml``, base job templates of work pools in YAML or JSON, and calls that deploy in Python."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Iterator, List, NamedTuple, Set, Tuple

from pytest_flowsecrets.commands.files.python_calls import PARAMETERS, deployment_texts
from pytest_flowsecrets.commands.files.yaml_nodes import TAG, child, entries, quoting_edits
from pytest_flowsecrets.commands.linter import templates
from pytest_flowsecrets.commands.linter.plain_secrets import secret_in
from pytest_flowsecrets.commands.linter.templates import (
    CODE,
    CODE_PARAMETERS,
    DEFAULT,
    DEPLOYMENT,
    JOB_VARIABLES,
    REST_VERSIONS,
    STEP,
    TEMPLATE,
    Text,
    origin_at,
    template_findings,
)
from pytest_flowsecrets.findings.rules import finding_of
from pytest_flowsecrets.names import PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

STEPS = ("build", "push", "pull")
# `triggers` and `schedules` are templates of events, and the schema of parameters is data.
_OTHER_TEMPLATES = ("triggers", "schedules", "schedule", "parameter_openapi_schema")


class Scalar(NamedTuple):
    """A value in a document.

    Attributes:
        node: the node of PyYAML.
        keys: the keys that lead to it.
        region: where it stands, as for :class:`Text`.
    """

    node: Any
    keys: Tuple[str, ...]
    region: str

    @property
    def name(self) -> str:
        """The last key."""
        return self.keys[-1] if self.keys else ""

    def text(self, source: str, path: str) -> Text:
        """Return the text with its place in a file."""
        return Text(str(self.node.value), source, *templates.span_of(self.node), self.name, self.region, path)


def document_findings(document: Any, source: str, path: str) -> Iterator[Finding]:
    """Check a document, if it is a ``prefect.yaml`` or a base job template.

    Args:
        document: the node of the document.
        source: the text of the file.
        path: the name of the file.
    """
    scalars: List[Scalar] = []
    if is_prefect_yaml(document):
        scalars = list(_walk(document, (), _region_of_deployments, set()))
    elif is_job_template(document):
        scalars = list(_walk(document, (), _region_of_template, set()))
        yield from _unknown_variables(document, scalars, source, path)
    for scalar in scalars:
        text = scalar.text(source, path)
        if scalar.region:
            yield from template_findings(text)
            yield from _plain_secret(scalar, text)
            yield from _changed_type(scalar, text)
            yield from _legacy_variable(scalar, text)


def python_findings(source: str, path: str) -> Iterator[Finding]:
    """Check the calls in Python code that create deployments, such as ``flow.deploy(job_variables=…)``.

    Args:
        source: the text of the file.
        path: the name of the file.

    Raises:
        Unreadable: this Python cannot parse it.
    """
    for each in deployment_texts(source, path):
        region = CODE_PARAMETERS if each.argument == PARAMETERS else CODE
        yield from template_findings(Text(each.value, source, each.start, each.end, each.name, region, path))


def is_prefect_yaml(document: Any) -> bool:
    """Return whether a document describes deployments, as ``prefect.yaml`` does.

    Args:
        document: the node of the document, or None.
    """
    if document is None or document.id != "mapping":
        return False
    deployments = child(document, "deployments")
    has_deployments = deployments is not None and deployments.id == "sequence"
    named = any(child(document, key) is not None for key in ("prefect-version", *STEPS))
    return has_deployments and (named or any(_is_deployment(each) for each in deployments.value))


def _is_deployment(node: Any) -> bool:
    return any(child(node, key) is not None for key in ("entrypoint", "work_pool"))


def is_job_template(document: Any) -> bool:
    """Return whether a document is the base job template of a work pool.

    Args:
        document: the node of the document, or None.
    """
    if document is None or document.id != "mapping":
        return False
    return child(document, "job_configuration") is not None and child(document, "variables") is not None


def _region_of_deployments(keys: Tuple[str, ...]) -> str:
    if set(keys) & set(_OTHER_TEMPLATES):
        return ""
    if set(keys[:2]) & set(STEPS):
        return STEP
    if keys[:1] == ("deployments",):
        return JOB_VARIABLES if "job_variables" in keys else DEPLOYMENT
    return ""  # definitions count where a deployment refers to them


def _region_of_template(keys: Tuple[str, ...]) -> str:
    if keys[:1] == ("job_configuration",):
        return TEMPLATE
    return DEFAULT if keys[:1] == ("variables",) and "default" in keys else ""


def _walk(node: Any, keys: Tuple[str, ...], region_of: Any, above: Set[int]) -> Iterator[Scalar]:
    """Yield the values below a node with their keys. Merge keys (``<<``) and lists add no key."""
    if id(node) in above:  # an alias of a node that contains it
        return
    below = above | {id(node)}
    if node.id == "scalar":
        yield Scalar(node, keys, region_of(keys))
    elif node.id == "sequence":
        for each in node.value:
            yield from _walk(each, keys, region_of, below)
    else:
        for key, value in entries(node):
            yield from _walk(value, keys if key.value == "<<" else (*keys, key.value), region_of, below)


def _unknown_variables(document: Any, scalars: List[Scalar], source: str, path: str) -> Iterator[Finding]:
    properties = child(child(document, "variables"), "properties")
    known = {key.value for key, _ in entries(properties)} if properties is not None else set()
    for scalar in scalars:
        if scalar.region != TEMPLATE:
            continue
        text = scalar.text(source, path)
        for written in templates.placeholders(text.value):
            name = templates.first_name(written)
            if name is not None and name not in known:
                at = max(source.find(written, text.start, text.end), text.start)
                message = f"the template has no variable {name!r}: a worker drops the key, or uses an empty text"
                advice = "add it to variables.properties, or correct the name"
                yield finding_of("FS076", text.name, origin_at(text, at), message, advice, versions=REST_VERSIONS)


def _plain_secret(scalar: Scalar, text: Text) -> Iterator[Finding]:
    reason = secret_in(scalar.name, text.value)
    if reason is not None and scalar.node.tag == f"{TAG}str":
        origin = origin_at(text, text.start)
        advice = "put it into a Secret block, and load the block in the flow or in a step"
        yield finding_of("FS077", text.name, origin, f"the file contains {reason} in clear text", advice, versions="")


def _changed_type(scalar: Scalar, text: Text) -> Iterator[Finding]:
    """Yield a finding for an unquoted value that YAML reads as something whose text differs from the written one."""
    node = scalar.node
    kind = str(node.tag).partition(TAG)[2]
    is_env = len(scalar.keys) > 1 and scalar.keys[-2] == "env"
    if node.style or kind in ("", "str", "null") or not (is_env or "parameters" in scalar.keys):
        return
    if not _changes(kind, str(node.value), is_env=is_env):
        return
    message = f"YAML reads this value as {kind}, whose text is not the written one"
    finding = finding_of(
        "FS078", text.name, origin_at(text, text.start), message, "put it in quotes", versions=REST_VERSIONS
    )
    yield replace(finding, edits=quoting_edits(node)) if is_env else finding


def _changes(kind: str, value: str, *, is_env: bool) -> bool:
    if kind == "bool":
        return is_env or value.lower() not in ("true", "false")
    if kind == "int":
        return re.fullmatch(r"-?(?:0|[1-9]\d*)", value) is None
    if kind == "float":
        return is_env and value not in (_float_text(value), ".nan")
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is None  # times


def _float_text(value: str) -> str:
    try:
        return str(float(value))
    except ValueError:
        return ""


def _legacy_variable(scalar: Scalar, text: Text) -> Iterator[Finding]:
    if scalar.name.startswith(PREFIX) and len(scalar.keys) > 1 and scalar.keys[-2] == "env":
        yield legacy_variable(scalar.name, text)


def legacy_variable(name: str, text: Text) -> Finding:
    """Return the finding about a variable of Prefect 0.5 to 1.4 where Prefect 2.20 or 3 runs.

    Args:
        name: the variable.
        text: its place.
    """
    advice = "`flowsecrets migrate` shows what to write instead"
    origin = origin_at(text, text.start)
    return finding_of("FS079", name, origin, "Prefect 2.20 and 3 ignore this variable", advice, versions=REST_VERSIONS)
