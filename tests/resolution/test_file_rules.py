"""Rules about the text of a configuration file."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.findings.config_rules import file_findings


@pytest.mark.parametrize(
    ("source", "rule", "place"),
    [
        (b"a = b\n", "FS001", "f:1:5"),
        (b"x = 1\na = '\xe9'\n", "FS001", "f:2:6"),
        (b"\xef\xbb\xbfa = 1\n", "FS003", "f:1:1"),
        (b"\xef\xbb\xbf[a]\n", "FS003", "f:1:1"),
        (b"a = 1\na = 2\n", "FS004", "f:2:6"),
        (b"[a]\n[a]\n", "FS004", "f:2:3"),
        (b"a = {b = 1, b = 2}\n", "FS004", "f:1:18"),
        (b"a = [1, 'x']\n", "FS002", "f:1:1"),
        (b'b = "\\"\\""\n', "FS002", "f:1:1"),
        ("é = 1\n".encode(), "FS002", "f:1:1"),
    ],
)
def test_faults(source, rule, place):
    """Each fault has its rule and its position."""
    results = file_findings(source, "f")
    assert (results[0].id, str(results[0].origin)) == (rule, place)


@pytest.mark.parametrize(
    ("source", "severity", "name", "message"),
    [
        (
            b'[context.secrets]\nb = "\\"\\""',
            "warning",
            "context.secrets.b",
            "reads a different value for 'context.secrets.b'",
        ),
        (b'[context]\n"a\\u0062" = 1', "error", "context.ab", "does not read the key 'context.ab'"),
        (b"[context.secrets]\nURL=hunter2=1", "error", "URL", "'URL' does not exist"),
        (b"[context.secrets.db]\nURL=hunter2=1", "error", "db.URL", "'URL' does not exist"),
        (b"[cloud.x]\nURL=hunter2=1", "error", "cloud.x.URL=••• (line 2)", "'URL' does not exist"),
    ],
)
def test_files_that_prefect_reads_differently(source, severity, name, message):
    """A key that Prefect misses is an error, another value a warning, and the name is that of the secret or the key."""
    (finding,) = file_findings(source, "f")
    assert (finding.id, finding.severity, finding.name, finding.origin.line) == ("FS002", severity, name, 2)
    assert finding.message.endswith(message)


def test_no_fault():
    """An ordinary file has no finding."""
    assert file_findings(b"[context.secrets]\r\nA = 'x'\r\n", "f") == []


def test_no_value():
    """No message contains text of the file."""
    for source in (b"A = hunter2\n", b"A = 'hunter2\n", b"A = 'hunter2' hunter2\n", b"A = [hunter2]"):
        assert "hunter2" not in repr(file_findings(source, "f"))
