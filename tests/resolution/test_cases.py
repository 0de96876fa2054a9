"""The model agrees with the recorded cases: 359 inputs of the real Prefect, in 16 pairs of Prefect and Python."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from pytest_flowsecrets.resolution.dialects import default_box, dialect_for
from pytest_flowsecrets.resolution.layers import type_name
from pytest_flowsecrets.resolution.reserved_keys import forbidden_names
from pytest_flowsecrets.resolution.resolve import Machine, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

HERE = Path(__file__).parent / "cases"
CASES = json.loads((HERE / "resolution.json").read_text("utf-8"))
BOXES = {key: row["python-box"] for key, row in json.loads((HERE / "forbidden-keys.json").read_text("utf-8")).items()}
HOME, TMP, ROOT = "<HOME>", "<TMP>", "<ROOT_HOME>"


def shown(value):
    """Return a value in the notation of the cases: [type name, payload]."""
    if isinstance(value, dict):
        return [type_name(value), {str(key): shown(item) for key, item in value.items()}]
    if isinstance(value, (list, tuple)):
        return [type_name(value), [shown(item) for item in value]]
    if isinstance(value, (bytes, dt.date, dt.time)):
        return [type_name(value), repr(value)]
    return [type_name(value), str(value)]


def answer(outcome):
    if outcome.kind == "error":
        return {"error": outcome.error.type, "message": outcome.error.message}
    assert outcome.kind == "value", outcome
    return shown(outcome.value)


def files_of(case, environ):
    """Return the layers that Prefect finds through the variables for paths."""
    disk = {f"{TMP}/config.toml": case.get("toml"), f"{TMP}/backend.toml": case.get("backend_toml")}
    disk[f"{HOME}/.prefect/config.toml"] = case.get("home_toml")
    disk[f"{HOME}/.prefect/backend.toml"] = case.get("home_backend_toml")
    disk[f"{HOME}/extra.toml"] = case.get("extra_toml")
    paths = {
        "user": environ.get("PREFECT__USER_CONFIG_PATH", f"{HOME}/.prefect/config.toml"),
        "backend": environ.get("PREFECT__BACKEND_CONFIG_PATH", f"{HOME}/.prefect/backend.toml"),
    }
    if "toml_hex" in case:
        disk[f"{TMP}/config.toml"] = bytes.fromhex(case["toml_hex"])
    for kind, path in paths.items():
        text = disk.get(path.replace("~/", f"{HOME}/").replace("$HOME", HOME))
        if text is not None:
            yield read_layer(text, kind, path)


def environ_of(case):
    environ = {"PATH": "/usr/bin", "HOME": HOME, "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": str(case.get("hashseed", 0))}
    if case.get("toml") is not None or "toml_hex" in case:
        environ["PREFECT__USER_CONFIG_PATH"] = f"{TMP}/config.toml"
    if case.get("backend_toml") is not None:
        environ["PREFECT__BACKEND_CONFIG_PATH"] = f"{TMP}/backend.toml"
    environ.update(case["env"])
    return environ


def resolved(case, pair):
    version, python = pair.split("-py")
    machine = Machine(
        home=HOME,
        users={"root": ROOT},
        python=tuple(int(part) for part in python.split(".")),
        box="" if BOXES[pair] == "?" else BOXES[pair],
    )
    environ = environ_of(case)
    return resolve(files_of(case, environ), environ, dialect_for(version), machine=machine)


def config_at(resolution, path):
    node = resolution.config
    for part in path.split("."):
        if part not in node:
            kind = "BoxKeyError" if resolution.dialect.box else "KeyError"
            return {"error": kind, "message": f"\"'{part}'\"" if resolution.dialect.box else f"'{part}'"}
        node = node[part]
    return shown(node)


def model_of(resolution, expected):
    """Return the model's result for a recorded question."""
    if resolution.failure is not None:
        return {"import": {"error": resolution.failure.type, "message": resolution.failure.message}}
    actual = {"get": {name: answer(resolution.get(name)) for name in expected.get("get", ())}}
    for key in expected:
        if key.startswith("config."):
            value = config_at(resolution, key[len("config.") :])
            actual[key] = "absent" if key == "config.context.secrets" and "error" in value else value
    return actual


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES if "cycle" not in case["id"]])
def test_recorded(case):
    """The model gives the recorded table, values and errors with type and message."""
    for entry in case["results"]:
        for pair in entry["versions"]:
            assert model_of(resolved(case, pair), entry["result"]) == entry["result"], pair


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES if "cycle" in case["id"]])
def test_recorded_circle(case):
    """The model marks circular references, and gives both results that depend on PYTHONHASHSEED."""
    for entry in case["results"]:
        for pair in entry["versions"]:
            resolution = resolved(case, pair)
            for name, (_, recorded) in entry["result"]["get"].items():
                possible = {resolution.get(name).value, resolution.hash_order_dependent["context", "secrets", name]}
                assert recorded in possible, pair


@pytest.mark.parametrize("pair", sorted(BOXES))
def test_forbidden(pair):
    """The reserved names are the attributes of Config in the installed packages."""
    version, python = pair.split("-py")
    numbers = tuple(int(part) for part in python.split("."))
    dialect, box = dialect_for(version), "" if BOXES[pair] == "?" else BOXES[pair]
    recorded = json.loads((HERE / "forbidden-keys.json").read_text("utf-8"))[pair]["forbidden"]
    expected = recorded if dialect.forbids_names else []
    assert sorted(forbidden_names(dialect, numbers, box)) == sorted(expected)
    assert default_box(dialect, numbers) == box
