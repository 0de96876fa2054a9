"""Findings about values: each rule has a text that triggers it and one that does not; suggestions are right."""

from __future__ import annotations

import json

import pytest

from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.value_rules import VALUE_RULES
from pytest_flowsecrets.resolution.dialects import DIALECTS, dialect_for
from pytest_flowsecrets.resolution.layers import Environment, Layer
from pytest_flowsecrets.resolution.loader.interpolate import is_reference
from pytest_flowsecrets.resolution.resolve import resolve

ENVIRON = {"HOME": "/home/x", "V": "$W", "W": "42", "L": "x$L", "T": "true"}


def found_in(text, where="env", version="1.4.1", environ=ENVIRON):
    if where == "env":
        resolution = resolve([], {**environ, "PREFECT__CONTEXT__SECRETS__A": text}, version)
    else:
        resolution = resolve([Layer("user", {"context": {"secrets": {"A": text}}}, "f")], environ, version)
    return [finding for finding in findings(resolution) if finding.id >= "FS020"]


# rule, a text that triggers it, one that does not, where, release
EXAMPLES = [
    ("FS040", "$V", "$W", "env", "1.4.1"),
    ("FS041", "$L", "$T", "env", "1.4.1"),
    ("FS041", "$L", "$T", "toml", "1.4.1"),
    ("FS042", "abc\\", "abc/", "env", "0.13.14"),
    ("FS042", "a\\xzz", "a\\\\xzz", "env", "0.5.5"),
    ("FS043", "b'\\xff'", "b'\\x31'", "env", "1.4.1"),
    ("FS030", "pa$wordx", "pa$$", "env", "1.4.1"),
    ("FS030", "pa$HOME", "pa$5", "toml", "1.4.1"),
    ("FS031", "pa${x}ss", "pa${}ss", "toml", "1.4.1"),
    ("FS031", "${NOWHERE}", "${V}", "toml", "1.4.1"),
    ("FS037", "https://${backend}", "${backend}", "toml", "1.4.1"),
    ("FS037", "a${context.secrets.A}", "a${nowhere}", "toml", "1.4.1"),
    ("FS030", "$NOWHERE", "$V", "toml", "1.4.1"),
    ("FS031", "{'p': 'pa${x}ss'}", "{'p': 'pa{x}ss'}", "env", "1.4.1"),
    ("FS032", "~/x", "a~/x", "toml", "0.10.7"),
    ("FS033", "C:\\new", "C:/new", "env", "0.13.14"),
    ("FS034", "café", "cafe", "env", "0.13.14"),
    ("FS021", "0000", "0001", "env", "1.4.1"),
    ("FS022", "+15551234567", "0015551234567", "env", "1.4.1"),
    ("FS023", "1234567e8", "1234567f8", "toml", "1.4.1"),
    ("FS024", "true", "yes", "toml", "1.4.1"),
    ("FS025", "null", "NULL", "toml", "1.4.1"),
    ("FS025", "None", "none", "env", "1.4.1"),
    ("FS026", "NaN", "Nan", "toml", "1.4.1"),
    ("FS026", "inf", "Inf", "env", "0.6.7"),
    ("FS020", "1.10", "1.10.0", "toml", "1.4.1"),
    ("FS020", "1_000", "1_000_", "env", "0.11.0"),
    ("FS027", '"word"', 'wo"rd', "toml", "1.4.1"),
    ("FS027", "'$5'", "'$V'", "env", "0.11.1"),
    ("FS028", "1,2", "1;2", "env", "1.4.1"),
    ("FS029", '{"a": true}', '{"a": 1}', "env", "1.4.1"),
    ("FS035", "{'a': 1}", '{"a": 1}', "env", "1.4.1"),
    ("FS038", "", "x", "env", "1.4.1"),
    ("FS036", "abc\n", "abc", "env", "1.4.1"),
]


