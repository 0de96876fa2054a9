"""``flowsecrets check`` for the settings of Prefect 2.20 and 3."""

from __future__ import annotations

import pytest

NEW, OLD = ("--prefect-version", "3.9.1"), ("--prefect-version", "2.20.27")
API_KEY = "pnu_0123456789abcdef0123456789abcdef"
POD = "prefect: 1\nenv:\n- name: PREFECT_API_KEY\n  %s\n"
URL = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
TOKEN = "ghp_Ab3De6Gh9Jk2Mn5Pq8St1Vw4Yz7Bc0Ef"
HOOK = "https://hooks.slack.com/services/T0Q1W2E3R/B9Z8Y7X6W"
COMPOSE = "services:\n  a:\n    image: x\n    environment:\n      A: %s\n"
CI = "on: push\njobs:\n  a:\n    env:\n      A: %s\n    steps: [{run: prefect deploy}]\n"

# rule, file, options, a text that triggers it, one that does not
EXAMPLES = [
    ("FS077", ".env", NEW, f"PREFECT_API_KEY={API_KEY}", "PREFECT_API_KEY="),
    ("FS077", ".env", NEW, "PREFECT_API_KEY=hunter2", "PREFECT_API_KEY=insert_your_key_here"),
    ("FS077", ".env", NEW, f"{URL}=postgresql+asyncpg://u:hunter2@h/d", f"{URL}=postgresql+asyncpg://u@h/d"),
    ("FS077", ".env", NEW, "PREFECT_API_AUTH_STRING=a:hunter2", "OTHER_AUTH_STRING=a:hunter2"),
    ("FS077", "Dockerfile", NEW, "ENV API_TOKEN=hunter2", "ENV API_TOKEN=$TOKEN"),
    ("FS077", "Dockerfile", (), f"ARG PREFECT_API_KEY={API_KEY}", "ARG PREFECT_API_KEY"),
    ("FS077", "run.sh", NEW, "export PREFECT_API_KEY=hunter2", "export PREFECT_API_KEY=$KEY"),
    ("FS077", "job.yaml", NEW, POD % "value: hunter2", POD % "valueFrom: {secretKeyRef: {name: a, key: b}}"),
    ("FS077", "run.sh", NEW, f"export A={HOOK}/{TOKEN}", f"export A={HOOK}/$TOKEN"),
    ("FS077", "compose.yaml", NEW, COMPOSE % f"{HOOK}/{TOKEN}", COMPOSE % f"{HOOK}/${{TOKEN}}"),
    ("FS077", "ci.yaml", NEW, CI % f"https://{TOKEN}@h/a", CI % "https://${{ secrets.A }}@h/a"),
    ("FS077", "Dockerfile", NEW, f"ENV A=https://{TOKEN}@h/a", "ENV A=https://h/a"),
    ("FS077", "prefect.toml", NEW, "[api]\nkey = 'hunter2'", "[api]\nkey = ''"),
    ("FS077", "prefect.toml", NEW, "server.api.auth_string = 'a:hunter2'", "server.api.host = 'a:hunter2'"),
    ("FS077", "pyproject.toml", NEW, "[tool.prefect]\napi.key = 'hunter2'", "[tool.other]\napi.key = 'hunter2'"),
    ("FS077", "profiles.toml", NEW, "[profiles.a]\nPREFECT_API_KEY = 'hunter2'", "[profiles.a]\n"),
    ("FS079", ".env", NEW, "PREFECT__CONTEXT__SECRETS__A=x", "PREFECT_HOME=x"),
    ("FS080", ".env", NEW, "PREFECT_API_URI=x", "PREFECT_API_URL=x"),
    ("FS080", ".env", (), "PREFECT_LOGING_LEVEL=INFO", "PREFECT_LOGGING_LOGGERS_X_LEVEL=INFO"),
    ("FS080", "prefect.toml", NEW, "[api]\nuri = 'x'", "[api]\nurl = 'x'"),
    ("FS080", "prefect.toml", (), "[nothing]\na = 1", "[client.custom_headers]\na = 'b'"),
    ("FS080", "pyproject.toml", NEW, "[tool.prefect.api]\nuri = 'x'", "[tool.prefect.api]\nurl = 'x'"),
    ("FS080", "profiles.toml", NEW, "[profiles.a]\nPREFECT_API_URI = 'x'", "[profiles.a]\nPREFECT_API_URL = 'x'"),
    ("FS080", "profiles.toml", OLD, "[profiles.a]\nNOTHING = 'x'", "active = 'a'"),
    ("FS081", ".env", NEW, "PREFECT_ASYNC_FETCH_STATE_RESULT=1", "PREFECT_HOME=x"),
    ("FS081", ".env", NEW, "PREFECT_API_DATABASE_CONNECTION_URL=x", f"{URL}=x"),
    ("FS081", ".env", OLD, f"{URL}=x", "PREFECT_API_DATABASE_CONNECTION_URL=x"),
    ("FS082", "config.toml", NEW, "[context.secrets]\nA = 'x'", None),
    ("FS082", "prefect.toml", ("--prefect-version", "3.0.11"), "[api]\nurl = 'x'", ""),
    ("FS082", "pyproject.toml", OLD, "[tool.prefect.api]\nurl = 'x'", "[tool.other]\n"),
    ("FS001", "prefect.toml", NEW, "[api]\nurl = hunter2", "[api]\nurl = 'x'"),
    ("FS001", "profiles.toml", NEW, "active = hunter2", "active = 'x'"),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda row: f"{row[0]} {row[1]}")
