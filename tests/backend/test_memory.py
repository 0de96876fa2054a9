"""Objects in the memory of a process with a fake Cloud: only a ``SecretValue`` has a text with the value of a secret."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.backend.graphql import Refused, graphql
from tests.backend.http import ask

CANARY = "c4n4ry-9f3b7a61"
SERVE = """
import gc, json, sys, time
from pytest_flowsecrets import FakeCloud
from pytest_flowsecrets.backend.records.secret_store import SecretValue

def look(needle):
    # The texts of all objects of this process (attributes, items, closures, local variables), except secret values.
    gc.collect()  # the tokens of a document refer to each other
    for owner in gc.get_objects():
        for text in () if isinstance(owner, SecretValue) else gc.get_referents(owner):
            if isinstance(text, (str, bytes, bytearray)) and text is not needle:
                if (needle if isinstance(text, str) else needle.encode()) in text:
                    yield repr(text)[:200]

with FakeCloud() as cloud:
    with cloud.flow_run():
        print(json.dumps([cloud.url, cloud.tenant.user_key, cloud.tenant.runner_key]), flush=True)
        for line in sys.stdin:  # each line requests one search
            for _ in range(15):  # until the last connection has been closed
                matches = None
                time.sleep(0.1)
                matches = list(look("c4n4ry" + "-9f3b7a6" + line[0]))
                if not matches:
                    break
            print(json.dumps(matches), flush=True)
"""


@pytest.fixture
def served():
    """A fake Cloud in another process, with a function that returns its texts with the canary."""
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    url, user, agent = json.loads(child.stdout.readline())

    def look():
        child.stdin.write("1\n")
        child.stdin.flush()
        return json.loads(child.stdout.readline())

    yield SimpleNamespace(url=url, user=user, agent=agent, look=look)
    child.stdin.close()
    assert child.wait(10) == 0
    child.stdout.close()


@pytest.mark.slow
def test_no_other_object_contains_a_value(served):
    """After setting, reading and rejected requests, only the stored ``SecretValue`` objects contain the value."""
    assert served.look() == []
    mutation = "mutation($input: {0}_input!) {{ {0}(input: $input) {{ success }} }}"
    graphql(served, mutation.format("set_secret"), served.user, input={"name": "A", "value": CANARY})
    graphql(served, mutation.format("set_secret"), served.user, as_text=False, input={"name": "A", "value": [CANARY]})
    for field in ("set_secret", "setSecret"):
        query = f'mutation {{ {field}(input: {{name: "B", value: {{a: "{CANARY}"}}}}) {{ success }} }}'
        graphql(served, query, served.user)
    assert graphql(served, '{ secret_value(name: "B") }', served.agent) == {"secret_value": {"a": CANARY}}
    for name, key in (("", served.user), ("C", served.agent), ("C", "wrong")):
        with pytest.raises(Refused):
            graphql(served, mutation.format("set_secret"), key, input={"name": name, "value": CANARY})
    for query in (
        f'mutation {{ set_secret(input: {{name: "C", value: "{CANARY}"}}) {{ value }} }}',
        f'mutation {{ set_secret(input: {{nam: "C", value: "{CANARY}"}}) {{ success }} }}',
    ):
        with pytest.raises(Refused):
            graphql(served, query, served.user)
    assert served.look() == []
    # A value at another place is recorded for assert_never_received. This also shows that the search works.
    graphql(served, f'{{ project(where: {{name: {{_eq: "{CANARY}"}}}}) {{ id }} }}', served.user)
    assert served.look() != []


@pytest.mark.slow
def test_an_invalid_body_is_recorded(served):
    """The log stores a body that is not valid JSON unchanged, because the value of a secret cannot be located in it."""
    assert ask(served.url, f'{{"query": "{CANARY}'.encode()).status == 400
    assert served.look() != []
