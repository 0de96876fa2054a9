"""A state machine of Hypothesis: random requests about blocks, variables, runs, states and limits, to a ``Pair``."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, multiple, rule

from .pair import Pair

few = st.sampled_from
results = few([None, {}, {"storage_key": "k"}])
names = few(["a", "b", "a-b", "c"])
tags = st.lists(few(["x", "y", "z"]), max_size=2, unique=True)
texts = few(["", "v", "42", "é"])
json_values = st.one_of(texts, few([None, 0, 1.5, True, [], {}, {"k": [1, "a"]}]))
TYPES = ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLING", "CANCELLED", "PAUSED")
NAMES = ("Submitting", "Mine", "Late", "Suspended", "Resuming", "AwaitingRetry")
PAST, FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
SCHEMA = {
    "title": "Thing",
    "type": "object",
    "properties": {"token": {"type": "string"}, "plain": {}, "inner": {}},
    "secret_fields": ["token"],
    "block_type_slug": "thing",
    "block_schema_references": {},
}


@st.composite
def states(draw):
    """A state that a client may propose for a run."""
    state = {"type": draw(few(TYPES))}
    if draw(st.booleans()):
        state["name"] = draw(few(NAMES))
    if draw(st.booleans()):
        state["message"] = draw(texts)
    if state["type"] == "SCHEDULED":
        state["state_details"] = {"scheduled_time": draw(few([PAST, FUTURE]))}
    if state["type"] == "RUNNING" and draw(st.booleans()):
        state["state_details"] = {"transition_id": draw(few(IDS))}
    if state["type"] == "PAUSED":
        state["state_details"] = {
            "pause_timeout": draw(few([FUTURE, FUTURE, PAST])),
            "pause_key": draw(few(["k", "l"])),
            "pause_reschedule": draw(st.booleans()),
        }
    return state


IDS = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(3)]


class Requests(RuleBasedStateMachine):
    """Each rule sends a request to both APIs, which have to answer alike.

    ``urls`` returns the URLs of two empty APIs; ``legacy`` is whether they are of Prefect 2.
    """

    urls = staticmethod(lambda: ())
    legacy = False
    requests = 0

    documents = Bundle("documents")
    variables = Bundle("variables")
    flows = Bundle("flows")
    flow_runs = Bundle("flow_runs")
    task_runs = Bundle("task_runs")
    limits = Bundle("limits")

    def __init__(self):
        super().__init__()
        self.pair = Pair(self.urls())
        self.ask = self.pair.ask

    def teardown(self):
        Requests.requests += self.pair.requests
        self.pair.close()

    @initialize()
    def register_type(self):
        self.type = self.ask("POST", "/block_types/", {"name": "Thing", "slug": "thing"}, kind="type")
        body = {"fields": SCHEMA, "block_type_id": self.type, "capabilities": ["x"], "version": "1"}
        self.schema = self.ask("POST", "/block_schemas/", body, kind="schema")

    def create(self, path, body, kind):
        row = self.ask("POST", path, body, kind=kind)
        return multiple() if row is None else row

    # -- blocks --------------------------------------------------------------------------------------------------------

    @rule(
        target=documents,
        name=names | few([None, "", "A b"]),
        token=texts,
        plain=json_values,
        anonymous=few([None, False, True]),
    )
    def create_document(self, name, token, plain, anonymous):
        data = {"token": token, "plain": plain}
        body = {"name": name, "data": data, "block_type_id": self.type, "block_schema_id": self.schema}
        if anonymous is not None:
            body["is_anonymous"] = anonymous and name is not None
        return self.create("/block_documents/", body, "document")

    @rule(token=texts)
    def create_unnamed_document(self, token):
        """The document is deleted at once, because each side chooses another name, so lists have another order."""
        body = {"data": {"token": token}, "block_type_id": self.type, "block_schema_id": self.schema}
        document = self.create("/block_documents/", {**body, "is_anonymous": True}, "document")
        self.read_document(document, "?include_secrets=true")
        self.ask("DELETE", ("/block_documents/", document))

    @rule(target=documents, name=names, inner=documents)
    def nest_document(self, name, inner):
        data = {"token": "t", "inner": {"$ref": {"block_document_id": inner}}}
        body = {"name": name, "data": data, "block_type_id": self.type, "block_schema_id": self.schema}
        return self.create("/block_documents/", body, "document")

    @rule(document=documents, secrets=few(["", "?include_secrets=true", "?include_secrets=false"]))
    def read_document(self, document, secrets):
        self.ask("GET", ("/block_documents/", document, secrets))

    @rule(name=names, secrets=few(["", "?include_secrets=true"]))
    def read_document_by_name(self, name, secrets):
        self.ask("GET", f"/block_types/slug/thing/block_documents/name/{name}{secrets}")

    @rule(document=documents, token=texts, merge=st.booleans())
    def update_document(self, document, token, merge):
        body = {"data": {"token": token}, "merge_existing_data": merge}
        self.ask("PATCH", ("/block_documents/", document), body)

    @rule(document=consumes(documents))
    def delete_document(self, document):
        self.ask("DELETE", ("/block_documents/", document))

    @rule(
        secrets=st.booleans(),
        slug=few(["thing", "nothing"]),
        limit=few([1, 2, 200]),
        chosen=few([None, {}, {"is_anonymous": {"eq_": True}}, {"is_anonymous": None}, {"name": {"any_": ["a", "b"]}}]),
    )
    def filter_documents(self, secrets, slug, limit, chosen):
        body = {"block_types": {"slug": {"any_": [slug]}}, "include_secrets": secrets, "limit": limit}
        self.ask("POST", "/block_documents/filter", {**body, "block_documents": chosen})
        self.ask("POST", "/block_documents/count", {"block_documents": chosen})
        self.ask("GET", f"/block_types/slug/{slug}/block_documents")

    # -- variables -----------------------------------------------------------------------------------------------------

    def value(self, value):
        return str(value) if self.legacy else value

    @rule(target=variables, name=few(["a", "b", "a_b", "A", "a b"]), value=json_values, tags=tags)
    def create_variable(self, name, value, tags):
        return self.create("/variables/", {"name": name, "value": self.value(value), "tags": tags}, "variable")

    @rule(variable=variables)
    def read_variable(self, variable):
        self.ask("GET", ("/variables/", variable))

    @rule(name=few(["a", "b", "a_b"]))
    def read_variable_by_name(self, name):
        self.ask("GET", f"/variables/name/{name}")

    @rule(variable=variables, value=json_values)
    def update_variable(self, variable, value):
        self.ask("PATCH", ("/variables/", variable), {"value": self.value(value)})

    @rule(name=few(["a", "b"]), new_name=few(["a", "c"]), tags=tags)
    def rename_variable(self, name, new_name, tags):
        self.ask("PATCH", f"/variables/name/{name}", {"name": new_name, "tags": tags})

    @rule(name=few(["a", "a_b"]))
    def delete_variable(self, name):
        self.ask("DELETE", f"/variables/name/{name}")

    @rule(tags=tags, like=few(["", "a", "B"]), order=few(["NAME_ASC", "NAME_DESC"]), limit=few([0, 1, 200, 201]))
    def filter_variables(self, tags, like, order, limit):
        chosen = {"name": {"like_": like}, **({"tags": {"all_": tags}} if tags else {})}
        self.ask("POST", "/variables/filter", {"variables": chosen, "sort": order, "limit": limit})
        self.ask("POST", "/variables/count", {"variables": chosen})

    # -- flows and flow runs -------------------------------------------------------------------------------------------

    @rule(target=flows, name=names, tags=tags)
    def create_flow(self, name, tags):
        return self.create("/flows/", {"name": name, "tags": tags}, "flow")

    @rule(flow=flows, tags=tags)
    def update_flow(self, flow, tags):
        self.ask("PATCH", ("/flows/", flow), {"tags": tags})

    @rule(name=names)
    def read_flow_by_name(self, name):
        self.ask("GET", f"/flows/name/{name}")

    @rule(tags=tags)
    def filter_flows(self, tags):
        self.ask("POST", "/flows/filter", {"flows": {"tags": {"all_": tags}}, "sort": "NAME_ASC"})

    @rule(flow=consumes(flows))
    def delete_flow(self, flow):
        self.ask("DELETE", ("/flows/", flow))

    @rule(target=flow_runs, flow=flows, name=names, state=st.none() | states(), tags=tags, retries=few([None, 0, 1]))
    def create_flow_run(self, flow, name, state, tags, retries):
        body = {"flow_id": flow, "name": name, "tags": tags, "parameters": {"p": 1}}
        if state is not None:
            body["state"] = state
        if retries is not None:
            body["empirical_policy"] = {"retries": retries, "retry_delay": 0}
        return self.create("/flow_runs/", body, "flow run")

    @rule(target=flow_runs, flow=flows, key=few(["k", "l"]))
    def create_flow_run_once(self, flow, key):
        body = {"flow_id": flow, "name": "once", "idempotency_key": key, "state": {"type": "PENDING"}}
        return self.create("/flow_runs/", body, "flow run")

    @rule(target=flow_runs, flow=flows, task_run=task_runs, name=names, state=states(), retries=few([None, 1]))
    def create_subflow_run(self, flow, task_run, name, state, retries):
        body = {"flow_id": flow, "name": name, "parent_task_run_id": task_run, "state": state}
        if retries is not None:
            body["empirical_policy"] = {"retries": retries, "retry_delay": 0}
        return self.create("/flow_runs/", body, "flow run")

    @rule(run=flow_runs, state=states(), data=results, force=few([False, False, True]))
    def set_flow_run_state(self, run, state, data, force):
        self.ask("POST", ("/flow_runs/", run, "/set_state"), {"state": {**state, "data": data}, "force": force})

    @rule(run=flow_runs, data=results, state=states(), force=few([False, False, True]))
    def complete_flow_run(self, run, data, state, force):
        self.set_flow_run_state(run, {"type": "COMPLETED"}, data, force)
        self.set_flow_run_state(run, state, None, force)

    @rule(run=flow_runs)
    def resume_flow_run(self, run):
        self.ask("POST", ("/flow_runs/", run, "/resume"), {})

    @rule(run=flow_runs)
    def read_flow_run(self, run):
        self.ask("GET", ("/flow_runs/", run))

    @rule(run=flow_runs, name=names, tags=tags)
    def update_flow_run(self, run, name, tags):
        self.ask("PATCH", ("/flow_runs/", run), {"name": name, "tags": tags})

    @rule(run=flow_runs)
    def give_infrastructure(self, run):
        self.ask("PATCH", ("/flow_runs/", run), {"infrastructure_pid": "host:1"})

    @rule(run=consumes(flow_runs))
    def delete_flow_run(self, run):
        self.ask("DELETE", ("/flow_runs/", run))

    @rule(run=flow_runs, key=few(["k", "l"]), value=texts)
    def store_input(self, run, key, value):
        self.ask("POST", ("/flow_runs/", run, "/input"), {"key": key, "value": f'"{value}"'})

    @rule(run=flow_runs, key=few(["k", "l"]), method=few(["GET", "DELETE"]))
    def take_input(self, run, key, method):
        self.ask(method, ("/flow_runs/", run, f"/input/{key}"))

    @rule(run=flow_runs)
    def read_states(self, run):
        self.ask("GET", ("/flow_run_states/?flow_run_id=", run))

    @rule(kinds=st.lists(few(TYPES), max_size=2, unique=True), tags=tags, name=names)
    def count_flow_runs(self, kinds, tags, name):
        chosen = {"name": {"like_": name}, "tags": {"all_": tags}}
        if kinds:
            chosen["state"] = {"type": {"any_": kinds}}
        self.ask("POST", "/flow_runs/count", {"flow_runs": chosen})
        self.ask("POST", "/flows/count", {"flow_runs": chosen})

    # -- task runs -----------------------------------------------------------------------------------------------------

    @rule(
        target=task_runs,
        run=flow_runs,
        key=few(["t-1", "t-2"]),
        dynamic=few(["0", "1"]),
        tags=tags,
        retries=few([0, 1]),
    )
    def create_task_run(self, run, key, dynamic, tags, retries):
        body = {"flow_run_id": run, "task_key": key, "dynamic_key": dynamic, "name": "t", "tags": tags}
        body.update(empirical_policy={"retries": retries, "retry_delay": 0}, state={"type": "PENDING"})
        return self.create("/task_runs/", body, "task run")

    @rule(run=task_runs, state=states(), force=few([False, False, True]))
    def set_task_run_state(self, run, state, force):
        self.ask("POST", ("/task_runs/", run, "/set_state"), {"state": state, "force": force})

    @rule(run=task_runs)
    def read_task_run(self, run):
        self.ask("GET", ("/task_runs/", run))

    @rule(tags=tags)
    def count_task_runs(self, tags):
        self.ask("POST", "/task_runs/count", {"task_runs": {"tags": {"all_": tags}}})

    # -- limits --------------------------------------------------------------------------------------------------------

    @rule(target=limits, name=few(["l", "m"]), limit=few([-1, 0, 1, 3]), active=few([None, True, False]))
    def create_limit(self, name, limit, active):
        body = {"name": name, "limit": limit, **({} if active is None else {"active": active})}
        return self.create("/v2/concurrency_limits/", body, "limit")

    @rule(name=few(["l", "m"]))
    def read_limit(self, name):
        self.ask("GET", f"/v2/concurrency_limits/{name}")

    @rule(limit=limits, changes=few([{"limit": 2}, {"active": False}, {"active_slots": 0}, {"name": "m"}]))
    def update_limit(self, limit, changes):
        self.ask("PATCH", ("/v2/concurrency_limits/", limit), changes)

    @rule(limit=consumes(limits))
    def delete_limit(self, limit):
        self.ask("DELETE", ("/v2/concurrency_limits/", limit))

    @rule(
        action=few(["increment", "decrement"]),
        named=st.lists(few(["l", "m", "n"]), min_size=1, max_size=2, unique=True),
        slots=few([0, 1, 2]),
    )
    def move_slots(self, action, named, slots):
        self.ask("POST", f"/v2/concurrency_limits/{action}", {"names": named, "slots": slots}, unordered=True)

    @rule(tag=few(["x", "y"]), limit=few([0, 1, 2]))
    def limit_tag(self, tag, limit):
        self.ask("POST", "/concurrency_limits/", {"tag": tag, "concurrency_limit": limit})

    @rule(tag=few(["x", "y"]), method=few(["GET", "DELETE"]))
    def take_tag_limit(self, tag, method):
        self.ask(method, f"/concurrency_limits/tag/{tag}")


# -- transitions -------------------------------------------------------------------------------------------------------


def _states():
    for kind in TYPES:
        yield {"type": kind}
    for name, kind in itertools.product(NAMES, ("SCHEDULED", "PENDING", "RUNNING", "PAUSED")):
        yield {"type": kind, "name": name}
    for time, kind in itertools.product((PAST, FUTURE), ("SCHEDULED", "PENDING", "RUNNING")):
        yield {"type": kind, "state_details": {"scheduled_time": time}}
    for time, reschedule in itertools.product((PAST, FUTURE), (False, True)):
        details = {"pause_timeout": time, "pause_key": "k", "pause_reschedule": reschedule}
        yield {"type": "PAUSED", "name": "Suspended" if reschedule else "Paused", "state_details": details}
    for data in ({"storage_key": "k", "artifact_type": "t"}, {"type": "unpersisted"}):
        yield {"type": "COMPLETED", "data": data, "message": "m"}
    yield {"type": "FAILED", "state_details": {"retriable": False}}


STATES = list(_states())


class Transitions:
    """Runs in a state, for each of which another state is proposed to both APIs of a ``Pair``.

    Attributes:
        runs: the kinds of runs: names of the functions that create one.
    """

    def __init__(self, pair, kind):
        self._ask, self._kind = pair.ask, kind
        self._flow = pair.ask("POST", "/flows/", {"name": "f"}, kind="flow")
        schema = {"type": "object", "properties": {}}
        fields = {"name": "d", "flow_id": self._flow, "parameter_openapi_schema": schema}
        self._deployment = pair.ask("POST", "/deployments/", fields, kind="deployment")
        self._parent = self.run(state={"type": "RUNNING"})
        self._number = 0
        of_flows = ("run", "run_with_retries", "run_with_a_process", "run_of_a_deployment")
        self.runs = of_flows if kind == "flow_runs" else ("run_of_a_task", "task_with_retries")

    def check(self, run, first, second, force):
        """Create a run in a state, propose a second one, and read the run."""
        row = getattr(self, run)()
        path = (f"/{self._kind}/", row)
        self._ask("POST", (*path, "/set_state"), {"state": first, "force": True})
        self._ask("POST", (*path, "/set_state"), {"state": second, "force": force})
        self._ask("GET", path)
        if "data" in first or "data" in second:
            of_the_run = {self._kind: {"id": {"any_": [row]}}, "sort": "CREATED_DESC"}
            self._ask("POST", "/artifacts/filter", of_the_run)

    def run(self, **fields):
        return self._ask("POST", "/flow_runs/", {"flow_id": self._flow, "name": "r", **fields}, kind="flow run")

    def run_with_retries(self):
        return self.run(empirical_policy={"retries": 1, "retry_delay": 0})

    def run_with_a_process(self):
        row = self.run()
        self._ask("PATCH", ("/flow_runs/", row), {"infrastructure_pid": "host:1"})
        return row

    def run_of_a_deployment(self):
        path = ("/deployments/", self._deployment, "/create_flow_run")
        return self._ask("POST", path, {"name": "r"}, kind="flow run")

    def run_of_a_task(self, **fields):
        self._number += 1
        key = {"task_key": "t", "dynamic_key": str(self._number), "name": "t"}
        return self._ask("POST", "/task_runs/", {"flow_run_id": self._parent, **key, **fields}, kind="task run")

    def task_with_retries(self):
        return self.run_of_a_task(empirical_policy={"retries": 1, "retry_delay": 0})
