"""What ``flowsecrets check`` says about templates, held against the real Prefect."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect import flow
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.utilities.templating import resolve_block_document_references, resolve_variables

from pytest_flowsecrets import flow_environment
from pytest_flowsecrets.cli import main
from tests.prefect3.compat import RELEASE

pytest.importorskip("yaml")
HAS_TEXT = RELEASE >= (3, 7, 0)  # whether a block template may stand within other text
STORES_JOB_VARIABLES = RELEASE >= (3, 0, 0)
POOL = {"job_configuration": {}, "variables": {"type": "object", "properties": {"c": {}}}}


def ids_of(capsys, path):
    capsys.readouterr()
    main(["check", "--json", str(path)])
    return {finding["id"] for finding in json.loads(capsys.readouterr().out)}


def resolve(template):
    async def resolve_all():
        return await resolve_variables(await resolve_block_document_references(template))

    return asyncio.run(resolve_all())


@pytest.mark.secrets({"token": "x-secret", "a-b": "x-dashes"})
@pytest.mark.parametrize(
    ("template", "rule", "result"),
    [
        ("{{ prefect.blocks.secret.token }}", "", "x-secret"),
        ("{{prefect.blocks.secret.token.value}}", "", "x-secret"),
        ("{{ prefect.blocks.secret }}", "FS070", ValueError),
        ("{{ prefect.blocks.secret.token | upper }}", "FS070", "{{ prefect.blocks.secret.token | upper }}"),
        ("{{ ${HOME} }}", "FS070", "{{ ${HOME} }}"),
        ("{{ prefect.block.secret.token }}", "FS070", "{{ prefect.block.secret.token }}"),
        ("{{ prefect.blocks.secret.TOKEN }}", "FS071", PrefectException),
        ("{{ prefect.blocks.secret.a_b }}", "FS071", PrefectException),
        ("{{ prefect.blocks.secret.a-b }}", "", "x-dashes"),
        ("a{{ prefect.blocks.secret.token }}", "" if HAS_TEXT else "FS075", "ax-secret" if HAS_TEXT else ValueError),
        ("{{ prefect.variables.nope }}", "FS072", ""),
        ("a{{ prefect.variables.nope }}", "FS072", "a"),
    ],
)
def test_templates_of_a_step(template, rule, result, tmp_path, capsys):
    """The real Prefect does with a template of a step what the rule says."""
    if isinstance(result, str):
        assert resolve(template) == result
    else:
        with pytest.raises(result):
            resolve(template)
    path = tmp_path / "prefect.yaml"
    path.write_text(f"deployments: []\npull:\n- step:\n    a: {json.dumps(template)}\n")
    assert ids_of(capsys, path) == ({rule} if rule else set())


@pytest.mark.secrets
@pytest.mark.parametrize("name", ["TOKEN", "a_b"])
def test_names_that_cannot_exist(name):
    """The real Prefect refuses a block whose name FS071 reports."""
    with pytest.raises(Exception, match="lowercase"):
        Secret(value="x").save(name)


def configuration(template, values):
    try:
        from prefect.workers.process import ProcessJobConfiguration
    except ImportError as error:
        pytest.skip(f"this Prefect has no worker: {error}")

    async def populate():
        async with get_client() as client:
            return await ProcessJobConfiguration.from_template_and_values(template, values, client=client)

    return asyncio.run(populate())


@pytest.mark.secrets
def test_base_job_templates(tmp_path, capsys, monkeypatch):
    """A worker replaces the environment in the configuration, not in defaults, and drops unknown variables."""
    monkeypatch.setenv("OWN_HOST", "x-host")
    template = {
        "job_configuration": {
            "command": "{{ comand }}",
            "env": {"A": "{{ $OWN_HOST }}", "B": "{{ c }}", "D": "a{{ d }}"},
            "name": "{{ name }}",
        },
        "variables": {"type": "object", "properties": {"c": {"default": "{{ $OWN_HOST }}"}, "name": {}}},
    }
    result = configuration(template, {})
    assert result.command is None
    assert {name: result.env[name] for name in "ABD"} == {"A": "x-host", "B": "{{ $OWN_HOST }}", "D": "a"}
    path = tmp_path / "pool.json"
    path.write_text(json.dumps(template))
    assert ids_of(capsys, path) == {"FS072", "FS073", "FS076"}


@pytest.mark.secrets
def test_types_of_variables(tmp_path, capsys):
    """YAML changes the text of the values that FS078 reports, and of no others."""
    import yaml

    template = {"job_configuration": {"env": "{{ env }}"}, "variables": {"properties": {"env": {}}}}
    days = ("2024-01-01", "2024-1-1", "2024-01-01 10:00:00")
    for text in ("true", "yes", "0123", "1.10", "1:30", "1_0", "123", "1.5", "-7", "abc", "'0123'", "1e5", *days):
        value = yaml.safe_load(text)
        stored = json.loads(json.dumps(value, default=lambda day: day.isoformat()))  # as the API does
        changed = configuration(template, {"env": {"A": stored}}).env["A"] != text.strip("'")
        path = tmp_path / "prefect.yaml"
        path.write_text(
            "pull: null\ndeployments:\n- entrypoint: f\n  work_pool:\n    job_variables:\n      env:\n"
            f"        A: {text}\n"
        )
        assert ids_of(capsys, path) == ({"FS078"} if changed else set()), text


IN_PYTHON = """\
deployment = own.to_deployment(
    "a",
    work_pool_name="pool",
    parameters={"key": "{{ prefect.blocks.secret.token }}"},
    job_variables={
        "env": {
            "STORED": "{{ prefect.blocks.secret.token }}",
            "HOST": "{{ prefect.variables.host }}",
            "OWN": "{{ $OWN_HOST }}",
            "TYPO": "{{ prefect.block.secret.token }}",
        }
    },
)
"""


@pytest.mark.secrets({"token": "x-secret"})
@pytest.mark.variables(host="x-host")
def test_deployments_in_python(tmp_path, capsys, monkeypatch):
    """A worker and a flow run leave the templates in Python calls that FS070 and FS083 report, and no others."""
    process = pytest.importorskip("prefect.workers.process", reason="prefect-client has no workers")
    monkeypatch.setenv("OWN_HOST", "x-own")
    scope = {"own": flow(name="own")(lambda key="": key)}
    exec(IN_PYTHON, scope)
    template = process.ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client:
        pool = {"name": "pool", "type": "process", "base_job_template": template}
        client._client.post("/work_pools/", json=pool).raise_for_status()
        deployment_id = scope["deployment"].apply(work_pool_name="pool")
        created = client._client.post(f"/deployments/{deployment_id}/create_flow_run", json={})
        assert created.json()["parameters"] == {"key": "{{ prefect.blocks.secret.token }}"}
    env = flow_environment("process", deployment="own/a")
    assert {name: env[name] for name in ("STORED", "HOST", "OWN", "TYPO")} == {
        "STORED": "x-secret",
        "HOST": "x-host",
        "OWN": "{{ $OWN_HOST }}",
        "TYPO": "{{ prefect.block.secret.token }}",
    }
    path = tmp_path / "deploy.py"
    path.write_text(IN_PYTHON)
    capsys.readouterr()
    main(["check", "--json", str(path)])
    found = [(each["line"], each["id"]) for each in json.loads(capsys.readouterr().out)]
    assert found == [(4, "FS083"), (8, "FS072"), (9, "FS083"), (10, "FS070")]


@pytest.mark.skipif(RELEASE < (3, 0, 0), reason="Prefect 2 runs a flow run by another function")
@pytest.mark.secrets({"token": "x-secret"})
def test_parameters_in_python():
    """The flow gets the parameters of a flow run with the braces."""
    from prefect.flow_engine import run_flow

    own = flow(name="own")(lambda key="": key)
    parameters = {"key": "{{ prefect.blocks.secret.token }}"}
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(own, parameters=parameters)
    assert run_flow(own, flow_run=run, return_type="result") == parameters["key"]


DEPLOYMENTS = """\
name: demo
pull: []
deployments:
- name: a
  entrypoint: flow.py:own
  parameters: {key: "{{ prefect.blocks.secret.token }}", pin: 0123}
  work_pool:
    name: pool
    job_variables:
      env:
        STORED: "{{ prefect.blocks.secret.token }}"
        TYPO: "{{ prefect.block.secret.token }}"
        FILTER: "{{ prefect.variables.x | upper }}"
        VARIABLE: "a{{ prefect.variables.nope }}"
        UNSET: "a{{ $OWN_UNSET }}"
        API_TOKEN: "{{ $OWN_TOKEN }}"
