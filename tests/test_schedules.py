"""Schedules of real flows: the runs that they create, when they are switched on and off, and as time passes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.backend.asking import Team
from tests.compat import VERSION, needs_prefect
from tests.real_flows import register, registers, two_tasks

NOON = datetime(2022, 1, 31, 12, tzinfo=timezone.utc)
needs_schedules = pytest.mark.skipif((VERSION or ()) < (0, 6, 1), reason="schedules have clocks from Prefect 0.6.1 on")


def hourly(**arguments):
    """Return a flow that runs every hour from midnight."""
    import pendulum
    from prefect.schedules import IntervalSchedule

    start = pendulum.datetime(2022, 1, 31)
    return two_tasks("hourly", schedule=IntervalSchedule(start, interval=timedelta(hours=1)), **arguments)


def starts(world):
    rows = [row for row in world.store.all("flow_run") if row["auto_scheduled"]]
    return sorted(
        (row["scheduled_start_time"] - NOON) / timedelta(hours=1) for row in rows if row["state"] == "Scheduled"
    )


@pytest.fixture
def cloud(prefect_cloud, flow_clock):
    flow_clock.move_to(NOON)
    prefect_cloud.client.create_project("p")
    return prefect_cloud


@registers
@needs_prefect
@needs_schedules
def test_a_schedule_has_ten_runs_ahead(cloud, flow_clock):
    """An active schedule has ten runs ahead, and a switched-off one has none until it is on again."""
    client = cloud.client
    flow = register(client, hourly())
    assert starts(cloud.world) == list(range(1, 11))
    change = 'mutation { %s(input: {flow_id: "%s"}) { success } }'
    client.graphql(change % ("set_schedule_inactive", flow))
    assert starts(cloud.world) == []
    client.graphql(change % ("set_schedule_active", flow))
    client.graphql(change % ("set_schedule_active", flow))
    assert starts(cloud.world) == list(range(1, 11))


@registers
@needs_prefect
@needs_schedules
def test_agents_find_what_is_due(cloud, flow_clock):
    """When the clock moves, agents get the runs that are due, and ten runs are ahead again."""
    client = cloud.client
    register(client, hourly())
    ask = "mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }"
    labels = ["here"] if VERSION >= (0, 14) else []

    def queue():
        given = {"tenant_id": cloud.tenant.id, "labels": labels}
        ids = (
            client.graphql(ask, input=given) if VERSION < (0, 6, 4) else client.graphql(ask, variables={"input": given})
        )
        run_ids = ids["data"]["get_runs_in_queue"]["flow_run_ids"]
        return [
            (cloud.world.store.get("flow_run", row)["scheduled_start_time"] - NOON) / timedelta(hours=1)
            for row in run_ids
        ]

    assert queue() == []
    flow_clock.move_to(NOON + timedelta(hours=2, minutes=30))
    assert queue() == [1, 2]
    assert starts(cloud.world) == list(range(1, 13))


@registers
@needs_prefect
@needs_schedules
def test_a_new_version_takes_over(cloud):
    """The runs of an old version are removed together with its schedule."""
    client = cloud.client
    first = register(client, hourly())
    second = register(client, hourly())
    rows = cloud.world.store.all("flow_run")
    assert {row["flow_id"] for row in rows} == {second} != {first}


@registers
@needs_prefect
@pytest.mark.skipif((VERSION or ()) < (0, 13), reason="clocks have parameters and labels from 0.12 and 0.13 on")
def test_clocks_have_parameters_and_labels(cloud):
    """Runs get the parameters and labels of their clock."""
    from prefect.schedules import Schedule
    from prefect.schedules.clocks import DatesClock

    clock = DatesClock([NOON + timedelta(hours=1)], parameter_defaults={"x": 5}, labels=["night"])
    register(cloud.client, two_tasks(schedule=Schedule(clocks=[clock])))
    (run,) = cloud.world.store.all("flow_run")
    assert (run["parameters"], run["labels"]) == ({"x": 5}, ["night"])


@needs_prefect
def test_what_is_no_schedule():
    """An invalid schedule is rejected without being quoted."""
    from tests.backend.asking import flow

    team = Team()
    given = flow(schedule={"type": "Nonsense", "clocks": "kei4Aiwo"})
    error = team.cannot("create_flow", project_id=team.project(), serialized_flow=given, set_schedule_active=True)
    assert error["message"] == "the installed Prefect cannot read the schedule"


@pytest.mark.skipif(VERSION is not None, reason="where there is no Prefect")
def test_without_prefect(caplog):
    """Without Prefect there are no scheduled runs, and a warning says so."""
    team = Team()
    team.flow(schedule={"type": "Schedule", "clocks": []})
    assert "a schedule creates no flow runs: Prefect, which reads the schedule, is not installed" in caplog.text
    assert team.ask("{ flow { is_schedule_active } flow_run { id } }") == {
        "flow": [{"is_schedule_active": True}],
        "flow_run": [],
    }
