"""``flowsecrets explain`` for Prefect 2.20 and 3 shows where settings come from, and the blocks of secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_flowsecrets.resolution.settings.catalogue import releases, settings_of

V = ("--prefect", "3.9.1")
SECRET = "PREFECT__CONTEXT__SECRETS__GITHUB_ACCESS_TOKEN"
PROFILES = """\
active = "staging"

[profiles.staging]
PREFECT_API_URL = "https://me:hunter2@staging.example/api"
PREFECT_API_KEY = "pnu_hunter2"
"""


@pytest.fixture(autouse=True)
def machine(write, monkeypatch):
    """A machine with a profile, and a working directory with the two files that Prefect 3 reads there."""
    for name in ("PREFECT_HOME", "PREFECT_PROFILES_PATH", "PREFECT_PROFILE", "PREFECT_API_URL", "PREFECT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    write(".prefect/profiles.toml", PROFILES)
    write(".env", "PREFECT_API_KEY=pnu_other\nPREFECT_API_URI=x\n")
    write("prefect.toml", '[api]\nurl = "https://team.example/api"\nrequest_timeout = 5\n')


def test_setting(run):
    """A setting is shown with its source and what the source overrides, without credentials."""
    done = run("explain", "api.url", *V)
    assert done.code == 0
    assert "api.url: 'https://team.example/api'\n  from      prefect.toml:2:1: 'https://team.example/api'\n" in done.out
    assert ".prefect/profiles.toml:4:1: 'https://•••@staging.example/api'\n" in done.out
    assert done.out == run("explain", "PREFECT_API_URL", *V).out
    assert "hunter2" in run("explain", "api.url", *V, "--show-values").out


def test_credentials_in_addresses(run, monkeypatch):
    """User and password are masked in every address, also if the password has a slash or an @."""
    monkeypatch.setenv("PREFECT_API_URL", "https://me:hunter/2@x@team.example/api")
    assert "api.url: 'https://•••@team.example/api'" in run("explain", "api.url", *V).out
    monkeypatch.setenv("PREFECT_CLIENT_CUSTOM_HEADERS", '{"Authorization": "hunter2"}')
    assert "client.custom_headers: dict of length 1 #" in run("explain", "client.custom_headers", *V).out


def test_all_that_is_set(run, monkeypatch):
    """Without names, `explain` shows what is set and what has no effect, and no secret."""
    monkeypatch.setenv(SECRET, "hunter2")
    monkeypatch.setenv("PREFECT_DEBUG_MODE", "1")
    done = run("explain", *V)
    assert done.code == 0
    assert "api.key: str of length 9 #" in done.out
    assert "  from      .env:1:1 PREFECT_API_KEY: str of length 9 #" in done.out
    assert "logging.level: 'DEBUG'\n  computed  because debug_mode is on\n" in done.out
    assert "ignored: .env:2:1 PREFECT_API_URI: Prefect 3.9.1 has no setting PREFECT_API_URI\n" in done.out
    assert f"ignored: {SECRET}: no effect on Prefect 2 and 3" in done.out
    assert "hunter2" not in done.out
    assert "pnu_other" not in done.out


def test_secret(run, monkeypatch):
    """A name is shown with its block, the API that is asked, and the type of the value of the legacy variable."""
    monkeypatch.setenv(SECRET, "42")
    done = run("explain", "GITHUB_ACCESS_TOKEN", *V)
    assert done.code == 0
    assert (
        "GITHUB_ACCESS_TOKEN (Prefect 3.9.1): no setting; if it is a secret, it is the Secret block 'github-access-token'\n"
        in done.out
    )
    assert "Secret.load('github-access-token') asks https://team.example/api (prefect.toml:2:1)\n" in done.out
    assert f"  ignored   {SECRET}: no effect on Prefect 2 and 3; save a Secret block" in done.out
    assert "comes back as int instead of str" in done.out
    old = run("explain", "GITHUB_ACCESS_TOKEN", "--prefect", "2.20").out
    assert "asks https://•••@staging.example/api" in old
    assert "returns text" in old
    assert "instead of" not in old


def test_impossible_name(run):
    """A name that no block can have is a problem."""
    done = run("explain", "my.secret", "é", "A", *V)
    assert (done.code, done.err) == (
        2,
        "flowsecrets: Prefect 3.9.1 has no setting my.secret: see `prefect config view`\n",
    )
    done = run("explain", "é", "A", *V)
    assert done.code == 1
    assert "é (Prefect 3.9.1): no setting, and no Secret block can have this name\n" in done.out


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("variables.bucket", "prefect variable inspect bucket"),
        ("prefect.variables.bucket", "prefect variable inspect bucket"),
        ("variables.", "prefect variable inspect NAME"),
        ("aws-credentials/prod", "prefect block inspect aws-credentials/prod"),
        ("prefect.blocks.aws-credentials.prod", "prefect block inspect aws-credentials/prod"),
        ("secret/github-access-token", "flowsecrets explain github-access-token"),
        ("prefect.blocks.secret.github-access-token", "flowsecrets explain github-access-token"),
    ],
)
def test_names_of_other_kinds(run, name, command):
    """A variable, or a block of another type, is refused with the command that shows it."""
    done = run("explain", "api.url", name, *V)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"flowsecrets: {name}: explain takes the names of settings and secrets: ")
    assert done.err.endswith(f"run `{command}`\n")


def test_no_setting_looks_like_a_name_of_another_kind():
    """No setting is refused as a variable or a block."""
    paths = [setting.path for release in releases() for setting in settings_of(release)]
    assert "api.url" in paths
    assert [path for path in paths if path.startswith(("variables.", "blocks.", "prefect.")) or "/" in path] == []


def test_no_api(run, write):
    """Without an address, the report names what Prefect uses instead."""
    write("prefect.toml", "")
    write(".prefect/profiles.toml", "")
    assert "asks a temporary server that Prefect starts" in run("explain", "A", *V).out
    write(".prefect/profiles.toml", 'active = "a"\n[profiles.a]\n')
    assert "  fails     no API URL is set" in run("explain", "A", *V).out
    assert "in the process of the flow" in run("explain", "A", "--prefect", "2.20").out


def test_problems(run, write):
    """Broken files and values of another type are reported with their places and without values."""
    write(".env", "PREFECT_API_REQUEST_TIMEOUT=hunter2\n")
    write("prefect.toml", "[api]\nkey = hunter2\n")
    done = run("explain", *V)
    assert done.code == 1
    assert "  fails     prefect.toml:2:7: not valid TOML" in done.out
    assert "  fails     .env:1:1 PREFECT_API_REQUEST_TIMEOUT: api.request_timeout must be a number" in done.out
    assert "hunter2" not in done.out


def test_json(run):
    """JSON has the same facts: value, sources with places, ignored names, API and blocks."""
    (report,) = json.loads(run("explain", "api.url", "TOKEN", *V, "--json").out)
    (setting,) = report["settings"]
    assert setting["value"] == "'https://team.example/api'"
    assert [each["source"] for each in setting["sources"]] == ["prefect.toml", "profile"]
    assert setting["sources"][0].items() >= {"place": "prefect.toml", "line": 2, "column": 1}.items()
    assert [each["name"] for each in report["ignored"]] == ["PREFECT_API_URI"]
    assert report["api"] == {"address": "https://team.example/api", "origin": "prefect.toml:2:1", "error": ""}
    assert [each["block"] for each in report["secrets"]] == ["token"]
    assert report["profile"]["name"] == "staging"


def test_all_versions(run):
    """`--all-versions` prints one line for each release and name."""
    lines = run("explain", "api.url", "--all-versions", *V).out.splitlines()
    assert len(lines) == len(releases())
    assert "(Prefect 2.20.27): 'https://•••@staging.example/api'" in lines[0]
    assert lines[-1] == "api.url (Prefect 3.9.1): 'https://team.example/api' from prefect.toml:2:1"


def test_versions(run):
    """3 and 2.20 stand for their newest known releases, a newer release follows the newest, and others are refused."""
    assert run("explain", "api.url", "--prefect", "3").out.startswith("Prefect 3.9.1: profile staging of ")
    assert run("explain", "--prefect", "3.99.1").out.startswith("Prefect 3.99.1 (by the rules of 3.9.1): ")
    for option, version in (("--prefect", "4"), ("--prefect-version", "2.19.0"), ("--prefect", "3x")):
        done = run("explain", option, version)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"flowsecrets: Prefect {version} is not supported: use 0.5.0 to 1.4.1, 2.20, 3")
    done = run("explain", *V, "--config", "c.toml")
    assert "--config is for Prefect 0.5 to 1.4" in done.err


def test_env_file(run, write):
    """`--env-file` replaces the environment of the process."""
    done = run(
        "explain", "api.url", *V, "--env-file", write("prod.env", "\nPREFECT_API_URL=https://prod.example/api\n")
    )
    assert "api.url: 'https://prod.example/api'\n  from      env prod.env:2:1 PREFECT_API_URL: " in done.out


def test_documentation(run, write, monkeypatch, tmp_path):
    """The commands of the how-to guide print what it shows, except for fingerprints."""
    page = Path(__file__).parents[2].joinpath("docs", "how-to", "explain-settings.md").read_text("utf-8")
    for name, text in re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        write(name, f"# {name}\n{text}")
    (tmp_path / ".prefect" / "profiles.toml").unlink()
    sessions = re.findall(r"^```console\n\$ (\w+)=(\S+) flowsecrets (.*?)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(sessions) == 2
    for variable, value, command, expected in sessions:
        with monkeypatch.context() as patched:
            patched.setenv(variable, value)
            output = run(*command.split()).out
        hidden = re.compile("#[0-9a-f]{8}")
        assert hidden.sub("#", output).split() == hidden.sub("#", expected).split()
