"""Test the flow with secrets from the plugin and the real Prefect."""

import pytest
from prefect.executors import LocalDaskExecutor
from report import Archive, count, flow


def run(world, **kwargs):
    return flow.run(parameters={"api": world.url, "repository": "octo/one"}, **kwargs)


def test_counts_issues_and_notifies_slack(world, secrets):
    state = run(world)
    assert state.result[count].result == 2
    assert [message["title"] for message in world.messages] == ["Success"]


def test_runs_on_dask_threads(world, secrets):
    assert run(world, executor=LocalDaskExecutor(scheduler="threads")).result[count].result == 2


def test_wrong_token_fails_the_run_and_notifies_slack(world, secrets):
    secrets["GITHUB_ACCESS_TOKEN"] = "revoked"
    state = run(world)
    assert "401" in str(state.result[count].result)
    assert [message["title"] for message in world.messages] == ["Failed"]
    assert "revoked" not in str(world.messages)


@pytest.mark.usefixtures("checkpointing")
def test_archives_the_result_with_the_password(world, secrets):
    run(world)
    assert list(world.archive) == ["/archive/open-issues/octo/one"]
    assert Archive().read("open-issues/octo/one").value == 2


@pytest.mark.usefixtures("checkpointing")
def test_wrong_archive_password_fails_the_run(world, secrets):
    secrets["ARCHIVE"] = {**secrets["ARCHIVE"], "password": "guessed"}
    assert run(world).is_failed()
    assert world.archive == {}


def test_missing_webhook_fails_the_run(world, secrets):
    del secrets["SLACK_WEBHOOK_URL"]
    state = run(world)
    assert state.is_failed()
    assert "SLACK_WEBHOOK_URL" in str(state.result)
    assert world.messages == []
