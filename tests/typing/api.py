"""Read by type checkers only: the public API as users write it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from pytest_flowsecrets import (
    ClusterSecrets,
    FakeCloud,
    FakeServer,
    FlowClock,
    FlowEnvironment,
    Leak,
    LocalSecrets,
    PrefectHome,
    RestCloud,
    RestServer,
    SecretLeaks,
    Tenant,
    flow_environment,
    isolated_prefect,
)


def use(local_secrets: LocalSecrets, prefect_home: PrefectHome) -> Dict[str, str]:
    local_secrets["GITHUB_ACCESS_TOKEN"] = "x"
    local_secrets.update({"my secret": 42}, OTHER=None)
    value: Any = local_secrets["my secret"]
    del local_secrets["OTHER"]
    local_secrets.setenv("PIN", "0000")
    local_secrets.unsetenv("PIN")
    local_secrets.use_local_secrets = not local_secrets.use_local_secrets
    prefect_home.write_config({"context": {"secrets": {"A": value}}}, strict=False).read_text()
    with isolated_prefect({"A": "x"}, config="", backend={}) as secrets:
        return secrets.environ


def environments() -> Dict[str, str]:
    agent = flow_environment("docker", run_config={"A": "x"}, agent_env={"B": "y"}, prefect_version="1.4.1")
    worker = flow_environment("process", job_variables={"env": {"A": "x"}}, run_job_variables={}, host_env={})
    return {**agent, **worker.settings, "origin": worker.origin("A")}


def run(
    environment_of: Callable[..., FlowEnvironment],
    cluster_secrets: ClusterSecrets,
    flow_clock: FlowClock,
    secret_leaks: SecretLeaks,
) -> Dict[str, str]:
    cluster_secrets["github"] = {"token": "x"}
    flow_clock.tick()
    environment = environment_of("kubernetes")
    secret_leaks.search(dict(environment))
    leaks: List[Leak] = secret_leaks.found
    secret_leaks.assert_none()
    assert not leaks
    return dict(environment)


def ask(prefect_cloud: FakeCloud, prefect_server: FakeServer, local_secrets: LocalSecrets) -> List[str]:
    prefect_cloud.client.set_secret(name="my secret", value=42)
    prefect_cloud.secrets.set("TOKEN", "x", expires_at="2099-01-01")
    prefect_cloud.secrets.rotate("TOKEN", ["y"], at=prefect_cloud.secrets.reads[0].at)
    local_secrets.rotate("TOKEN", "y")
    other: Tenant = prefect_cloud.add_tenant("other", shared=True)
    other.revoke(other.create_key("RUNNER"))
    with prefect_cloud.flow_run() as flow_run_id, prefect_cloud.logged_out(), other.flow_run():
        prefect_cloud.assert_never_received("TOKEN", flow_run_id)
    with FakeCloud({"TOKEN": 1}) as cloud, FakeServer() as server:
        cloud.faults.status(503, times=2, on="set_secret")
        print(server.url, prefect_server.client, [request.kind for request in server.requests])
    return [name for name in cloud.secrets if cloud.secrets.holds(name, None)]


from pytest_flowsecrets import Nonsense  # type: ignore[attr-defined]  # noqa: E402, F401 - a name that does not exist


def ask_rest(prefect_server: RestServer, prefect_cloud: RestCloud) -> List[str]:
    prefect_server.secrets["token"] = "x"
    prefect_server.variables["region"] = {"name": "eu"}
    prefect_server.blocks.save("mine", object())
    prefect_server.require_auth("admin:pass")
    prefect_cloud.write_only()
    with prefect_cloud.flow_run():
        prefect_cloud.assert_never_received("TOKEN", prefect_cloud.api_key)
    runs = [str(run["name"]) for run in prefect_cloud.flow_runs if prefect_cloud.secrets.holds("token", "x")]
    return [*runs, *(read.name for read in prefect_server.secrets.reads), *prefect_server.blocks]
