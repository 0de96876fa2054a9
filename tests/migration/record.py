"""Record what flows of the real legacy Prefect get from 100 generated configurations.

Run it with the Python of an environment that holds Prefect 0.6.6, 0.15.13 or 1.4.1::

    python -m tests.migration.record

It adds the results of this release to ``configurations.json``. With ``--new`` it draws the configurations anew first.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

from pytest_flowsecrets.migration.values import same
from pytest_flowsecrets.resolution.layers import type_name
from tests.resolution.conftest import Real

RECORDED = Path(__file__).with_name("configurations.json")
VERSIONS = ("0.6.6", "0.15.13", "1.4.1")
HOME = "/home/someone"
NAMES = ["GITHUB_TOKEN", "port", "Slack", "a-b", "A_B", '"my secret"', "x1", "nested.key", "é", "__"]
VALUES = [  # as they are written in config.toml
    *("'plain'", "'0000'", "'42'", "42", "1.5", "true", "'true'", "'null'", "''", "' 7 '", "'NaN'", "'-Infinity'"),
    *("'\"quoted\"'", "'\"42\"'", "'1e3'", "'1_000'", '\'{"a": 1, "b": [null, true]}\'', "\"{'a': 1}\"", "'[1, 2]'"),
    *("[1, 2]", "['1', 'x']", "{ a = 1, b = 'x' }", "2020-01-02", "2020-01-02T03:04:05", "'$HOME/x'", "'${debug}'"),
    *("'~/key'", "'${cloud.heartbeat_interval}'", "'multi\\nline'", "'é🔑'", "123456789012345678901234567890", "inf"),
    *("'123456789012345678901234567890'", "-0.0", '\'{"$ref": "x"}\'', "'\"\\ud800\"'", "'u\"x\"'", "[]", "'(1, 2)'"),
]
TEXTS = [  # as they are set in variables
    *("plain", "0000", "42", "true", "None", "null", "", "1.50", "'42'", '"42"', '"\\"42\\""', '{"a": 1}', "{'a': 1}"),
    *(
        "[1, '2']",
        "1e5",
        "0x1F",
        "~/x",
        "$HOME",
        "a\\nb",
        "(1, 2)",
        "é",
        "b'x'",
        "NaN",
        "1_000",
        "12345678901234567890",
    ),
]
ENV_NAMES = ["GITHUB_TOKEN", "PORT", "Slack", "A__B", "OTHER", "x1"]


def draw(generator):
    """Return a configuration: the text of ``config.toml`` and the environment."""
    names = generator.sample(NAMES, generator.randint(1, 5))
    lines = [f"{name} = {generator.choice(VALUES)}" for name in names]
    variables = generator.sample(ENV_NAMES, generator.randint(0, 3))
    environ = {f"PREFECT__CONTEXT__SECRETS__{name}": generator.choice(TEXTS) for name in variables}
    return {"toml": "[context.secrets]\n" + "\n".join(lines) + "\n", "environ": {"HOME": HOME, **environ}}


def as_json(value):
    """Return a value of a flow with the types of all its parts, as JSON data."""
    if isinstance(value, dict) or type_name(value) == "DotDict":
        entries = value if isinstance(value, dict) else vars(value)
        kind = "dict" if type(value) is dict else "Config"
        return {"type": kind, "items": [[key, as_json(item)] for key, item in entries.items()]}
    if isinstance(value, (list, tuple)):
        return {"type": type_name(value), "items": [as_json(item) for item in value]}
    if isinstance(value, float):
        return {"type": "float", "repr": repr(value)}
    if isinstance(value, (str, bool, int, type(None))):
        return {"type": type_name(value), "value": value}
    return {"type": type_name(value), "repr": repr(value)}


PLAIN = ("dict", "list", "str", "bool", "int", "NoneType", "float")


def is_plain(recorded):
    """Return whether a recorded value consists of JSON types only."""
    parts = recorded.get("items", [])
    parts = [item for _, item in parts] if recorded["type"] in ("dict", "Config") else parts
    return recorded["type"] in PLAIN and all(map(is_plain, parts))


def is_same(recorded, value):
    """Return whether a value is the recorded one, with the same types."""
    return same(as_json(value), recorded)


def answers(real, configuration):
    """Return what the flow gets for each secret, as recorded data, or the type of the error of the import."""
    try:
        with real.loaded(configuration["toml"], None, configuration["environ"]) as context:
            table = vars(context).get("secrets", {})
            return {name: answer(real, name) for name in (table if isinstance(table, dict) else vars(table))}
    except Exception as error:  # noqa: BLE001
        return {"": {"type": "error", "repr": type(error).__name__}}


def answer(real, name):
    try:
        return as_json(real.secrets.Secret(name).get())
    except Exception as error:  # noqa: BLE001
        return {"type": "error", "repr": type(error).__name__}


def read():
    """Return the recorded configurations, each with its answers by release."""
    return json.loads(RECORDED.read_text("utf-8"))


def main():
    """Record the installed release."""
    generator = random.Random(1122)
    cases = [draw(generator) for _ in range(100)] if "--new" in sys.argv else read()
    with tempfile.TemporaryDirectory() as folder:
        real = Real(Path(folder))
        for case in cases:
            case.setdefault("answers", {})[real.version] = answers(real, case)
    RECORDED.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
