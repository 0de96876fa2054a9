"""Artifacts, logs, events and automations."""

from datetime import datetime, timedelta, timezone
from uuid import uuid4

from catalogue import async_error_text, operation, wait_until
from prefect import flow
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, LogFilter, LogFilterFlowRunId


@flow(name="recording")
def recorded():
    return 1


def _text(artifact):
    return [artifact.key, artifact.type, artifact.data, artifact.description]


@operation
def artifact_markdown():
    return str(create_markdown_artifact(markdown="# m", key="md", description="d"))


@operation
async def artifact_read(client):
    await create_markdown_artifact(markdown="# m1", key="read-md", description="d")
    await create_markdown_artifact(markdown="# m2", key="read-md")
    found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["read-md"])))
    return sorted((_text(each) for each in found), key=str)


@operation
async def artifact_latest(client):
    from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey

    await create_markdown_artifact(markdown="# m1", key="latest-md")
    await create_markdown_artifact(markdown="# m2", key="latest-md")
    chosen = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=["latest-md"]))
    return [_text(each) for each in await client.read_latest_artifacts(artifact_filter=chosen)]


@operation
async def artifact_delete(client):
    artifact_id = await create_link_artifact(link="https://x.y", key="deleted", link_text="t")
    await client.delete_artifact(artifact_id)
    return await async_error_text(client.delete_artifact(artifact_id))


@operation
def artifact_table_in_flow():
    import asyncio

    from prefect import get_client

    @flow(name="table-flow")
    def tables():
        create_table_artifact(table=[{"a": 1}, {"a": 2}], key="in-flow")

    state = tables(return_state=True)

    async def read():
        async with get_client() as client:
            return await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["in-flow"])))

    found = asyncio.run(read())
    return [[_text(each), each.flow_run_id == state.state_details.flow_run_id] for each in found]


@operation(since="3.0")
async def artifact_progress(client):
    from prefect.artifacts import create_progress_artifact, update_progress_artifact

    artifact_id = await create_progress_artifact(progress=10.0, key="progress")
    await update_progress_artifact(artifact_id=artifact_id, progress=60.0)
    found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["progress"])))
    return [_text(each) for each in found]


@operation
async def logs_create_and_read(client):
    from prefect.client.schemas.actions import LogCreate

    flow_run = await client.create_flow_run(recorded)
    now = datetime.now(timezone.utc)
    logs = [
        LogCreate(
            name="l", level=20 + n, message=f"m{n}", timestamp=now + timedelta(seconds=n), flow_run_id=flow_run.id
        )
        for n in range(3)
    ]
    await client.create_logs(logs)
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id]))
    found = await client.read_logs(log_filter=chosen)
    page = await client.read_logs(log_filter=chosen, limit=1, offset=1)
    return [[[each.name, each.level, each.message] for each in found], [each.message for each in page]]


@operation
async def logs_level_filter(client):
    from prefect.client.schemas.actions import LogCreate
    from prefect.client.schemas.filters import LogFilterLevel

    flow_run = await client.create_flow_run(recorded)
    now = datetime.now(timezone.utc)
    await client.create_logs(
        [LogCreate(name="l", level=n, message=f"m{n}", timestamp=now, flow_run_id=flow_run.id) for n in (10, 30)]
    )
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id]), level=LogFilterLevel(ge_=20))
    return [each.message for each in await client.read_logs(log_filter=chosen)]


def _events(name, chosen_by=lambda event: True):
    import asyncio

    from prefect import get_client

    since = (datetime.now(timezone.utc) - timedelta(minutes=30)).isoformat()
    until = (datetime.now(timezone.utc) + timedelta(minutes=30)).isoformat()

    async def read():
        chosen = {"event": {"name": [name]}, "occurred": {"since": since, "until": until}}
        async with get_client() as client:
            response = await client._client.post("/events/filter", json={"filter": chosen, "limit": 50})
            return [each for each in response.json()["events"] if chosen_by(each)]

    return wait_until(lambda: asyncio.run(read()))


@operation(since="3.0")
def event_emitted():
    from prefect.events import emit_event

    emit_event(event="rest.happened", resource={"prefect.resource.id": "rest.thing"}, payload={"a": 1})
    found = _events("rest.happened")
    return [[each["event"], each["resource"], each["payload"], each["related"]] for each in found]


@operation(since="3.0")
def events_of_a_flow():
    @flow(name="with-events")
    def runs():
        return 1

    runs()

    def own(event):
        return any(part.get("prefect.resource.name") == "with-events" for part in event["related"])

    found = _events("prefect.flow-run.Completed", own)
    return [[each["event"], each["resource"]["prefect.state-type"], each["payload"]] for each in found[:1]]


def _automation(name, enabled=True):
    from prefect.events.actions import DoNothing
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    trigger = EventTrigger(
        expect={"rest.*"}, match={"prefect.resource.id": "rest.*"}, posture=Posture.Reactive, threshold=1, within=10
    )
    return AutomationCore(name=name, enabled=enabled, trigger=trigger, actions=[DoNothing()])


@operation(since="3.0")
async def automation_create_and_read(client):
    automation_id = await client.create_automation(_automation("auto-1"))
    row = await client.read_automation(automation_id)
    return [row.name, row.enabled, row.trigger.expect, [each.type for each in row.actions], row.description]


@operation(since="3.0")
async def automations_by_name(client):
    await client.create_automation(_automation("auto-2"))
    found = await client.read_automations_by_name("auto-2")
    return [[each.name for each in found], await client.read_automations_by_name("auto-none")]


@operation(since="3.0")
async def automation_pause_and_resume(client):
    automation_id = await client.create_automation(_automation("auto-3"))
    await client.pause_automation(automation_id)
    paused = (await client.read_automation(automation_id)).enabled
    await client.resume_automation(automation_id)
    return [paused, (await client.read_automation(automation_id)).enabled]


@operation(since="3.0")
async def automation_update(client):
    automation_id = await client.create_automation(_automation("auto-4"))
    await client.update_automation(automation_id, _automation("auto-5", enabled=False))
    row = await client.read_automation(automation_id)
    return [row.name, row.enabled]


@operation(since="3.0")
async def automation_delete(client):
    automation_id = await client.create_automation(_automation("auto-6"))
    await client.delete_automation(automation_id)
    return [
        await async_error_text(client.read_automation(automation_id)),
        await async_error_text(client.delete_automation(automation_id)),
        await async_error_text(client.read_automation(uuid4())),
    ]


@operation(since="3.0")
async def automations_list(client):
    await client.create_automation(_automation("auto-7"))
    return [each.name for each in await client.read_automations() if each.name == "auto-7"]


@operation(since="3.0")
async def automations_of_a_resource(client):
    resource = f"prefect.deployment.{uuid4()}"
    found = await client.read_resource_related_automations(resource)
    await client.delete_resource_owned_automations(resource)
    return found


@operation(since="3.0")
async def events_subscribed(client):
    import asyncio

    from prefect.events import emit_event
    from prefect.events.clients import get_events_subscriber
    from prefect.events.filters import EventFilter, EventNameFilter

    chosen = EventFilter(event=EventNameFilter(name=["rest.subscribed"]))
    async with get_events_subscriber(filter=chosen) as subscriber:
        emit_event(event="rest.other", resource={"prefect.resource.id": "rest.thing"})
        emit_event(event="rest.subscribed", resource={"prefect.resource.id": "rest.thing"})

        async def first():
            event = await subscriber.__anext__()
            return [event.event, dict(event.resource.root if hasattr(event.resource, "root") else event.resource)]

        return await asyncio.wait_for(first(), 60)
