"""The parts of the leak detector as objects: registry, streams, reports, items and findings."""

from __future__ import annotations

import io
import os
import sys
import threading
import types
import warnings
from pathlib import Path

import pytest

from pytest_flowsecrets.findings import reporters, terminal
from pytest_flowsecrets.leaks import artifacts, findings, secret_sources
from pytest_flowsecrets.leaks.mask import masked_copies, masked_stream, node_ids, reports
from pytest_flowsecrets.leaks.mask.masker import WITHHELD, CleanTexts
from pytest_flowsecrets.leaks.mask.node_ids import MaskedName, RealId
from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.registry import SecretRegistry, texts_of
from pytest_flowsecrets.leaks.secret_sources import EnvironmentSecrets
from pytest_flowsecrets.leaks.session import LeakSession

TOKEN = "ghp_abcDEF0123456789xyzQRS"
HERE = Path(__file__)


def test_listen_and_forget():
    """The registry stores values only between the first ``listen`` and the last ``forget``."""
    mine = SecretRegistry()
    mine.register("A", "some-value")
    assert len(mine) == 0
    mine.listen()
    mine.listen()
    mine.register("A", "some-value")
    mine.register("B", "some-value")
    mine.register("C", "ab", explicit=True)
    assert mine.values() == {"some-value": ("A", "B"), "ab": ("C",)}
    assert repr(mine) == "<SecretRegistry of 2 values>"
    mine.forget()
    assert len(mine) == 2
    mine.forget()
    assert len(mine) == 0
    assert not mine.has_short


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (b"by\xfftes", ["by\udcfftes"]),
        (1234567, ["1234567"]),
        (True, []),
        (None, []),
        ({"a": ["x-leaf", 5], "b": {"c": ("y-leaf",)}}, ["x-leaf", "y-leaf"]),
        ({"type": "object", "password": "x-leaf"}, ["x-leaf"]),
        ('{"a": "inside"}', ['{"a": "inside"}']),
    ],
)
def test_texts_of_a_value(value, texts):
    """``texts_of`` yields a value as text, or the sensitive texts in data. Texts inside a text are not split here."""
    assert list(texts_of(value)) == texts


def test_what_changed_since():
    """``values`` returns what changed since a version. No two states share a version, even after ``forget``."""
    mine = SecretRegistry()
    mine.listen()
    versions = [mine.version]
    for name, value in (("A", "first-value"), ("B", "second-value"), ("C", "first-value"), ("C", "first-value")):
        mine.register(name, value)
        versions.append(mine.version)
    assert len(set(versions)) == len(versions) - 1, "the last registration changes nothing"
    assert mine.values() == {"first-value": ("A", "C"), "second-value": ("B",)}
    assert mine.values(versions[1]) == {"second-value": ("B",), "first-value": ("A", "C")}
    assert mine.values(versions[2]) == {"first-value": ("A", "C")}
    assert mine.values(versions[3]) == {}
    mine.forget()
    assert mine.version not in versions
    mine.listen()
    mine.register("D", "third-value")
    assert mine.version not in versions
    assert mine.values(versions[3]) == {"third-value": ("D",)}


