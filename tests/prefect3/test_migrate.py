"""``flowsecrets migrate --apply`` with the real client of Prefect 2.20 or 3, in child processes.

The recorded answers are those of the real legacy Prefect: see ``tests/migration/record.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from pytest_flowsecrets.backend.messages import Response
from pytest_flowsecrets.backend.prefect_server import PrefectServer
from pytest_flowsecrets.backend.rest import RestApi
from pytest_flowsecrets.migration.model import Plan
from tests.backend.rest.record import environment
from tests.compat import needs_libcst
from tests.migration import project
from tests.migration.record import VERSIONS, read
from tests.migration.test_against_legacy import plan_for
from tests.prefect3.compat import IS_TYPED, VERSION

pytestmark = pytest.mark.slow
CONFIG = """
[context]
bucket = "the-bucket"
[context.secrets]
GITHUB_TOKEN = "hunter2"
TEXT = "'\\"42\\"'"
"""
COMMANDS = """
import json, sys
from pytest_flowsecrets.cli import main

for command in json.loads(sys.argv[1]):
    status = exec(command) if isinstance(command, str) else main(["migrate", "--prefect-version", "1.4.1", *command])
    print("> exit", status, flush=True)
"""
READ = """
import json, sys
from prefect import flow
from prefect.variables import Variable
from flow import report

value = Variable.get("bucket")
print("result", json.dumps([flow(report)(), getattr(value, "value", value)]))
"""


@pytest.fixture(scope="module")
def api():
    with RestApi(VERSION) as api:
        yield api


@pytest.fixture(scope="module")
def started_server(request):
    if subprocess.run([sys.executable, "-c", "import prefect.server.api.server"], check=False).returncode:
        pytest.skip("prefect-client has no server, and newer packages break those of Prefect 3.1 to 3.8")
    template = request.config.cache.mkdir("flowsecrets") / f"prefect-{VERSION}.db"  # stays for later runs
    with PrefectServer(template=template) as server:
        yield server


@pytest.fixture
def server(started_server):
    """Return the real server of the installed Prefect, without rows of other tests."""
    started_server.reset()
    yield started_server
    started_server.check()


@pytest.fixture
def run(tmp_path):
    """Run Python code in a child process that talks to the API at a URL; return its output and its errors."""

    def run(url, code, *arguments):
        variables = {"PREFECT_API_URL": url, "PREFECT_LOGGING_LEVEL": "ERROR", "PYTHONPATH": str(tmp_path)}
        child = environment(tmp_path / "home", **variables)
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env=child, capture_output=True, text=True, cwd=tmp_path, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return run


@pytest.fixture
def migrate(run, tmp_path):
    """Run commands, and code, in one child process; return what each one prints, and check that it shows no value."""
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "other.toml").write_text(CONFIG.replace("hunter2", "hunter3"))

    def migrate(url, *commands):
        out, errors = run(url, COMMANDS, json.dumps(commands))
        assert not [value for value in ("hunter2", "hunter3", "the-bucket") if value in out + errors]
        migrate.errors = errors
        return out.split("> exit ")

    return migrate


def test_apply_is_idempotent_and_replaces_on_request_only(api, migrate):
    """A first run creates, a second run changes nothing, and another value is replaced with `--replace` only."""
    view = api.new_view()
    apply, other = (["--config", name, "--apply"] for name in ("config.toml", "other.toml"))
    dry = ["--config", "config.toml", "--dry-run"]
    before, first, second, third, fourth, fifth, _ = migrate(
        view.url, dry, apply, apply, other, [*other, "--replace"], other
    )
    assert "To create 3 of 3 items, add --apply." in before
    for name in ("block github-token", "block text", "variable bucket"):
        assert f"created: {name}\n" in first
        assert f"unchanged: {name}\n" in second
    assert "different: block github-token: it has another value: add --replace" in third
    assert "unchanged: block text\n" in third
    assert fourth.startswith("1\n")  # the status of the third command
    assert "replaced: block github-token\n" in fourth
    assert fifth.startswith("0\n")
    assert "unchanged: block github-token\n" in fifth
    assert view.holds("github-token", "hunter3")
    assert [row["name"] for row in view.rows("variables")] == ["bucket"]


def test_a_dry_run_creates_nothing(api, migrate):
    """Without `--apply` no request changes anything."""
    view = api.new_view()
    migrate(view.url, ["--config", "config.toml"])
    assert view.rows("variables") == view.rows("block_documents") == []


def test_cloud_secrets_are_checked(api, migrate):
    """A secret to enter by hand is reported until its block exists."""
    view = api.new_view()
    command = ["--config", "config.toml", "--cloud-secret", "REMOTE_KEY", "--apply"]
    save = "from prefect.blocks.system import Secret; Secret(value='x').save('remote-key')"
    before, status, after, last_status = migrate(view.url, command, save, command)
    assert "not entered: block remote-key: Secret(value=...).save('remote-key')" in before
    assert "exists: block remote-key\n" in after
    assert (status, last_status) == ("1\n", "0\n")


def test_errors_of_the_api_are_reported_without_values(api, migrate):
    """An answer of the API that is an error fails the item, and the message has its status only."""
    view = api.new_view()

    def refuse(request, answer):
        if request.path.endswith("/block_documents/") and request.method == "POST":
            return Response(
                403, (("Content-Type", "application/json"),), b'{"detail": "no: ' + request.body[:0] + b'"}'
            )
        return answer()

    view.intercept = refuse
    done, status = migrate(view.url, ["--config", "config.toml", "--apply"])
    assert status == "1\n"
    assert "failed: block github-token: " in done
    assert "403" in done
    assert "created: variable bucket\n" in done


def test_an_api_is_needed(migrate):
    """Without a URL of an API the plan is shown and nothing is created, rather than in a temporary server."""
    plan, status = migrate("", ["--config", "config.toml", "--apply"])
    assert status == "2\n"
    assert "Secret block" in plan
    assert "created" not in plan
    assert "no API is configured; set PREFECT_API_URL" in migrate.errors


APPLY_ITEMS = """
import json, sys
from prefect import flow
from prefect.blocks.system import Secret
from pytest_flowsecrets.migration.apply import apply_plan
from tests.migration.record import as_json
from tests.prefect3.test_migrate import distinct_plan

