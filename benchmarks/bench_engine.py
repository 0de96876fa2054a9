"""How fast the fake API's engine is, without HTTP: run it, and it prints tables in Markdown.

    python benchmarks/bench_engine.py

Times are of the processor, so that other work on the machine counts less. Each figure stands beside its peers of the
same run: graphql-core alone on a schema of one field, SQLite on the same rows. A list query should take ten times as
long for ten times the rows.
"""

from __future__ import annotations

import gc
import os
import resource
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from pytest_flowsecrets.backend.graphql_service import GraphqlService
from pytest_flowsecrets.backend.messages import Operation
from pytest_flowsecrets.backend.records.keys import Caller

SIZES = (100, 1_000, 10_000)
STATE = {"type": "Scheduled", "message": "", "start_time": "2022-01-31T12:00:00+00:00"}


CREATE = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
QUEUE = "mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }"
SET_STATE = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"


class Team:
    """A world with one tenant, and as many flow runs and secrets as are asked for."""

    def __init__(self, runs=0, secrets=0):
        self.world = GraphqlService()
        store = self.world.store
        self.id = store.add_tenant("team")["id"]
        self.caller = Caller(self.id, "USER", "k", "u", None, (self.id,))
        project = store.add("project", tenant_id=self.id, name="p")["id"]
        flow = store.add("flow", tenant_id=self.id, name="f", project_id=project, parameters=[])["id"]
        for number in range(runs):
            made = self.ask(CREATE, input={"flow_id": flow, "flow_run_name": f"run {number}"})
            self.run = made["create_flow_run"]["id"]
        for number in range(secrets):
            self.world.vault.put(self.id, f"SECRET_{number}", "x" * 20)

    def ask(self, document, **variables):
        answer = self.world.execute(Operation(document, variables), self.caller)
        if answer.errors:
            raise RuntimeError(answer.errors)
        return answer.data


def best(action, rounds=5, number=1, clock=time.process_time):
    """Seconds of this process for one action, whatever else the machine does: the shortest of some rounds."""
    times = []
    for _ in range(rounds):
        gc.collect()
        start = clock()
        for _ in range(number):
            action()
        times.append((clock() - start) / number)
    return min(times)


def table(title, head, rows):
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(f"{1e3 * cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


# -- one operation -----------------------------------------------------------------------------------------------------


def one_operation():
    from graphql import build_schema, graphql_sync

    team = Team(runs=10, secrets=10)
    states = [{"flow_run_id": team.run, "state": STATE}]
    rows = [
        ("`hello`", *seen_and_new(team, "{ hello }")),
        (
            "a run with its states",
            *seen_and_new(team, f'{{ flow_run_by_pk(id: "{team.run}") {{ state states {{ state }} }} }}'),
        ),
        ("names of 10 secrets", *seen_and_new(team, "{ secret(order_by: {name: asc}) { name } }")),
        ("a run's next state", *seen_and_new(team, SET_STATE, input={"states": states})),
    ]
    plain = build_schema("type Query { hello: String }")
    alone = best(lambda: graphql_sync(plain, "{ hello }", {"hello": "x"}), number=200)
    rows.append(("graphql-core alone, a schema of one field: `hello`", "", alone))
    table("One operation, in ms", ["operation", "text seen before", "text never seen before"], rows)


def seen_and_new(team, text, **variables):
    numbers = iter(range(10**9))
    yield best(lambda: team.ask(text, **variables), number=200)
    yield best(lambda: team.ask(f"{text} # {next(numbers)}", **variables), number=50)


# -- growth ------------------------------------------------------------------------------------------------------------

LISTS = {
    "all, by name": "{ flow_run(order_by: {name: asc}, limit: 10) { name } }",
    "by name of their flow": '{ flow_run(where: {flow: {name: {_eq: "f"}}}, limit: 10) { name } }',
    "one, by id": '{ flow_run(where: {id: {_eq: "%s"}}) { name } }',
    "all of them, in full": "{ flow_run { id name state flow { name } } }",
    "how many": "{ flow_run_aggregate { aggregate { count } } }",
}


def growth():
    teams = [Team(runs=size, secrets=size) for size in SIZES]
    rows = [grown(f"flow runs: {name}", teams, text) for name, text in LISTS.items()]
    rows.append(grown("the agents' queue", teams, QUEUE, input={}))
    rows.append(grown("secrets: names", teams, "{ secret_names }"))
    rows.append(grown("secrets: by pattern", teams, '{ secret(where: {name: {_like: "%_99"}}) { name } }'))
    rows.append(sqlite())
    table("Growth, in ms", ["query", *(f"{size:,} rows" for size in SIZES), "10,000 to 100"], rows)


def grown(name, teams, text, **variables):
    seconds = [best(lambda team=team: team.ask(text.replace("%s", team.run), **variables), rounds=3) for team in teams]
    return (name, *seconds, f"{seconds[-1] / seconds[0]:.1f}")


def sqlite():
    """The peer: the same list from a database in memory."""
    seconds = []
    for size in SIZES:
        database = sqlite3.connect(":memory:")
        database.execute("CREATE TABLE flow_run (id, name, state)")
        rows = ((number, f"run {number}", "Scheduled") for number in range(size))
        database.executemany("INSERT INTO flow_run VALUES (?, ?, ?)", rows)
        query = "SELECT id, name, state FROM flow_run ORDER BY name"
        seconds.append(best(lambda database=database, query=query: database.execute(query).fetchall()))
    return ("SQLite: all of them, by name", *seconds, f"{seconds[-1] / seconds[0]:.1f}")


# -- memory, start-up --------------------------------------------------------------------------------------------------


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(requests):
    team, rows = Team(runs=1), []
    for number in range(requests + 1):
        if number in (1_000, requests // 10, requests // 2, requests):
            gc.collect()
            rows.append((f"{number:,}", f"{resident():.1f}"))
        new = number % 4 == 0
        team.ask(f'{{ flow_run(where: {{name: {{_eq: "{number}"}}}}) {{ id }} }}' if new else "{ hello }")
    table("Resident memory in MiB, a quarter of the requests never seen before", ["requests", "MiB"], rows)


def of_children():
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def start_up():
    codes = {
        "an empty process": "pass",
        "import graphql": "import graphql",
        "the first answer": (
            "from pytest_flowsecrets.backend.graphql_service import GraphqlService;"
            "from pytest_flowsecrets.backend.messages import *;"
            "from pytest_flowsecrets.backend.records.keys import Caller;"
            "GraphqlService().execute(Operation('{ hello }'), Caller())"
        ),
    }

    def start(code):
        subprocess.run([sys.executable, "-c", code], check=True)

    rows = [(name, best(lambda code=code: start(code), rounds=7, clock=of_children)) for name, code in codes.items()]
    table("Start-up, in ms", ["process", "ms"], rows)


if __name__ == "__main__":
    start_up()
    one_operation()
    growth()
    memory(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
