"""Data whose structure Kubernetes, ECS or Prefect's agents reject is an error with its place."""

from __future__ import annotations

import datetime as dt

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.agents import kubernetes, manifests

AT = "the job template: spec.template.spec.containers[0]"


def job(**container):
    return {"spec": {"template": {"spec": {"containers": [{"name": "flow", **container}]}}}}


def referring(reference):
    return job(env=[{"name": "A", "valueFrom": {"secretKeyRef": reference}}])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (job(env={"A": "hush"}), f"{AT}.env is a dict, but must be a list"),
        (job(env=None), f"{AT}.env is a NoneType, but must be a list"),  # ends Prefect's agent with a TypeError
        (job(env=["A=hush"]), f"{AT}.env[0] is a str, but must be a mapping"),
        (job(env=[{"name": "A", "valueFrom": "hush"}]), f"{AT}.env[0].valueFrom is a str, but must be a mapping"),
        (referring("hush"), f"{AT}.env[0].valueFrom.secretKeyRef is a str, but must be a mapping"),
        (referring({"name": "github"}), f"{AT}.env[0].valueFrom.secretKeyRef lacks key"),
        (
            referring({"name": "github", "key": "x", "optional": "false"}),
            f"{AT}.env[0].valueFrom.secretKeyRef.optional is a str, but must be true or false",
        ),
        (job(envFrom=["hush"]), f"{AT}.envFrom[0] is a str, but must be a mapping"),
        (job(envFrom=[{"prefix": 5}]), f"{AT}.envFrom[0].prefix is an int, but must be a string"),
        (
            {"metadata": {"labels": ["hush"]}, **job()},
            "the job template: metadata.labels is a list, but must be a mapping",
        ),
        (
            {"metadata": {"annotations": {"hush": dt.date(2020, 1, 1)}}, **job()},
            "the job template: a value is not JSON, such as a date; put it in quotes",
        ),
    ],
)
def test_a_job_template_of_another_shape(template, message):
    """A job template with a wrong structure is one line with path and types, without a value."""
    with pytest.raises(UsageError) as caught:
        kubernetes.validate_template(template)
    assert str(caught.value).startswith(message)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("template", [job(envFrom=None), job(env=[{"name": "A", "value": "x", "valueFrom": None}])])
def test_null_where_kubernetes_takes_it_for_nothing(template):
    """A null is no error if Kubernetes ignores it."""
    assert kubernetes.validate_template(template) is template


def test_a_task_definition_of_another_shape():
    """A task definition with a wrong structure is one line with the path."""
    wrong = {"containerDefinitions": [{"name": "flow", "environment": [{"name": "A"}]}]}
    with pytest.raises(UsageError, match=r"^the task: containerDefinitions\[0\]\.environment\[0\] lacks value$"):
        manifests.require(wrong, manifests.TASK, "the task")
