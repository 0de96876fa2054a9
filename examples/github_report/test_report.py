"""Tests of the flow: its secrets by the plugin, everything else real."""

import pytest
from prefect.executors import LocalDaskExecutor
from report import Archive, count, flow


def run(world, **kwargs):
    return flow.run(parameters={"api": world.url, "repository": "octo/one"}, **kwargs)


def test_issues_are_counted_and_slack_is_told(world, secrets):
    state = run(world)
    assert state.result[count].result == 2
    assert [message["title"] for message in world.messages] == ["Success"]


def test_it_runs_on_dask_threads(world, secrets):
    assert run(world, executor=LocalDaskExecutor(scheduler="threads")).result[count].result == 2


def test_a_wrong_token_fails_the_run_and_slack_is_told(world, secrets):
    secrets["GITHUB_ACCESS_TOKEN"] = "revoked"
    state = run(world)
    assert "401" in str(state.result[count].result)
    assert [message["title"] for message in world.messages] == ["Failed"]
    assert "revoked" not in str(world.messages)


@pytest.mark.usefixtures("checkpointing")
def test_the_result_is_archived_with_the_password(world, secrets):
    run(world)
    assert list(world.archive) == ["/archive/open-issues/octo/one"]
    assert Archive().read("open-issues/octo/one").value == 2


@pytest.mark.usefixtures("checkpointing")
def test_without_the_password_of_the_archive_the_run_fails(world, secrets):
    secrets["ARCHIVE"] = {**secrets["ARCHIVE"], "password": "guessed"}
    assert run(world).is_failed()
    assert world.archive == {}


def test_without_a_webhook_the_run_fails_as_in_production(world, secrets):
    del secrets["SLACK_WEBHOOK_URL"]
    state = run(world)
    assert state.is_failed()
    assert "SLACK_WEBHOOK_URL" in str(state.result)
    assert world.messages == []