@pytest.fixture
def variables(monkeypatch):
    """The secrets in an environment without variables, and the registry to which they go."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    mine = SecretRegistry()
    mine.listen()
    monkeypatch.setattr("pytest_flowsecrets.leaks.secret_sources.registry", mine)
    return EnvironmentSecrets(["*_TOKEN"]), mine


def test_variables(variables, monkeypatch):
    """Prefect's secrets and matching variables are registered, also after a change; pytest's own variable is not."""
    secrets, mine = variables
    prefix = "PREFECT__CONTEXT__SECRETS__"
    for name, text in ((f"{prefix}A", "first-value"), ("MY_TOKEN", "second-value"), ("MINE", "third-value")):
        monkeypatch.setenv(name, text)
    secrets.learn()
    assert mine.values() == {"first-value": ("A",), "second-value": ("MY_TOKEN",)}
    before = mine.version
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "now")
    secrets.learn()
    assert mine.version == before
    monkeypatch.setenv("MY_TOKEN", "fourth-value")
    monkeypatch.delenv(f"{prefix}A")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    secrets.learn()
    assert mine.values(before) == {"fourth-value": ("MY_TOKEN",)}
    monkeypatch.setenv(f"{prefix.lower()}b", "fifth-value")
    secrets.learn()
    assert mine.values()["fifth-value"] == ("b",)


def test_tokens_of_a_configuration():
    """``register_settings`` registers tokens in the cloud section and in its tables."""
    mine = SecretRegistry()
    mine.listen()
    mine.register_settings(
        {
            "context": {"secrets": {"A": "value-of-a"}},
            "cloud": {"api": "http://x.example", "agent": {"auth_token": "agents-token"}},
        }
    )
    assert mine.values() == {"value-of-a": ("A",), "agents-token": ("cloud auth_token",)}
    mine.register_settings({"context": 1, "cloud": 2})


def test_a_truncated_value_ends_between_characters():
    """The mask of a truncated value covers no part of the next or previous character."""
    mine = Redactor({"abcdefg1é and more of it": ("A",), "the beginning é12345678": ("B",)})
    assert mine.redact("abcdefg1ê") == "[secret A]ê"
    assert mine.redact("\u0129" + "12345678") == "\u0129[secret B]"


@pytest.mark.parametrize("text", ["one two\n  three four", "one two \n three four", "one two\\\\nthree four"])
def test_breaks_that_replace_blanks_and_escaped_ones(text):
    """A value is masked as a whole if a line break replaces a blank or is escaped."""
    assert Redactor({"one two three four": ("A",)}).redact(f"<{text}>") == "<[secret A]>"


def test_streams():
    """A masked stream masks text, lines and bytes, and delegates everything else."""
    below = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    mine = masked_stream.MaskedStream(below, lambda text, _: (text.upper(), ""), lambda: None)
    assert mine.write("ab") == 2
    mine.writelines(["c", "d"])
    mine.flush()
    mine.buffer.write(b"ef")
    mine.buffer.writelines([])
    assert below.buffer.getvalue() == b"ABCDEF"
    assert mine.encoding == "utf-8"
    assert repr(mine).startswith("<masked <_io")
    with pytest.raises(AttributeError):
        masked_stream.MaskedStream.__new__(masked_stream.MaskedStream).anything


def test_streams_are_streams_of_io():
    """A masked stream behaves like a stream of ``io``. Deleting it does not close the original."""
    below = io.TextIOWrapper(io.BytesIO(b"one\ntwo\n"), encoding="utf-8", errors="replace")
    mine = masked_stream.MaskedStream(below, lambda text, _: (text, ""), lambda: None)
    assert isinstance(mine, io.TextIOBase)
    assert isinstance(mine.buffer, io.BufferedIOBase)
    assert list(mine) == ["one\n", "two\n"]
    assert (mine.encoding, mine.errors, mine.closed, mine.isatty()) == ("utf-8", "replace", False, False)
    assert mine.readable()
    assert mine.writable()
    mine.seek(0)
    assert mine.readline() == next(iter(["one\n"]))
    assert next(mine) == "two\n"
    mine.reconfigure(line_buffering=True)
    mine.buffer.flush()
    del mine
    assert not below.closed
    with masked_stream.MaskedStream(below, lambda text, _: (text, ""), lambda: None) as mine:
        mine.write("three")
    assert below.closed
    assert mine.closed


def test_replaced_streams(monkeypatch):
    """Undoing the wrapping leaves a stream that somebody else has replaced since."""
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", first)
    undo = masked_stream.wrap_standard_streams(lambda text, _: (text, ""), lambda: None)
    monkeypatch.setattr(sys, "stdout", second)
    undo()
    assert sys.stdout is second


class Broken(LeakSession):
    """A session whose redactor always raises an error."""

    redactor = types.SimpleNamespace(redact=[].pop, redact_next=[].pop, redact_bytes=[].pop)


def test_a_fault_while_masking():
    """If masking raises an error, the text is withheld and no error is raised."""
    run = Broken("mask")
    assert run.clean_live("some text", "") == (WITHHELD, "")
    assert run.clean_live(b"some text", "") == (WITHHELD.encode(), "")
    assert run.clean("some text", "failure") == WITHHELD


class Knowing(LeakSession):
    """A session with one secret."""

    redactor = Redactor({TOKEN: ("A",)})


@pytest.mark.parametrize("size", [1, 5, 12])
def test_bytes_of_a_stream(size):
    """A value in bytes is masked piece by piece. Other bytes stay unchanged, and other types raise TypeError."""
    below = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    mine = masked_stream.MaskedStream(below, Knowing("mask").clean_live, lambda: None)
    odd = "ä".encode() + bytes(range(256))
    data = odd + TOKEN.encode() + odd
    for start in range(0, len(data), size):
        mine.buffer.write(memoryview(data)[start : start + size])
    mine.buffer.write(bytearray(b"nothing here"))
    written = below.buffer.getvalue()
    assert written.startswith(odd)
    assert written.endswith(odd + b"nothing here")
    assert TOKEN[12:].encode() not in written
    for stream in (mine, mine.buffer):
        with pytest.raises(TypeError):
            stream.write(5)


def test_many_clean_texts():
    """`CleanTexts` keeps the newest texts and does not grow without limit."""
    texts = CleanTexts()
    long = [character * 3000 for character in "abcdefgh"]
    for text in [*map(str, range(4100)), *long]:
        texts.add(text)
    assert len(texts) < 2100
    assert "4099" in texts
    assert long[-1] in texts
    assert long[0] not in texts


def test_without_registered_secrets(monkeypatch):
    """Without registered secrets, objects, warnings, requests and folders are not accessed."""
    monkeypatch.setattr("pytest_flowsecrets.leaks.mask.masker.registry", SecretRegistry())
    run = LeakSession("mask")
    assert run.mask_object(object(), "failure") is run.mask_warning(object(), "") is run.scan_requests(print) is None
    assert run.mask_report(object()) is run.scan_home(Path("nowhere")) is None


def test_redacting_a_stream_without_a_list():
    """``redact_next`` works without a list of masked secrets."""
    mine = Redactor({TOKEN: ("A",)})
    shown, rest = mine.redact_next("", TOKEN[:12])
    assert shown == "[secret A]"
    assert mine.redact_next(rest, TOKEN[12:]) == ("[secret A]", "")
    assert mine.mask("A") == mine.mask("A")


def _clean(text, *_):
    return text.replace(TOKEN, "MASK") if TOKEN in text else text


def test_warnings():
    """A masked warning keeps its class if the class takes a text, and keeps an explicit source line."""

    class Odd(UserWarning):
        def __init__(self, one, two):
            super().__init__(one, two)

    class Other(UserWarning):
        def __str__(self):
            return "fixed " + TOKEN

    for category, message, expected in (
        (UserWarning, UserWarning(TOKEN), UserWarning),
        (Odd, Odd(TOKEN, 1), UserWarning),
        (Other, Other(TOKEN), UserWarning),
        (UserWarning, TOKEN, str),
    ):
        recorded = warnings.WarningMessage(message, category, __file__, 1, line="explicit")
        reports.mask_warning(recorded, _clean)
        assert type(recorded.message) is expected
        assert TOKEN not in str(recorded.message)
        assert recorded.line == "explicit"
    here = warnings.WarningMessage(
        "nothing",
        UserWarning,
        __file__,
        next(n for n, line in enumerate(HERE.read_text().splitlines(), 1) if TOKEN in line),
    )
    reports.mask_warning(here, _clean)
    assert "MASK" in here.line
    elsewhere = warnings.WarningMessage("nothing", UserWarning, f"/{TOKEN}.py", 1)
    reports.mask_warning(elsewhere, _clean)
    assert elsewhere.filename == "/MASK.py"


def _literal_in_an_entry_without_an_error(value):
    return value[0], "ghp_abcDEF0123456789xyzQRS"


def _literal_in_source():
    return "ghp_abcDEF0123456789xyzQRS".index("nothing")


def _literal_in_the_message():
    raise ValueError("ghp_abcDEF0123456789xyzQRS")


class _Failing:
    def __getitem__(self, index):
        raise KeyError(index)


@pytest.mark.parametrize("style", ["long", "short"])
@pytest.mark.parametrize("path", ["test_parts.py", "tests/leaks/test_parts.py", "test_other.py"])
@pytest.mark.parametrize(
    ("function", "arguments", "leaks"),
    [
        (_literal_in_source, (), False),
        (_literal_in_an_entry_without_an_error, (_Failing(),), False),
        (_literal_in_the_message, (), True),
    ],
)
def test_literals_in_the_source_of_the_test(style, path, function, arguments, leaks):
    """A literal in the lines of the test's own file is masked, but only its value in an error is a leak."""
    with pytest.raises((KeyError, ValueError)) as info:
        function(*arguments)
    report = types.SimpleNamespace(nodeid=f"{path}::test_it", outcome="failed", longrepr=info.getrepr(style=style))
    places = set()

    def clean(text, place):
        masked = text.replace(TOKEN, "MASK") if TOKEN in text else text
        if masked is not text:
            places.add(place)
        return masked

    assert TOKEN in str(report.longrepr)
    reports.mask_report(report, clean, "withheld")
    assert TOKEN not in str(report.longrepr)
    assert "MASK" in str(report.longrepr)
    assert ("failure" in places) is (leaks or path == "test_other.py")


