"""``flowsecrets check`` interpolates values as Docker Compose and Kubernetes do."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.commands.files.interpolation import compose, kubernetes

S = "PREFECT__CONTEXT__SECRETS__"
V = ("--prefect-version", "1.4.1")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("plain", "plain"), ("", ""), ("a$$b", "a$b"), ("$$$$", "$$"), ("$${A}", "${A}")),
        *(("$A", None), ("${A}", None), ("${A:?no}", None), ("${A?}", None), ("a${A}", "aunknown")),
        *(("${A:-0000}", "0000"), ("${A-0000}", "0000"), ("${A:-}", None), ("${A:+0000}", "0000"), ("${A+x}", "x")),
        *(("${A:-${B:-1e5}}", "1e5"), ("${A:-$B}", None), ("x${A:-y}z", "xyz"), ("${A:-a$$b}", "a$b")),
        *(("a${A", None), ("a$5", None), ("$", None), ("${}", None), ("${A.b}", None), ("${A:-x", None)),
    ],
)
def test_compose(text, value):
    """`compose` follows the page "Interpolation": it uses defaults, and rejects dollars without a variable."""
    assert compose(text, {}).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("plain", "plain"), ("a$$b", "a$b"), ("$$(A)", "$(A)"), ("$A", "$A"), ("a$", "a$")),
        *(("$(A)", "x"), ("a$(A)$(A)", "axx"), ("$(C)", "$(C)"), ("$(B)", None), ("a$(B)", "aunknown")),
    ],
)
def test_kubernetes(text, value):
    """`kubernetes` replaces variables that are set above, keeps others, and reads two dollars as one."""
    assert kubernetes(text, {"A": "x", "B": None}).value == value


def check_compose(run, write, entries, name="compose.yaml"):
    pytest.importorskip("yaml")
    lines = "".join(f"      {S}{entry}\n" for entry in entries)
    path = write(name, f"services:\n  agent:\n    image: prefect\n    environment:\n{lines}")
    done = run("check", *V, path)
    return [f"{line.split(':')[1]} {identity}" for line, identity in zip(done.out.splitlines(), done.ids)], done.out


def test_a_compose_file(run, write):
    """Passing on a variable is no finding, defaults are checked, and a name within a text is a warning."""
    entries = [
        "A: ${T}",
        "B: $T",
        "C: ${T:?x}",
        "D: ${PIN:-0000}",
        'E: "P@$w"',
        'F: "$$HOME"',
        "G: 'a$5'",
        "H:",
        "I: a${T}",
    ]
    findings, out = check_compose(run, write, entries)
    assert findings == ["8 FS021", "9 FS054", "10 FS030", "11 FS055"]
    assert "Docker Compose replaces $name" in out
    assert check_compose(run, write, entries, "prod.yml")[0] == findings


def test_other_variables_of_a_compose_file(run, write):
    """Variables outside of Prefect are reported only if Compose rejects them."""
    pytest.importorskip("yaml")
    text = "services:\n  a:\n    build: .\n    environment: {OPTS: 'x$Y', RESTART: yes, BAD: 'a$'}\n"
    assert run("check", *V, write("compose.yaml", text)).ids == ["FS055"]
    assert run("check", *V, write("other.yaml", f"environment:\n  {S}A: 0042\n  {S}B: '$$'\n")).code == 0


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *(("0042", "int"), ("0777", "int"), ("0x1F", "int"), ("1_000", "int"), ("+5", "int"), ("1.10", "float")),
        *(("1e5", "float"), ("yes", "bool"), ("off", "bool"), ("True", "bool"), ("12:30:45", "number in base 60")),
        *(("2020-01-01", "date"), ("2020-01-01T10:00:00Z", "date"), ("[a]", "list"), (".inf", "float")),
        *(("5432", None), ("1.5", None), ("0", None), ("'0042'", None), ("'yes'", None), ("12:99", None)),
    ],
)
def test_types_of_yaml_in_a_compose_file(run, write, value, kind):
    """Unquoted values that Compose changes or rejects are findings."""
    findings, out = check_compose(run, write, [f"A: {value}"])
    assert ("5 FS050" in findings) == (kind is not None)
    assert kind is None or f"a YAML {kind}, which Docker Compose" in out


def test_variables_of_a_container_in_kubernetes(run, write):
    """Variables that are set above are replaced, and two dollars become one before Prefect sees them."""
    pytest.importorskip("yaml")
    entries = [f"{{name: PIN, value: '0000'}}, {{name: {S}A, value: $(PIN)}}, {{name: {S}B, value: 'x$$HOME'}}"]
    entries += [f"{{name: T, valueFrom: {{secretKeyRef: {{name: a, key: b}}}}}}, {{name: {S}C, value: $(T)}}"]
    done = run("check", *V, write("job.yaml", f"env: [{', '.join(entries)}]\n"))
    assert done.ids == ["FS021", "FS030", "FS054"]
    assert "Kubernetes replaces $$ with $" in done.out