@pytest.mark.parametrize(("rule", "bad", "good", "where", "version"), EXAMPLES)
def test_examples(rule, bad, good, where, version):
    """A rule speaks up for its own case and not for a harmless neighbour."""
    assert rule in [finding.id for finding in found_in(bad, where, version)]
    assert rule not in [finding.id for finding in found_in(good, where, version)]


def test_every_rule_has_an_example():
    """Every rule about values has an example, and ids are unique; FS062 is about names (``test_check_owners.py``)."""
    ids = [rule.id for rule in VALUE_RULES]
    assert {row[0] for row in EXAMPLES} == set(ids) - {"FS062"}
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("rule", "bad", "good", "where", "version"), EXAMPLES)
def test_spelling_gives_the_text(rule, bad, good, where, version):
    """What is suggested resolves to exactly the text that was written, in that release, as a string."""
    for finding in found_in(bad, where, version):
        if finding.spelling is None:
            continue
        given = {**ENVIRON, "wordx": "set", "x": "set"}
        if where == "env":
            resolution = resolve([], {**given, "PREFECT__CONTEXT__SECRETS__A": finding.spelling}, version)
        else:
            resolution = resolve([Layer("user", {"context": {"secrets": {"A": finding.spelling}}})], given, version)
        name = "a" if dialect_for(version).env_names == "lower" and where == "env" else "A"
        value = resolution.get(name).value
        assert (type(value), value) == (str, bad)


HARD = [
    '"word"',
    "it's",
    "",
    '""',
    "5\n",
    "pa$HOME",
    "pa${x}ss",
    "~/x",
    "a\\nb\\",
    "é",
    "\\u0024",
    "1e5",
    "'null'",
    "{'a': 1}",
]


@pytest.mark.parametrize("where", ["env", "toml"])
@pytest.mark.parametrize("text", [*HARD, '{"k": "a\\nb"}', '{"k": "$HOME", "é": true}', '["${x}", 1]'])
def test_who_follows_a_suggestion_has_peace(text, where):
    """What is suggested gives what was meant in its release, and no further finding, except that a raw text is no dict."""
    for row in DIALECTS:
        for finding in found_in(text, where, row.id):
            if finding.spelling is not None:
                again = found_in(finding.spelling, where, row.id)
                assert [other.id for other in again if other.severity != "note"] == [], (row.id, finding.spelling)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *(("$TOKEN", []), ("${TOKEN}", []), ("${context.secrets.B}", []), ("${a.${TOKEN}.b}", []), ("$HOME", [])),
        *(("https://${TOKEN}@host", ["FS037"]), ("pa${a.b}ss", ["FS031"]), ("pa$TOKEN", ["FS030"])),
    ],
)
def test_references_in_a_file_of_which_the_environment_is_not_known(text, found):
    """A text that is nothing but a reference is meant so; one within a text may be, where it names a variable."""
    layer = Layer("user", {"context": {"secrets": {"A": text}}}, "f")
    resolution = resolve([layer], Environment({"HOME": "/home/x"}, complete=False), "1.4.1")
    assert [finding.id for finding in findings(resolution)] == found


def test_a_dollar_is_written_as_an_escape():
    """A JSON string alone does not help against ``$``: that its escape does is said, also where no such variable is set."""
    (finding,) = found_in("pa$wordx", "toml")
    assert finding.spelling == '"pa\\u0024wordx"'
    assert "a JSON string with \\u0024 for each $" in finding.advice
    (finding,) = found_in("pa${x}ss", "toml")
    assert finding.spelling == "'\"pa\\\\u0024{x}ss\"'"


@pytest.mark.parametrize(
    ("text", "version", "spelling"),
    [
        ('{"key": "-----BEGIN\\nabc"}', "0.13.14", '{"key": "-----BEGIN\\\\nabc"}'),
        ('{"h": "$HOME"}', "0.13.14", '{"h": "\\\\u0024HOME"}'),
        ('{"h": "$HOME"}', "1.4.1", '{"h": "\\u0024HOME"}'),
        ('{"h": "é"}', "0.10.7", '{"h": "\\xe9"}'),
    ],
)
def test_json_stays_a_table(text, version, spelling):
    """Who writes JSON means a table, as a service account's key is, and gets a spelling that gives it."""
    finding = found_in(text, "env", version)[0]
    assert finding.spelling == spelling
    resolution = resolve([], {**ENVIRON, "PREFECT__CONTEXT__SECRETS__A": spelling}, version)
    assert resolution.get("A").value == json.loads(text)