def test_lines_of_a_native_traceback():
    """Lines of a text are masked together, whether or not they end with line breaks."""
    assert masked_copies.mask_data([f"a {TOKEN}\n", "b\n"], _clean) == ["a MASK\n", "b\n"]
    assert masked_copies.mask_data([f"a {TOKEN}", "b"], _clean) == ["a MASK", "b"]
    lines = ["a", "b"]
    assert masked_copies.mask_data(lines, _clean) is lines


def test_data_that_contains_itself():
    """A mapping that contains itself is masked once."""
    data = {"a": TOKEN}
    data["self"] = data
    assert masked_copies.mask_data(data, _clean)["a"] == "MASK"


class Report:
    outcome, longrepr, sections = "passed", None, ()

    def __init__(self):
        self.nodeid = f"test[{TOKEN}]"


def test_a_report_with_a_plain_node_id():
    """A report of another plugin with a plain ``nodeid`` attribute is masked."""
    report = Report()
    Knowing("mask").mask_report(report)
    assert report.nodeid == "test[[secret A]]"


@pytest.mark.parametrize("attribute", ["_id", "_nodeid", "nodeid"])
def test_node_ids_of_every_pytest(attribute):
    """``set_nodeid`` supports a structure, a private text and a public text."""

    class Structure(str):
        __slots__ = ()
        parse = staticmethod(str)

    owner = types.SimpleNamespace(**{attribute: Structure("old")})
    node_ids.set_nodeid(owner, "new")
    assert str(getattr(owner, attribute)) == "new"