def test_examples(run, write, example):
    """A rule applies to its own case and not to a similar harmless one, and no value is shown."""
    if example[1].endswith("yaml"):
        pytest.importorskip("yaml")
    rule, name, options, bad, good = example
    done = run("check", *options, write(name, f"{bad}\n"))
    assert rule in done.ids
    assert not [value for value in ("hunter2", API_KEY, TOKEN) if value in done.out]
    if good is not None:
        assert rule not in run("check", *options, write(name, f"{good}\n")).ids


def test_severities(run, write, tmp_path):
    """A secret is a note in files that belong outside of a repository; an unknown name is an error where 2.20 fails."""
    assert ": note: FS077" in run("check", *NEW, write(".env", f"PREFECT_API_KEY={API_KEY}\n")).out
    assert ": error: FS077" in run("check", *NEW, write("prefect.toml", "api.key = 'hunter2'\n")).out
    profile = "[profiles.a]\nPREFECT_API_URI = 'x'\nPREFECT_API_KEY = 'hunter2'\n"
    done = run("check", *OLD, write("profiles.toml", profile))
    assert done.out.splitlines()[0] == (
        "profiles.toml:2:1: error: FS080 PREFECT_API_URI: Prefect 2.20.27 has no such setting: import prefect fails; "
        "write PREFECT_API_URL"
    )
    assert done.ids == ["FS080", "FS077"]
    assert run("check", *OLD, write(".prefect/profiles.toml", profile)).ids == ["FS080"]


@pytest.mark.parametrize("version", ["2", "2.20", "3"])
def test_versions(run, write, version):
    """A release of Prefect 2.20 or 3 turns the legacy rules off, and a legacy release those about settings."""
    name = write(".env", "PREFECT__CONTEXT__SECRETS__A=0000\nPREFECT_API_URI=x\n")
    assert run("check", name, "--prefect-version", version).ids == ["FS079", "FS080"]
    assert run("check", name, "--prefect-version", "1.4.1").ids == ["FS021"]


def test_kubernetes_secrets(run, write):
    """A Secret of Kubernetes may contain an API key, and rules about YAML hold with every Prefect."""
    pytest.importorskip("yaml")
    assert run("check", *NEW, write("s.yaml", f"kind: Secret\nstringData: {{PREFECT_API_KEY: {API_KEY}}}\n")).ids == []
    assert run("check", *NEW, write("p.yaml", POD % "value: true")).ids == ["FS050"]