@pytest.mark.parametrize("text", ["C:\\new\\\\test", "\\\\server\\share", "line\\nline", "\\x41", '["\\\\\\\\\\\\\'"]'])
def test_single_backslashes_are_told(text):
    """Not only those that are doubled are there: some may not be meant."""
    assert [finding.id for finding in found_in(text, "env", "0.13.14")] == ["FS033"]


def test_no_spelling():
    """Where nothing helps, a finding says so: 0.5.0 decodes no JSON."""
    (finding,) = found_in("123", "env", "0.5.0")
    assert finding.spelling is None
    assert "no other spelling" in finding.advice
    (finding,) = found_in('{"h": "$HOME"}', "toml", "0.5.0")
    assert finding.spelling is None


def test_versions():
    """The releases in which it happens are told as ranges, by trying each."""
    (finding,) = found_in("0000", "toml", "1.4.1")
    assert finding.versions == "0.11.2-1.4.1"
    (finding,) = found_in("café", "env", "0.6.7")
    assert finding.versions == "0.5.0-0.13.14"


hypothesis = pytest.importorskip("hypothesis")
from pytest_flowsecrets.strategies import env_texts  # noqa: E402

PLAIN = hypothesis.strategies.from_regex(r"[G-Zg-z][A-Za-z0-9_.\-]{7,40}", fullmatch=True).filter(
    lambda text: text.lower() != "infinity"
)


@pytest.mark.slow
@hypothesis.given(text=PLAIN)
def test_silent_on_plain_tokens(text):
    """No false alarm over plain tokens, in any dialect, in files and in variables."""
    for row in DIALECTS:
        assert found_in(text, "toml", row.id) == []
        assert found_in(text, "env", row.id, {}) == []


@pytest.mark.slow
@hypothesis.given(text=env_texts(), where=hypothesis.strategies.sampled_from(["env", "toml"]))
def test_silence_means_the_text_itself(text, where):
    """Without a finding the flow gets the text itself, what JSON says it is, or what nothing plainer gives.

    A text that is nothing but a reference is meant to be replaced.
    """
    for version in ("0.5.5", "0.10.7", "0.13.14", "1.4.1"):
        resolution = resolved(text, where, version)
        if found_in(text, where, version) or resolution.failure is not None or is_reference(text):
            continue
        value = resolution.get(NAMES[version, where]).value
        if value == text or (isinstance(value, str) and needs_help(value, where, version)):
            continue
        decoded = text.encode().decode("unicode_escape") if where == "env" and version != "1.4.1" else text
        assert value == json.loads(decoded)


NAMES = {(row, where): "A" for row in ("0.5.5", "0.10.7", "0.13.14", "1.4.1") for where in ("env", "toml")}
NAMES["0.5.5", "env"] = "a"


def resolved(text, where, version):
    given = {**ENVIRON, "PREFECT__CONTEXT__SECRETS__A": text} if where == "env" else ENVIRON
    layers = [Layer("user", {"context": {"secrets": {"A": text}}})] if where == "toml" else []
    return resolve(layers, given, version)


def needs_help(text, where, version):
    """Whether a text as it stands would come out as something else."""
    again = resolved(text, where, version).get(NAMES[version, where])
    return again.value != text or found_in(text, where, version)


@pytest.mark.slow
@hypothesis.given(text=env_texts(), where=hypothesis.strategies.sampled_from(["env", "toml"]))
def test_messages_hide_values(text, where):
    """No message or advice holds the value."""
    secret = "hunter2value"
    for version in ("0.6.6", "0.13.14", "1.4.1"):
        for finding in found_in(secret + text, where, version) + found_in(text + secret, where, version):
            assert secret not in repr(finding) + str(finding)