def test_marks_of_a_broken_module():
    """Marks of functions, of the module and of causes are registered. Objects that resemble marks raise no error."""
    mark = types.SimpleNamespace(
        mark=types.SimpleNamespace(name="secrets", args=({"A": "value-a"}, 5), kwargs={"B": "value-b"})
    )
    names = {
        "pytestmark": [mark, object()],
        "other": types.SimpleNamespace(pytestmark=mark),
        "number": 5,
        "__name__": "x",
    }
    try:
        exec("raise ValueError", names)
    except ValueError as error:
        outer = RuntimeError()
        outer.__cause__ = error
        error.__context__ = outer
    from pytest_flowsecrets.leaks.registry import registry

    registry.listen()
    try:
        secret_sources.learn_broken_module(outer)
        assert {("A",), ("B",)} <= set(registry.values().values())
    finally:
        registry.forget()


def test_leaks_are_findings():
    """A leak is a finding that every reporter writes. The former name of its class is deprecated."""
    leak = findings.Leak("A", "raw", "captured stdout", "tests/test_it.py::test_it", "[secret A]", ("A", "B"))
    assert findings.Leak(*leak.as_row()) == leak
    text = terminal.concise(leak)
    assert text.startswith("tests/test_it.py: error: secret-leak Secret A (raw) in captured stdout. Fix: ")
    assert reporters.github(leak).startswith("::error file=tests/test_it.py,title=secret-leak::Secret A (raw)")
    with pytest.warns(DeprecationWarning, match="Finding is deprecated: use Leak"):
        assert findings.Finding is findings.Leak
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        findings.Other


def test_reprs_show_counts_only():
    """The reprs of the record of a run and of its test ids show counts, no name and no value."""
    run = LeakSession("mask")
    assert repr(run.record) == "<Record 0 findings>"
    assert repr(run.ids) == "<TestIds 0 masked>"


