"""Rules about values: each has a text that triggers it and one that does not, and its suggestions work."""

from __future__ import annotations

import json

import pytest

from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.quoting import Spelling, find_spelling
from pytest_flowsecrets.findings.readings import readings
from pytest_flowsecrets.findings.value_rules import VALUE_RULES
from pytest_flowsecrets.resolution.dialects import DIALECTS, dialect_for
from pytest_flowsecrets.resolution.layers import Environment, Layer
from pytest_flowsecrets.resolution.loader.interpolate import is_reference
from pytest_flowsecrets.resolution.resolve import resolve

ENVIRON = {"HOME": "/home/x", "V": "$W", "W": "42", "L": "x$L", "T": "true"}


def resolution_of(text, where="env", version="1.4.1", environ=ENVIRON):
    if where == "env":
        return resolve([], {**environ, "PREFECT__CONTEXT__SECRETS__A": text}, version)
    return resolve([Layer("user", {"context": {"secrets": {"A": text}}}, "f")], environ, version)


def found_in(text, where="env", version="1.4.1", environ=ENVIRON):
    return [finding for finding in findings(resolution_of(text, where, version, environ)) if finding.id >= "FS020"]


# rule, a text that triggers it, one that does not, place, release
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
    ("FS032", "~/x", "~nobody9/x", "env", "0.10.7"),
    ("FS033", "C:\\new", "C:/new", "env", "0.13.14"),
    ("FS034", "café", "cafe", "env", "0.13.14"),
    ("FS021", "0000", "0001", "env", "1.4.1"),
    ("FS022", "+15551234567", "0015551234567", "env", "1.4.1"),
    ("FS022", "+15551234567", "+1555123456x", "env", "1.4.1"),
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
    """A rule applies to its own case and not to a similar harmless one."""
    assert rule in [finding.id for finding in found_in(bad, where, version)]
    assert rule not in [finding.id for finding in found_in(good, where, version)]


def test_every_rule_has_an_example():
    """Every rule has an example, and ids are unique; FS062 depends on names (``test_check_owners.py``)."""
    ids = [rule.id for rule in VALUE_RULES]
    assert {row[0] for row in EXAMPLES} == set(ids) - {"FS062"}
    assert len(set(ids)) == len(ids)


# The rows without a spelling: the text is only a reference, or the finding is not about the type.
WITHOUT_SPELLING = {"$V", "$L", "${NOWHERE}", "https://${backend}", "a${context.secrets.A}", "$NOWHERE"}
WITHOUT_SPELLING |= {'{"a": true}', "", "abc\n"}
TEXTS = [(bad, where, version) for _, bad, _, where, version in EXAMPLES]


@pytest.mark.parametrize(("text", "where", "version"), [row for row in TEXTS if row[0] not in WITHOUT_SPELLING])
def test_spelling_gives_the_text(text, where, version):
    """A suggested spelling gives exactly the text, in that release, as a string."""
    spellings = [finding.spelling for finding in found_in(text, where, version)]
    assert spellings
    assert None not in spellings
    environ = {**ENVIRON, "wordx": "set", "x": "set"}
    for spelling in spellings:
        if where == "env":
            resolution = resolve([], {**environ, "PREFECT__CONTEXT__SECRETS__A": spelling}, version)
        else:
            resolution = resolve([Layer("user", {"context": {"secrets": {"A": spelling}}})], environ, version)
        name = "a" if dialect_for(version).env_names == "lower" and where == "env" else "A"
        value = resolution.get(name).value
        assert (type(value), value) == (str, text)


@pytest.mark.parametrize(
    ("text", "where", "version"),
    [
        *(row for row in TEXTS if row[0] not in WITHOUT_SPELLING),
        *((text, "env", "0.13.14") for text in ('{"h": "$HOME"}', '{"h": "a\\nb"}', "pa$HOME")),
        *((text, "env", "0.10.7") for text in ('{"h": "\\u00e9"}', "é\\")),
    ],
)
def test_the_expression_of_a_spelling_gives_its_text(text, where, version):
    """The Python expression that a user can write instead gives the text of the spelling, from text and from data."""
    (reading,) = readings(resolution_of(text, where, version))
    spelling = find_spelling(reading, text)
    assert eval(spelling.expression, {"json": json, "value": text}) == spelling.text
    if text.startswith('{"'):
        spelling = find_spelling(reading, json.loads(text))
        assert eval(spelling.expression, {"json": json, "value": json.loads(text)}) == spelling.text


