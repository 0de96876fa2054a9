"""The hooks that add encoders and formats."""

from __future__ import annotations

import warnings

import pytest

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.leaks.formats.secret_parts import parts_of
from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.leaks.search.extensions import register

TOKEN = "ghp_abcDEF0123456789xyzQRS"


@pytest.fixture
def extensions():
    """The function that registers hook results. Afterwards, the registry has its previous encoders and formats."""
    before = dict(registry.encoders), list(registry.formats)
    yield register
    registry.encoders.clear()
    registry.encoders.update(before[0])
    registry.formats[:] = before[1]


def test_hooks_of_a_conftest(pytester, run_tests):
    """A form and a format from hooks are masked and reported by their names."""
    pytester.makeconftest(
        """
import codecs

def pytest_flowsecrets_encoders(config):
    return {"rot13": lambda text: codecs.encode(text, "rot13")}

def pytest_flowsecrets_formats(config):
    return {"ticket": lambda text: [text[len("TICKET<<"):-2]] if text.startswith("TICKET<<") else None}
"""
    )
    result = run_tests(
        f"""
import codecs
import pytest

@pytest.mark.secrets(TOKEN="{TOKEN}", TICKET="TICKET<<some-thing odd>>")
def test_it(local_secrets):
    print("encoded:", codecs.encode(local_secrets["TOKEN"], "rot13"))
    print("part:", local_secrets["TICKET"][8:-2])
""",
        "--flowsecrets-leaks=fail",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*secret TOKEN, rot13, in captured stdout*", "*secret TICKET, raw, in captured stdout*"]
    )
    assert "tuc_nop" not in result.stdout.str()
    assert "some-thing odd" not in result.stdout.str()


def test_secrets_registered_before_the_hooks_run(pytester, run_tests, monkeypatch):
    """Secrets that are registered before the hooks run are masked in the new form, too."""
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    pytester.makeini("[pytest]\nflowsecrets_secret_env_vars = MY_TOKEN\n")
    pytester.makeconftest(
        "print('loaded')\ndef pytest_flowsecrets_encoders():\n    return {'reversed': lambda text: text[::-1]}\n"
    )
    result = run_tests(f"def test_it():\n    assert {TOKEN[::-1]!r} == ''\n")
    result.assert_outcomes(failed=1)
    assert TOKEN[::-1] not in result.stdout.str()


@pytest.mark.parametrize(
    ("hook", "returned", "message"),
    [
        ("encoders", "['x']", "pytest_flowsecrets_encoders returned list: return a mapping from names to functions"),
        ("encoders", "{'x': 5}", "pytest_flowsecrets_encoders returned 'x' without a function: return a mapping"),
        ("encoders", "{'x': len}", "pytest_flowsecrets_encoders: 'x' returned int: return str or bytes"),
        ("formats", "{'x': str}", "pytest_flowsecrets_formats: 'x' returned str: return a list of texts"),
        ("formats", "{'x': lambda: 1}", "pytest_flowsecrets_formats: 'x' raised TypeError for the text 'aB3-sample"),
    ],
)
def test_a_hook_that_returns_something_else(pytester, run_tests, hook, returned, message):
    """A hook with an invalid result ends the run with one line that names the hook."""
    pytester.makeconftest(f"def pytest_flowsecrets_{hook}():\n    return {returned}\n")
    result = run_tests("def test_it(): pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}*"])


def test_hooks_in_mode_off(pytester, run_tests):
    """In mode ``off``, the results of the hooks are ignored."""
    pytester.makeconftest("def pytest_flowsecrets_encoders():\n    return {'x': len}\n")
    run_tests("def test_it(): pass\n", "--flowsecrets-leaks=off").assert_outcomes(passed=1)


def test_what_functions_return(extensions):
    """An encoder may return text or bytes. Short results, the value itself, None and a ValueError give no form."""

    def none_of_tokens(text):
        if text == TOKEN:
            raise ValueError
        return f"<<{text}>>"

    encoders = {
        "text": lambda text: f"x{text[::-1]}",
        "bytes": lambda text: text[::2].encode() + b"\xff",
        "short": lambda text: text[:5],
        "same": lambda text: text,
        "none": lambda _: None,
        "error": none_of_tokens,
        "never": lambda text: text.encode("ascii") if text.isdigit() else int(text),
    }
    assert extensions([encoders], [])
    mine = Redactor({TOKEN: ("A",)})
    assert mine.redact(f"x{TOKEN[::-1]}") == "[secret A]"
    assert mine.redact_bytes(TOKEN[::2].encode() + b"\xff") == b"[secret A]"
    assert mine.redact(TOKEN[:5]) == TOKEN[:5]
    assert [match.form for match in mine.find(f"x{TOKEN[::-1]}")] == ["text"]
    assert mine.redact(TOKEN[::-1][:20]) == TOKEN[::-1][:20]


def test_formats_that_are_generators(extensions):
    """The function of a format may be a generator. Its texts are divided further, and other objects are ignored."""

    def pair(text):
        left, sign, right = text.partition(" => ")
        if sign:
            yield from (left, right, 5)

    assert not extensions([], [])
    assert extensions([], [{"pair": pair}])
    texts = [part.text for part in parts_of("abcdefgh-1 => postgres://me:hunter2xyz@host/x", registry.formats)]
    assert texts[1:] == ["abcdefgh-1", "postgres://me:hunter2xyz@host/x", "hunter2xyz"]


def test_an_error_in_a_function(extensions):
    """An error in an encoder becomes a warning without the value, and the other forms are still masked."""
    extensions([{"odd": lambda text: {"aB3-sample of a value": text}[text]}], [])
    with pytest.warns(UserWarning, match="'odd' raised KeyError for a secret") as recorded:
        mine = Redactor({TOKEN: ("A",)})
    assert TOKEN not in str(recorded[0].message)
    assert mine.redact(TOKEN) == "[secret A]"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Redactor({TOKEN: ("A",)}).redact(TOKEN) == "[secret A]"


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ([5], "returned int"),
        ([{"x": 5}], "'x' without a function"),
        ([{"x": len}], "'x' returned int: return str or bytes"),
        ([{"x": lambda: 1}], "'x' raised TypeError"),
    ],
)
def test_functions_that_cannot_be_used(encoders, message):
    """Registering invalid encoders raises a UsageError that names the hook."""
    with pytest.raises(UsageError, match=f"pytest_flowsecrets_encoders.*({message})"):
        register(encoders, [])