"""


@pytest.mark.slow
@pytest.mark.secrets({"token": "x-secret"})
def test_what_a_deployment_stores(prefect_server, tmp_path, capsys, monkeypatch):
    """`prefect deploy` stores what FS070, FS072, FS074 and FS078 say."""
    (tmp_path / "flow.py").write_text("from prefect import flow\n\n@flow\ndef own(key='', pin=0):\n    pass\n")
    (tmp_path / "prefect.yaml").write_text(DEPLOYMENTS)
    monkeypatch.setenv("OWN_TOKEN", "x-token")
    program = Path(sys.executable).with_name("prefect")
    if not program.exists():
        pytest.skip("prefect-client has no command line")
    create = [program, "work-pool", "create", "pool", "--type", "process"]
    deploy = [program, "--no-prompt", "deploy", "--all"]
    for command in (create, deploy):
        done = subprocess.run(
            command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    async def read():
        async with get_client() as client:
            return await client.read_deployment_by_name("own/a")

    deployment = asyncio.run(read())
    assert deployment.parameters == {"key": "x-secret", "pin": 83}
    variables = {"STORED": "x-secret", "VARIABLE": "a"}
    if not STORES_JOB_VARIABLES:
        variables = {"STORED": "{{ prefect.blocks.secret.token }}", "VARIABLE": "a{{ prefect.variables.nope }}"}
    variables.update(FILTER="{{ prefect.variables.x | upper }}", UNSET="a", API_TOKEN="x-token")
    stored = getattr(deployment, "job_variables", None) or deployment.infra_overrides
    assert stored["env"] == variables
    assert ids_of(capsys, tmp_path / "prefect.yaml") == {"FS070", "FS072", "FS074", "FS078"}


VALUE = "import prefect.settings as s; print(s.PREFECT_API_URL.value())"


@pytest.mark.slow
@pytest.mark.secrets
@pytest.mark.parametrize(
    "example",
    [
        (".env", "PREFECT_API_URI=http://x.example/api\n", "FS080"),
        ("prefect.toml", "[api]\nuri = 'http://x.example/api'\n", "FS080"),
        ("prefect.toml", "[api]\nurl = 'http://x.example/api'\n", "" if RELEASE >= (3, 1, 0) else "FS082"),
        (
            "pyproject.toml",
            "[tool.prefect.api]\nurl = 'http://x.example/api'\n",
            "" if RELEASE >= (3, 1, 0) else "FS082",
        ),
        ("profiles.toml", "active='a'\n[profiles.a]\nPREFECT_API_URI = 'http://x.example/api'\n", "FS080"),
        ("profiles.toml", "active='a'\n[profiles.a]\nPREFECT_API_URL = 'http://x.example/api'\n", ""),
    ],
)
def test_settings(example, tmp_path, capsys, monkeypatch):
    """The real Prefect ignores the settings and files that FS080 and FS082 report, or fails, and reads the others."""
    name, text, rule = example
    (tmp_path / name).write_text(text)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    profiles = tmp_path / ("profiles.toml" if name == "profiles.toml" else "none.toml")
    environ = {**os.environ, "PREFECT_PROFILES_PATH": str(profiles), "PREFECT_HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", VALUE],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if rule and name == "profiles.toml" and RELEASE < (3, 0, 0):
        assert done.returncode != 0
        assert "Unknown setting" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().endswith("None" if rule else "http://x.example/api")
    assert (rule in ids_of(capsys, tmp_path / name)) is bool(rule)
