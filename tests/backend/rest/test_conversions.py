"""What the API does with numbers and booleans that are sent as text, and with numbers that no column holds."""

from __future__ import annotations

import pytest

HUGE = 10**400


def test_texts_become_numbers(ask):
    """A limit, an offset and a level may be text, in rows and in filters."""
    for name in ("a", "b", "c"):
        ask.post("/flows/", name=name)
    rows = ask.post("/flows/filter", limit="1", offset="1.0", sort="NAME_ASC")
    assert [row["name"] for row in rows] == ["b"]
    entry = {"name": "n", "level": "20", "message": "m", "timestamp": "2020-01-01T00:00:00Z"}
    assert ask("POST", "/logs/", [entry]).status == 201
    levels = [
        [row["level"] for row in ask.post("/logs/filter", logs={"level": {"ge_": level}})] for level in ("20", 21)
    ]
    assert levels == [[20], []]


@pytest.mark.parametrize(("force", "status"), [("false", "ABORT"), ("0", "ABORT"), ("true", "ACCEPT"), (1, "ACCEPT")])
def test_texts_become_booleans(ask, force, status):
    """The text ``false`` is false."""
    run = ask.flow_run("PENDING")
    assert ask.set_state(run, "PENDING", force=force)["status"] == status


@pytest.mark.parametrize("value", ["5", 5, 1.5, True, "true", ["5"], {"a": "5"}], ids=repr)
def test_values_of_any_type_are_kept(ask, value):
    """Where several types are allowed, a value keeps its own."""
    row = ask.post("/variables/", name="v", value=value)
    assert (row["value"], type(row["value"])) == (value, type(value))
    run = ask.post("/flow_runs/", flow_id=ask.post("/flows/", name="f")["id"], parameters={"x": value})
    assert (run["parameters"], type(run["parameters"]["x"])) == ({"x": value}, type(value))


@pytest.mark.parametrize(
    "number", ["nan", "inf", "-inf", "1e400", HUGE, float("inf"), "1 2", ""], ids=lambda n: str(n)[:8]
)
@pytest.mark.parametrize(
    ("path", "field"), [("/flows/filter", "limit"), ("/v2/concurrency_limits/", "slot_decay_per_second")]
)
def test_numbers_must_be_finite(ask, path, field, number):
    """A number that is not finite is not valid; the answer names its field."""
    answer = ask("POST", path, {"name": "n", "limit": 1, field: number} if "limits" in path else {field: number})
    assert answer.status == 422
    assert [each["loc"] for each in answer.body["exception_detail"]] == [["body", field]]
