"""What is left in the memory of a process whose fake Cloud was given secrets: no text that holds a value."""

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

def look(needle):
    # Every text that an object of this process holds: attributes, items, closures, local variables of functions.
    gc.collect()  # the tokens of a document refer to each other
    for thing in gc.get_objects():
        for held in gc.get_referents(thing):
            if isinstance(held, (str, bytes, bytearray)) and held is not needle:
                if (needle if isinstance(held, str) else needle.encode()) in held:
                    yield repr(held)[:200]

with FakeCloud() as cloud:
    with cloud.executing():
        print(json.dumps([cloud.url, cloud.tenant.user_key, cloud.tenant.runner_key]), flush=True)
        for line in sys.stdin:  # each line: look once
            for _ in range(15):  # until the last connection has been closed
                found = None
                time.sleep(0.1)
                found = list(look("c4n4ry" + "-9f3b7a6" + line[0]))
                if not found:
                    break
            print(json.dumps(found), flush=True)
"""


@pytest.fixture
def served():
    """A fake Cloud in another process, and a function that tells what of the canary it has in its memory."""
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
def test_nothing_is_left(served):
    """After setting by variables and literals in both spellings, reading in a run, and requests that are refused."""
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
    # What is no secret's own value is recorded, for assert_never_received; so the search can find something.
    graphql(served, f'{{ project(where: {{name: {{_eq: "{CANARY}"}}}}) {{ id }} }}', served.user)
    assert served.look() != []


@pytest.mark.slow
def test_a_body_that_is_no_json(served):
    """Is recorded, too: nobody can tell what in it was meant as a secret."""
    assert ask(served.url, f'{{"query": "{CANARY}'.encode()).status == 400
    assert served.look() != []
