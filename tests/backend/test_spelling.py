"""The names of Prefect 0.5 to 0.9."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.backend.graphql.schema import both_spellings, camel


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("set_secret", "setSecret"),
        ("set_secret_input", "setSecretInput"),
        ("hello", "hello"),
        ("create_api_token", "createAPIToken"),
        ("delete_api_token_input", "deleteAPITokenInput"),
        ("get_runs_in_queue", "getRunsInQueue"),
    ],
)
def test_names(name, old):
    """``camel`` returns the names that those clients use."""
    assert camel(name) == old


def test_what_is_written_once_is_there_twice():
    """Fields, arguments and inputs get camelCase names; types of answers, enums and scalars do not."""
    text, names = both_spellings(
        """\
extend type Mutation {
  set_flow_run(input: set_flow_run_input!, run_id: UUID = 1): run_payload
  plain: log_level
}

type run_payload {
  run_id: UUID
  id: UUID
}

enum log_level {
  SOME_LEVEL
}

input set_flow_run_input {
  run_id: UUID!
  log_entries: [entry_input!]
  level: log_level
}
"""
    )
    assert text.endswith(
        """\
extend type Mutation {
  setFlowRun(input: setFlowRunInput!, runId: UUID = 1): run_payload
}

extend type run_payload {
  runId: UUID
}

input setFlowRunInput {
  runId: UUID!
  logEntries: [entryInput!]
  level: log_level
}
"""
    )
    assert names == {"setFlowRun": "set_flow_run", "runId": "run_id", "logEntries": "log_entries", "level": "level"}