plan = distinct_plan()

@flow
def read():
    return [as_json(Secret.load(item.new).get()) for item in plan.items]

print("result", json.dumps([sorted({result.status for result in apply_plan(plan)}), read()]))
"""


def distinct_plan():
    """Return one plan with all different values of the recorded configurations, under names of their own."""
    plan, seen = Plan("all", 3), {}
    for _, _, _, item in recorded_items():
        seen.setdefault(key_of(item), item)
    plan.items = list(seen.values())
    for number, item in enumerate(plan.items):
        item.new = f"s{number}-{item.new}"
    return plan


@lru_cache(maxsize=None)
def recorded_items():
    """Return configuration, release, recorded answer and item for each secret that can be created."""
    rows = []
    for case in read():
        for release in VERSIONS:
            for item in plan_for(case, release).items:
                if item.stored is not None and not item.problem.startswith("the legacy flow"):
                    item.problem = ""
                    rows.append((case, release, case["answers"][release][item.old], item))
    return rows


def key_of(item):
    return json.dumps([item.stored.data, item.kind])


@pytest.mark.skipif(not IS_TYPED, reason="Prefect 2 stores text only, and the plan says so")
def test_flows_get_the_values_of_100_legacy_configurations(api, run):
    """A flow of Prefect 3 gets from the migrated blocks what the flow of the real legacy Prefect got, or the plan says so."""
    root = str(Path(__file__).parents[2])
    out, _ = run(api.new_view().url, f"import sys; sys.path.insert(0, {root!r})\n{APPLY_ITEMS}")
    statuses, values = json.loads(next(line[7:] for line in out.splitlines() if line.startswith("result ")))
    assert statuses == ["created"]
    result_of = dict(zip(map(key_of, distinct_plan().items), values))
    compared = 0
    for case, release, answer, item in recorded_items():
        if not item.changes:
            assert result_of[key_of(item)] == answer, (release, case["toml"], item.old)
            compared += 1
    assert compared > 500


@needs_libcst
def test_a_legacy_project_runs_on_a_real_server(server, migrate, run, tmp_path):
    """A project is rewritten, its secrets are created on the real server, and its flow gets the legacy values."""
    (tmp_path / "flow.py").write_text(project.FLOW)
    (tmp_path / "project.toml").write_text(project.CONFIG)
    done, status = migrate(server.url, ["--config", "project.toml", "flow.py", "--write", "--apply"])
    assert done.count("created: block ") == len(project.REPORT)
    assert status == ("0\n" if IS_TYPED else "1\n")  # Prefect 2 stores text only, and the plan says so
    out, _ = run(server.url, READ)
    report, bucket = json.loads(next(line[7:] for line in out.splitlines() if line.startswith("result ")))
    assert bucket == "the-bucket"
    texts = [each if isinstance(each, str) else json.dumps(each) for each in project.REPORT]
    assert report == (project.REPORT if IS_TYPED else texts)
    assert server.secrets.holds("github-token", "hunter2")
