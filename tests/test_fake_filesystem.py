"""Tests that replace the file system with pyfakefs or delete the private home."""

from __future__ import annotations

import pytest

pytest.importorskip("pyfakefs")
pytest.importorskip("prefect")

FAKED = """
import os, shutil
import pendulum
import pytest
from pyfakefs.helpers import reset_ids, set_uid
from pytest_flowsecrets import UsageError, isolated_prefect
from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation  # imported before the file system is replaced

TENANT = {"query": {"tenant": {"id"}}}
SET = {"mutation": {'set_secret(input: {name: "A", value: "x"})': {"success"}}}

pendulum.now()  # which reads the time zone of the machine, once


def test_first_isolation_in_a_fake_file_system(fs):
    with pytest.raises(UsageError, match="pyfakefs"):
        isolated_prefect({"A": "x"}).__enter__()


def test_first_request_in_a_fake_file_system(fs, prefect_cloud):
    prefect_cloud.client.graphql(TENANT)
    prefect_cloud.client.graphql(SET)
    assert prefect_cloud.secrets.holds("A", "x")


def test_request_afterwards(prefect_cloud):
    prefect_cloud.client.graphql(TENANT)
    prefect_cloud.client.graphql(SET)
    assert prefect_cloud.secrets.holds("A", "x")


@pytest.mark.secrets(B__C="1")
def test_secrets_in_a_fake_file_system(fs, local_secrets):
    from prefect.client import Secret

    local_secrets["A"] = "x"
    local_secrets["A__B"] = "in the file"
    local_secrets.write_config("[context.secrets]\\nX = 'y'")
    assert {name: Secret(name).get() for name in ("A", "A__B", "B__C", "X")} == {
        "A": "x", "A__B": "in the file", "B__C": 1, "X": "y"
    }


def test_an_unreadable_file_is_no_bad_secret(fs, local_secrets, monkeypatch):
    fs.create_file("/c.toml", contents="[context.secrets]")
    fs.chmod("/c.toml", 0o000)
    set_uid(1000)
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", "/c.toml")
    with pytest.raises(UsageError, match="Prefect cannot read /c.toml .PermissionError.: make it readable"):
        local_secrets.reload()
    reset_ids()


def test_after_home_was_deleted(local_secrets):
    shutil.rmtree(os.environ["HOME"])
    local_secrets.write_config("[context.secrets]\\nX = 'y'")
    assert dict(local_secrets) == {"X": "y"}
"""


def test_a_fake_file_system(run_tests):
    """Every feature works or raises one clear error, and no later test is affected."""
    result = run_tests(FAKED, "-p", "no:randomly", plugins=["pyfakefs.pytest_plugin"])
    result.assert_outcomes(passed=6)
    assert result.stderr.str() == ""


REST = """
from pytest_flowsecrets.backend.messages import Request
from pytest_flowsecrets.backend.rest import RestApi


def test_first_request(fs):
    with RestApi() as api:
        path = api.new_view().url[len(api.root) - len("/api") :] + "/flows/filter"
        assert api.answer(Request("POST", path, {}, b"{}", "")).status == 200
"""


def test_the_rest_api_in_a_fake_file_system(run_tests):
    """The first API of a session reads its schemas, also if the test has replaced the file system."""
    run_tests(REST, "-p", "no:randomly", plugins=["pyfakefs.pytest_plugin"]).assert_outcomes(passed=1)