def test_masked_names():
    """A masked name equals the real name, too. The real id of a test has the hash of the masked id."""
    name = MaskedName("test_it[secret A]")
    name.real = "test_it[x]"
    assert name == "test_it[x]"
    assert not name != "test_it[x]"  # noqa: SIM202 - the operator is what the test is about
    assert name != "test_it[y]"
    real = RealId.of("test_it[x]", name)
    assert real == "test_it[x]"
    assert real != name
    assert hash(real) == hash(name)


def test_objects_that_cannot_be_masked_are_withheld(monkeypatch):
    """If masking fails, every text of an object is replaced, at any depth, and the fault is recorded."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__TOKEN", TOKEN)
    run = LeakSession("mask")
    run.begin()
    try:
        monkeypatch.setattr(masked_copies, "mask_in_place", lambda *_: 1 / 0)
        with pytest.raises(ValueError, match="ghp_") as caught:
            raise ValueError(TOKEN)
        traceback = caught.getrepr()
        assert TOKEN in str(traceback)
        run.mask_object(traceback, "failure")
        assert TOKEN not in str(traceback)
        assert WITHHELD in str(traceback)
        assert len(run.faults) == 1
        assert run.has_unseen_text(object())  # a report without sections
    finally:
        run.end()


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ({}, {"sections": ["Captured stdout call", "x [secret TOKEN]"]}),
        ({"extras": [], "wasxfail": ""}, {"extras": [], "sections": ["Captured stdout call", "x [secret TOKEN]"]}),
        ({"extras": [TOKEN]}, {"extras": ["[secret TOKEN]"], "sections": ["Captured stdout call", "x [secret TOKEN]"]}),
        ({"user_properties": [("a", TOKEN)]}, {"user_properties": [("a", "[secret TOKEN]")]}),
        ({"nodeid": f"test_it[{TOKEN}]"}, {"nodeid": "test_it[[secret TOKEN]]"}),
        ({"keywords": {TOKEN: 1}}, {"keywords": {"[secret TOKEN]": 1}}),
        ({"sections": [(TOKEN, "x")]}, {"sections": ["[secret TOKEN]", "x"]}),
    ],
)
def test_reports_of_passed_tests(monkeypatch, attributes, shown):
    """Everything in a report is masked, and masking it again changes nothing and finds nothing."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__TOKEN", TOKEN)
    report = types.SimpleNamespace(nodeid="test_it", outcome="passed", longrepr=None, when="call", keywords={})
    vars(report).update({"sections": [("Captured stdout call", f"x {TOKEN}")], "user_properties": [], **attributes})
    run = LeakSession("mask")
    run.begin()
    try:
        for _ in range(2):
            run.mask_report(report)
            masked = {**vars(report), "sections": list(sum(report.sections, ()))}
            assert {name: masked[name] for name in shown} == shown
            assert TOKEN not in str(report)
            (finding,) = {(leak.name, leak.form) for leak in run.findings}
            assert finding == ("TOKEN", "raw")
        assert len(run.faults) == 0
    finally:
        run.end()


def test_findings_without_a_test():
    """In SARIF, a finding without a test has no location."""
    bare = findings.Leak("A", "raw", "live output", "", "")
    module = bare.with_test("test_it.py")
    results = findings.as_sarif([bare, module])["runs"][0]["results"]
    assert "locations" not in results[0]
    assert "logicalLocations" not in results[1]["locations"][0]
    assert findings.Leak("A", "raw", "elsewhere", "", "").advice


def test_a_flow_that_cannot_be_pickled():
    """A flow that cannot be pickled is searched in serialized form only."""

    class Flow:
        def __init__(self):
            self.tasks, self.lock = [], threading.Lock()

        def serialize(self, build):
            return {"a": TOKEN, "build": build}

    assert [place for _, place in artifacts.texts_in(Flow(), "x")] == ["x flow, serialized"]


def test_odd_values():
    """Values with lone surrogates and short values are masked."""
    for value in ("\ud800 and more\udcff", "short1", "ab"):
        mine = Redactor({value: ("A",)})
        assert mine.redact(f"x{value}y") == "x[secret A]y"
