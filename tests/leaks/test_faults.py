"""Errors inside the masking code: no hook raises them, the text is withheld, and the run continues and reports them."""

from __future__ import annotations

import json
import sys

import pytest

from pytest_flowsecrets.leaks.mask.finding_log import Faults
from pytest_flowsecrets.leaks.registry import SecretRegistry

TOKEN = "k9TzWq4mLrV7"
PROJECT = """
import logging, os, sys, warnings
import pytest
TOKEN = "k9TzWq4mLr" + "V7"
pytestmark = pytest.mark.secrets(TOKEN=TOKEN)

@pytest.mark.parametrize("value", [TOKEN])
def test_fails(value, record_property, tmp_path):
    record_property("token", value)
    (tmp_path / "left").write_text(value)
    print(value)
    warnings.warn(value)
    logging.error(value)
    assert value == "other"

def test_passes(capsys, local_secrets):
    with capsys.disabled():
        print("live", TOKEN)

def test_skips(record_testsuite_property):
    record_testsuite_property("token", TOKEN)
    pytest.skip(TOKEN)
"""
# Runs the project once for each masking function, which raises an error. Writes one line of JSON for each run.
DRIVER = """
import contextlib, importlib, io, json, sys
import pytest
from unittest import mock

def broken(*_, **__):
    raise RuntimeError("k9TzWq4mLr" + "V7")

for name in sys.argv[1:]:
    module, _, path = name.partition(":")
    owner = importlib.import_module("pytest_flowsecrets.leaks." + module)
    *owners, last = path.split(".")
    for part in owners:
        owner = getattr(owner, part)
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with mock.patch.object(owner, last, broken), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = pytest.main(["-p", "pytest_flowsecrets.plugin", "-p", "no:randomly", "--capture=sys", "-rA", "-v",
                            "--junit-xml=junit.xml", "--flowsecrets-leaks=fail", "--flowsecrets-leak-report=leaks.sarif",
                            "test_project.py"])
    out.flush()
    written = open("junit.xml").read()
    with open("runs.jsonl", "a") as runs:
        print(json.dumps([name, int(code), out.buffer.getvalue().decode(), written]), file=runs)
"""
FUNCTIONS = [
    "mask.redactor:Redactor.redact",
    "mask.redactor:Redactor.redact_bytes",
    "mask.redactor:Redactor.redact_next",
    "mask.redactor:Redactor.find",
    "mask.redactor:Redactor.update",
    "registry:SecretRegistry.values",
    "secret_sources:EnvironmentSecrets.learn",
    "session:learn_marks",
    "session:allowed_by",
    "mask.node_ids:TestIds.mask",
    "mask.node_ids:TestIds.apart",
    "mask.finding_log:Record.add",
    "mask.finding_log:Record.fail_leaking_test",
    "mask.finding_log:Record.unreported_summary",
    "mask.reports:mask_report",
    "mask.reports:mask_data",
    "mask.reports:mask_warning",
    "mask.descriptors:Descriptors._start",
    "mask.descriptors:_File.read",
    "artifacts:scan_files",
    "mask.written_files:WrittenFiles.__init__",
    "mask.written_files:WrittenFiles.mask",
    "findings:write_report",
    "session:LeakSession._mask_output",
]
# Without these, the plugin does not know what is secret or which files to mask.
LEARNING = {"session:learn_marks", "mask.written_files:WrittenFiles.__init__", "mask.written_files:WrittenFiles.mask"}


def test_no_fault_reaches_pytest(pytester, monkeypatch):
    """Whichever masking function raises an error, the tests keep their outcomes and no value is shown or written."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_project=PROJECT, driver=DRIVER)
    result = pytester.run(sys.executable, "driver.py", *FUNCTIONS, timeout=200)
    assert result.ret == 0
    runs = [json.loads(line) for line in (pytester.path / "runs.jsonl").read_text().splitlines()]
    assert [name for name, *_ in runs] == FUNCTIONS
    for name, code, shown, written in runs:
        wrong = [
            "a value on the terminal" * (TOKEN in shown and name not in LEARNING),
            "a value in JUnit's file" * (TOKEN in written and name not in LEARNING),
            "an internal error" * ("INTERNALERROR" in shown),
            f"exit status {code}" * (code != 1),
            "no note" * ("could not be masked" not in shown),
            "a lost test" * ('tests="3"' not in written),
        ]
        assert (name, [fault for fault in wrong if fault]) == (name, [])


def test_values_that_cannot_be_read():
    """``register`` does not raise an error of a value's class, but passes it to ``on_error``."""
    mine, errors = SecretRegistry(), []
    mine.on_error.append(errors.append)
    mine.listen()
    mine.register("A", type("Odd", (dict,), dict.fromkeys(["items", "values"], lambda _: 1 / 0))())
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert len(mine) == 0


def test_reported_faults():
    """A fault is reported once, with its type, place and count, but without its text. Other exceptions pass through."""
    mine = Faults()
    for _ in range(2):
        with mine:
            raise ValueError(TOKEN)
    assert mine.unreported_lines() == [
        "text withheld because it could not be masked: ValueError in an unknown place: 2"
    ]
    assert mine.unreported_lines() == []
    other = Faults()
    other.merge(mine.pairs())
    assert len(other) == 2
    assert repr(other) == "<Faults 2>"
    with pytest.raises(KeyboardInterrupt), mine:
        raise KeyboardInterrupt
