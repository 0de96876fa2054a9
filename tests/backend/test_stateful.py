"""Secrets over HTTP against a plain dictionary: two teams, two keys each, runs, faults, several clients at a time.

Whatever is done in whatever order, nothing is lost, names are exact, and no value is given to anybody but a flow run.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

pytest.importorskip("hypothesis")

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pytest_flowsecrets import FakeCloud
from tests.backend.http import ask

pytestmark = pytest.mark.slow

CANARY = "c4n4ry"
SET = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }"
OLD_SET = "mutation($input: setSecretInput!) { setSecret(input: $input) { success } }"
DELETE = "mutation($input: delete_secret_input!) { delete_secret(input: $input) { success } }"
VALUE = "query($name: String!) { secret_value(name: $name) }"

names = st.sampled_from(["a", " a", "A", "A__B", "😀"])  # few, so that they meet again
texts = st.text(max_size=5).map(CANARY.__add__)
values = st.one_of(
    texts,
    st.sampled_from([0, 0.0, False, None, 1, 1.0, True, "", [], {}]),
    st.lists(texts, max_size=2),
    st.dictionaries(st.sampled_from("abc"), texts, max_size=2),
)
teams = st.sampled_from([0, 1])


def shown(value):
    """Return a form of a value in which 1, 1.0 and True differ."""
    return json.dumps(value, sort_keys=True)


class Secrets(RuleBasedStateMachine):
    """A state machine that compares a cloud with a plain dictionary."""

    def __init__(self):
        super().__init__()
        self.steps = ExitStack()
        self.cloud = self.steps.enter_context(FakeCloud())
        self.tenants = [self.cloud.tenant, self.cloud.add_tenant("other")]
        self.model = [{}, {}]
        self.runs = [[], []]
        self.reads = 0

    def teardown(self):
        for _, context in (*self.runs[0], *self.runs[1]):
            context.__exit__(None, None, None)
        self.steps.close()

    def ask(self, key, query, *, may_show=False, **variables):
        """Return the answer as JSON, and check that it contains no value unless it may."""
        body = {"query": query, "variables": json.dumps(variables)}
        reply = ask(self.cloud.url, body, Authorization=f"Bearer {key}")
        assert may_show or CANARY not in reply.body.decode()
        return reply.json

    # -- rules ---------------------------------------------------------------------------------------------------------

    @rule(team=teams, name=names, value=values, query=st.sampled_from([SET, OLD_SET]))
    def set(self, team, name, value, query):
        answer = self.ask(self.tenants[team].user_key, query, input={"name": name, "value": value})
        assert list(answer["data"].values()) == [{"success": True}]
        self.model[team][name] = value

    @rule(team=teams, name=names, value=values)
    def set_in_python(self, team, name, value):
        self.tenants[team].secrets.set(name, value)
        self.model[team][name] = value

    @rule(team=teams, name=names)
    def delete(self, team, name):
        answer = self.ask(self.tenants[team].user_key, DELETE, input={"name": name})
        assert answer["data"]["delete_secret"]["success"] is (name in self.model[team])
        self.model[team].pop(name, None)

    @rule(team=teams, agent=st.booleans())
    def list_names(self, team, agent):
        tenant = self.tenants[team]
        query = "{ secret_names secret { name } secret_aggregate { aggregate { count } } }"
        answer = self.ask(tenant.runner_key if agent else tenant.user_key, query)["data"]
        expected = sorted(self.model[team])
        assert sorted(answer["secret_names"]) == sorted(row["name"] for row in answer["secret"]) == expected
        assert answer["secret_aggregate"]["aggregate"]["count"] == len(expected)

    @rule(team=teams, name=names, value=values)
    def agents_set_nothing(self, team, name, value):
        for query, inputs in ((SET, {"name": name, "value": value}), (DELETE, {"name": name})):
            answer = self.ask(self.tenants[team].runner_key, query, input=inputs)
            assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"

    @rule(team=teams)
    def begin_a_run(self, team):
        context = self.tenants[team].flow_run()
        self.runs[team].append((context.__enter__(), context))

    @precondition(lambda self: any(self.runs))
    @rule(data=st.data())
    def end_a_run(self, data):
        team, number = data.draw(st.sampled_from([(t, n) for t in (0, 1) for n in range(len(self.runs[t]))]))
        _, context = self.runs[team].pop(number)
        context.__exit__(None, None, None)

    @rule(team=teams, name=names)
    def read(self, team, name):
        running = bool(self.runs[team])
        answer = self.ask(self.tenants[team].runner_key, VALUE, may_show=running, name=name)
        if not running:
            assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        elif name in self.model[team]:
            assert shown(answer["data"]["secret_value"]) == shown(self.model[team][name])
            self.reads += 1
        else:
            assert answer["errors"][0]["message"] == "No value found for the requested key"

    @rule(team=teams, name=names)
    def users_read_nothing(self, team, name):
        answer = self.ask(self.tenants[team].user_key, VALUE, name=name)
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"

    @rule(team=teams, name=names, values=st.lists(values, min_size=2, max_size=4))
    def set_by_several_clients(self, team, name, values):
        """Several clients set their own secrets and a common one, which then has one of their values."""
        key = self.tenants[team].user_key

        def work(number):
            self.ask(key, SET, input={"name": f"{name} {number}", "value": values[number]})
            self.ask(key, SET, input={"name": name, "value": values[number]})

        with ThreadPoolExecutor(len(values)) as pool:
            list(pool.map(work, range(len(values))))
        for number, value in enumerate(values):
            self.model[team][f"{name} {number}"] = value
        contents = [value for value in values if self.tenants[team].secrets.holds(name, value)]
        assert contents
        self.model[team][name] = contents[0]

    @rule(
        team=teams,
        name=names,
        value=values,
        fault=st.sampled_from(["graphql_error", "status", "invalid_json", "empty_body"]),
    )
    def fault_instead_of_setting(self, team, name, value, fault):
        arguments = {"graphql_error": ("told",), "status": (500,)}.get(fault, ())
        getattr(self.cloud.faults, fault)(*arguments, on="set_secret")
        body = {"query": SET, "variables": {"input": {"name": name, "value": value}}}
        reply = ask(self.cloud.url, body, Authorization=f"Bearer {self.tenants[team].user_key}")
        assert CANARY not in reply.body.decode()

    @rule(team=teams, name=names, value=values, carried_out=st.booleans())
    def cut_while_setting(self, team, name, value, carried_out):
        self.cloud.faults.cut(carried_out=carried_out, on="set_secret")
        with pytest.raises(EOFError):
            self.ask(self.tenants[team].user_key, SET, input={"name": name, "value": value})
        if carried_out:
            self.model[team][name] = value

    @rule(team=teams, name=names)
    def fault_instead_of_reading(self, team, name):
        self.cloud.faults.status(503, on="secret_value")
        assert "errors" in self.ask(self.tenants[team].runner_key, VALUE, name=name)

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def names_are_exact(self):
        for tenant, model in zip(self.tenants, self.model):
            assert sorted(tenant.secrets) == sorted(model)

    @invariant()
    def nothing_is_lost(self):
        for tenant, model in zip(self.tenants, self.model):
            assert all(tenant.secrets.holds(name, value) for name, value in model.items())

    @invariant()
    def reads_are_told(self):
        assert sum(len(tenant.secrets.reads) for tenant in self.tenants) == self.reads

    @invariant()
    def nothing_else_shows_a_value(self):
        assert CANARY not in repr((self.cloud, vars(self.cloud), self.cloud.requests[-1:], self.cloud.faults))


TestSecrets = Secrets.TestCase
TestSecrets.settings = settings(max_examples=max(20, settings().max_examples // 5), stateful_step_count=50)
TestSecrets.pytestmark = [pytest.mark.slow]
