"""What is written in another shape than Kubernetes, ECS or Prefect's agents take is told of by its place."""

from __future__ import annotations

import datetime as dt

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.agents import kubernetes, validation

AT = "the job template: spec.template.spec.containers[0]"


def job(**container):
    return {"spec": {"template": {"spec": {"containers": [{"name": "flow", **container}]}}}}


def referring(reference):
    return job(env=[{"name": "A", "valueFrom": {"secretKeyRef": reference}}])


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (job(env={"A": "hush"}), f"{AT}.env is a dict where a list should be"),
        (job(env=None), f"{AT}.env is a NoneType where a list should be"),  # ends Prefect's agent with a TypeError
        (job(env=["A=hush"]), f"{AT}.env[0] is a str where a mapping should be"),
        (job(env=[{"name": "A", "valueFrom": "hush"}]), f"{AT}.env[0].valueFrom is a str where a mapping should be"),
        (referring("hush"), f"{AT}.env[0].valueFrom.secretKeyRef is a str where a mapping should be"),
        (referring({"name": "github"}), f"{AT}.env[0].valueFrom.secretKeyRef lacks key"),
        (
            referring({"name": "github", "key": "x", "optional": "false"}),
            f"{AT}.env[0].valueFrom.secretKeyRef.optional is a str where true or false should be",
        ),
        (job(envFrom=["hush"]), f"{AT}.envFrom[0] is a str where a mapping should be"),
        (job(envFrom=[{"prefix": 5}]), f"{AT}.envFrom[0].prefix is a int where text should be"),
        ({"metadata": {"labels": ["hush"]}, **job()}, "the job template: metadata.labels is a list where a mapping s"),
        (
            {"metadata": {"annotations": {"hush": dt.date(2020, 1, 1)}}, **job()},
            "the job template: something in it is no JSON, such as a date; put it in quotes",
        ),
    ],
)
def test_a_job_template_of_another_shape(template, told):
    """One line with the path and the types, no value."""
    with pytest.raises(UsageError) as caught:
        kubernetes.accepted(template)
    assert str(caught.value).startswith(told)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("template", [job(envFrom=None), job(env=[{"name": "A", "value": "x", "valueFrom": None}])])
def test_null_where_kubernetes_takes_it_for_nothing(template):
    """It is no error."""
    assert kubernetes.accepted(template) is template


def test_a_task_definition_of_another_shape():
    """Likewise."""
    wrong = {"containerDefinitions": [{"name": "flow", "environment": [{"name": "A"}]}]}
    with pytest.raises(UsageError, match=r"^the task: containerDefinitions\[0\]\.environment\[0\] lacks value$"):
        validation.require(wrong, validation.TASK, "the task")