@pytest.mark.parametrize(("text", "where", "version"), [row for row in TEXTS if row[0] in WITHOUT_SPELLING])
def test_a_text_without_a_spelling(text, where, version):
    """A finding about a reference, or about a text that the flow gets unchanged, suggests no spelling."""
    assert [finding.spelling for finding in found_in(text, where, version)] == [None]


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
    """A suggested spelling has no finding itself, except the note about JSON that stays a string."""
    for row in DIALECTS:
        for finding in found_in(text, where, row.id):
            if finding.spelling is not None:
                again = found_in(finding.spelling, where, row.id)
                assert [other.id for other in again if other.severity != "note"] == [], (row.id, finding.spelling)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        *(("$TOKEN", []), ("${TOKEN}", []), ("${context.secrets.B}", []), ("${a.${TOKEN}.b}", []), ("$HOME", [])),
        *(("https://${TOKEN}@host", ["FS037"]), ("pa${a.b}ss", ["FS031"]), ("pa$TOKEN", ["FS030"])),
    ],
)
def test_references_in_a_file_of_which_the_environment_is_not_known(text, rules):
    """A text that is only a reference is no finding; a reference within a text is, if it names a variable."""
    layer = Layer("user", {"context": {"secrets": {"A": text}}}, "f")
    resolution = resolve([layer], Environment({"HOME": "/home/x"}, complete=False), "1.4.1")
    assert [finding.id for finding in findings(resolution)] == rules


def test_a_dollar_is_written_as_an_escape():
    """The spelling for ``$`` uses an escape within a JSON string, even if no such variable is set."""
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
    """The spelling for JSON gives a table, such as the key of a service account."""
    finding = found_in(text, "env", version)[0]
    assert finding.spelling == spelling
    resolution = resolve([], {**ENVIRON, "PREFECT__CONTEXT__SECRETS__A": spelling}, version)
    assert resolution.get("A").value == json.loads(text)


@pytest.mark.parametrize("text", ["C:\\new\\\\test", "\\\\server\\share", "line\\nline", "\\x41", '["\\\\\\\\\\\\\'"]'])
def test_single_backslashes_are_told(text):
    """A text with both single and doubled backslashes is a finding."""
    assert [finding.id for finding in found_in(text, "env", "0.13.14")] == ["FS033"]


def test_no_spelling():
    """If no spelling works, the finding says so: 0.5.0 does not decode JSON."""
    (finding,) = found_in("123", "env", "0.5.0")
    assert finding.spelling is None
    assert "no other spelling" in finding.advice
    (finding,) = found_in('{"h": "$HOME"}', "toml", "0.5.0")
    assert finding.spelling is None


def test_versions():
    """`versions` contains the affected releases as ranges."""
    (finding,) = found_in("0000", "toml", "1.4.1")
    assert finding.versions == "0.11.2-1.4.1"
    (finding,) = found_in("café", "env", "0.6.7")
    assert finding.versions == "0.5.0-0.13.14"
    (finding,) = found_in('{"a": true}', "toml", "1.4.1")
    assert finding.versions == "0.11.2-1.4.1"


def test_a_spelling_hides_its_text():
    """The repr of a spelling shows its description only."""
    assert repr(Spelling("quote it", "repr(value)", "hunter2")) == "<Spelling 'quote it'>"


hypothesis = pytest.importorskip("hypothesis")
from pytest_flowsecrets.strategies import env_texts  # noqa: E402

PLAIN = hypothesis.strategies.from_regex(r"[G-Zg-z][A-Za-z0-9_.\-]{7,40}", fullmatch=True).filter(
    lambda text: text.lower() != "infinity"
)


@pytest.mark.slow
@hypothesis.given(text=PLAIN)
def test_silent_on_plain_tokens(text):
    """Plain tokens have no finding, in any dialect, in files and in variables."""
    for row in DIALECTS:
        assert found_in(text, "toml", row.id) == []
        assert found_in(text, "env", row.id, {}) == []


@pytest.mark.slow
@hypothesis.given(text=env_texts(), where=hypothesis.strategies.sampled_from(["env", "toml"]))
def test_silence_means_the_text_itself(text, where):
    """Without a finding the flow gets the text, its JSON value, or a value that no simpler spelling gives.

    A text that is only a reference is replaced intentionally.
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
    environ = {**ENVIRON, "PREFECT__CONTEXT__SECRETS__A": text} if where == "env" else ENVIRON
    layers = [Layer("user", {"context": {"secrets": {"A": text}}})] if where == "toml" else []
    return resolve(layers, environ, version)


def needs_help(text, where, version):
    """Return whether the text itself would give another value."""
    again = resolved(text, where, version).get(NAMES[version, where])
    return again.value != text or found_in(text, where, version)


@pytest.mark.slow
@hypothesis.given(text=env_texts(), where=hypothesis.strategies.sampled_from(["env", "toml"]))
def test_messages_hide_values(text, where):
    """No message and no advice contains the value."""
    secret = "hunter2value"
    for version in ("0.6.6", "0.13.14", "1.4.1"):
        for finding in found_in(secret + text, where, version) + found_in(text + secret, where, version):
            assert secret not in repr(finding) + str(finding)
