"""The model of settings gives the recorded results of each Prefect 2.20 and 3, without Prefect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_flowsecrets.resolution.settings.resolve import COMPUTED
from tests.prefect3.settings_cases import modeled, plain

RECORDED = json.loads(Path(__file__).with_name("cases").joinpath("settings.json").read_text("utf-8"))
ROOT = "/root-of-case"
API = "http://{}.example/api"


@pytest.mark.parametrize("version", RECORDED)
def test_recorded_cases(version):
    """The model gives the recorded values, and reports a problem exactly where Prefect failed."""
    compared = 0
    for case in json.loads(json.dumps(RECORDED[version]).replace("{root}", ROOT)):
        resolution = modeled(version, case["environ"], case["files"], ROOT)
        assert bool(resolution.problems) == ("error" in case["answer"]), case
        for path, value in case["answer"].get("values", {}).items():
            result = resolution.results[path]
            if (
                result.value.is_exact
                and path not in COMPUTED
                and not (result.setting.is_computed and not result.computed)
            ):
                assert plain(result.value.value) == value, (path, case)
                compared += 1
    assert compared > 10


def resolve(version, environ=(), **files):
    """Resolve settings. The names of files have ``__`` in place of dots."""
    names = {"env": "work/.env", "prefect": "work/prefect.toml", "pyproject": "work/pyproject.toml"}
    texts = {names.get(name, "home/.prefect/profiles.toml"): text for name, text in files.items()}
    return modeled(version, dict(environ), texts, ROOT)


PROFILES = 'active = "a"\n[profiles.a]\nPREFECT_API_URL = "http://profile.example/api"\n'
ALL = {
    "env": f"PREFECT_API_URL={API.format('dotenv')}\n",
    "prefect": f'[api]\nurl = "{API.format("prefect")}"\n',
    "pyproject": f'[tool.prefect.api]\nurl = "{API.format("pyproject")}"\n',
    "profiles": PROFILES,
}


def test_order():
    """Each source overrides the next ones, and all of them are listed with their places."""
    left, expected = dict(ALL), []
    result = resolve("3.9.1", {"PREFECT_API_URL": "e"}, **ALL).results["api.url"]
    places = [str(each.origin) for each in result.candidates]
    assert places == [
        "PREFECT_API_URL",
        ".env:1:1 PREFECT_API_URL",
        "prefect.toml:2:1",
        "pyproject.toml:2:1",
        f"{ROOT}/home/.prefect/profiles.toml:3:1",
    ]
    for name in ALL:
        expected.append(resolve("3.9.1", **left).results["api.url"].value.value.partition(".")[0])
        del left[name]
    assert expected == ["http://dotenv", "http://prefect", "http://pyproject", "http://profile"]
    assert resolve("3.9.1").results["api.url"].value.value is None


def test_releases():
    """Prefect 2.20 reads profiles only, and Prefect 3.0 no TOML files of the working directory."""
    assert [each.origin.kind for each in resolve("2.20.27", **ALL).results["PREFECT_API_URL"].candidates] == ["profile"]
    assert [each.origin.kind for each in resolve("3.0.11", **ALL).results["api.url"].candidates] == [
        "dotenv",
        "profile",
    ]


def test_empty_text_is_a_value():
    """An empty variable hides the other sources."""
    result = resolve("3.9.1", {"PREFECT_API_URL": ""}, **ALL).results["api.url"]
    assert (result.value.value, len(result.candidates)) == ("", 5)


def test_quirks_of_names():
    """Old names give way to new ones, and profiles and `.env` outrank variables in Prefect 3.0 as the module says."""
    old, new = "PREFECT_LOGGING_SERVER_LEVEL", "PREFECT_SERVER_LOGGING_LEVEL"

    def level(version, environ=(), **files):
        return resolve(version, environ, **files).results["server.logging_level"].value.value

    profiles = f'active = "a"\n[profiles.a]\n{new} = "CRITICAL"\n'
    assert level("3.9.1", {old: "INFO", new: "ERROR"}) == "ERROR"
    assert level("3.9.1", {old.lower(): "INFO"}, env=f"{new}=ERROR\n") == "INFO"
    assert level("3.0.11", {old: "INFO"}, env=f"{new}=ERROR\n") == "ERROR"
    assert level("3.9.1", {new: "INFO"}, profiles=profiles) == "INFO"
    assert level("3.0.11", {new: "INFO"}, profiles=profiles) == "CRITICAL"
    assert level("3.0.11", env="LOGGING_LEVEL=DEBUG\n") == "DEBUG"
    assert level("3.1.15", env="LOGGING_LEVEL=DEBUG\n") == "WARNING"


def test_lower_case_in_2():
    """In Prefect 2.20, a profile outranks a variable whose name is in lower case."""
    results = [
        resolve("2.20.27", {name: "e"}, **ALL).results["PREFECT_API_URL"]
        for name in ("PREFECT_API_URL", "prefect_api_url")
    ]
    assert [each.value.value for each in results] == ["e", "http://profile.example/api"]


def test_problems_have_places():
    """A broken file and a value of another type are reported with the place and without the value."""
    files = {"env": "\nPREFECT_API_REQUEST_TIMEOUT=hunter2\n", "prefect": "[api]\nurl = hunter2\n"}
    problems = [tuple(each)[:2] for each in resolve("3.9.1", **files).problems]
    assert [place for place, _ in problems] == ["prefect.toml:2:7", ".env:2:1 PREFECT_API_REQUEST_TIMEOUT"]
    assert "hunter2" not in str(problems)
    broken = resolve("3.9.1", profiles="[profiles.a]\nPREFECT_API_KEY = hunter2\n").problems
    assert [each.place for each in broken] == [f"{ROOT}/home/.prefect/profiles.toml:2:19"]


def test_ignored_names():
    """Names that no setting has are listed: misspelled variables, keys and settings of a profile."""
    files = {
        "env": "PREFECT_API_URI=x\nOTHER=x\n",
        "prefect": "[api]\nuri = 1\n[apis]\nurl = 1\n",
        "profiles": 'active = "a"\n[profiles.a]\nprefect_api_url = "x"\n',
    }
    environ = {"PREFECT_PROFILE": "a", "PREFECT_LOGGING_LOGGERS_X_LEVEL": "x", "PREFECT_API_KEYS": "x"}
    assert [".".join(each.key[-2:]) or each.place for each in resolve("3.9.1", environ, **files).ignored] == [
        "PREFECT_API_KEYS",
        "PREFECT_API_URI",
        "a.prefect_api_url",
        "api.uri",
        "apis",
    ]


def test_repeated_names_in_dotenv():
    """Of the spellings of a name, the one counts that appears last for the first time."""
    env = "PREFECT_API_URL=1\nprefect_api_url=2\nPREFECT_API_URL=3\n"
    result = resolve("3.9.1", env=env).results["api.url"]
    assert [each.written for each in result.candidates] == ["2", "3", "1"]


def test_interpolation():
    """References in `.env` see the environment first and earlier lines of the file last."""
    env = "HOST=file\nPREFECT_API_URL=http://${HOST}.${NAME:-none}/api\n"
    assert resolve("3.9.1", {"HOST": "variable"}, env=env).results["api.url"].value.value == "http://file.none/api"
