"""Values that Prefect's parser reads as part of a name are errors, and no command and no report shows them."""

from __future__ import annotations

import json

import pytest

from pytest_flowsecrets.agents.variable_origins import Entry, FlowEnvironment
from pytest_flowsecrets.isolation.home.config_text import raw_values
from pytest_flowsecrets.resolution.shown_names import masked_name
from pytest_flowsecrets.resolution.toml_reader import legacy_fault, read_layer
from tests.compat import VERSION

V = ("--prefect-version", "1.4.1")
FORMS = [
    *(("check", "--format", form) for form in ("text", "json", "github", "sarif")),
    ("check", "--all-versions"),
    ("explain", "--config"),
    ("explain", "--json", "--config"),
    ("explain", "--all-versions", "--config"),
]
LINES = [
    "URL=postgres://u:hunter2@host/x?timeout=10",
    "URL = postgres://u:hunter2@host/x?timeout='10'",
    "URL=pa.ss.hunter2=10",
    "URL=hunter2=true",
    "URL=hunter2={a=1}",
    "'URL'=hunter2=1",
    "URL.=hunter2=5",
    "DB.URL=hunter2=5",
    "A=hunter2=1\nA=hunter2.x=2",
    "[context.secrets.A=hunter2]\nx=1",
    "URL = hunter2é\\\"\\\"'x = '",
    'URL = ""\n"ab=hunter2" = "hunter2=x"\nURL=="hunter2"=1',
]


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_no_value_is_shown(run, write, line, form):
    """No format of either command shows the value, for one release or for all."""
    text = f"[context.secrets]\n{line}\n"
    options = V if "--all-versions" not in form else ()
    done = run(form[0], *options, *form[1:], write("config.toml", text))
    assert done.code == 1
    assert "hunter2" not in done.out.replace("ab=hunter2", "") + done.err


def test_the_secret_that_is_meant_does_not_exist(run, write):
    """`check` reports the line with advice, and `explain` of the intended name shows the error."""
    path = write("config.toml", f"[context.secrets]\nA = 'abcdefgh'\n{LINES[0]}\n")
    (finding,) = json.loads(run("check", *V, "--json", path).out)
    assert [finding[key] for key in ("id", "severity", "name", "line")] == ["FS002", "error", "URL", 3]
    assert finding["advice"] == "put the value in quotes: URL = '...'"
    assert "URL = '...'" in run("explain", *V, "--config", path, "URL").out
    assert "URL=••• (line 3) (Prefect 1.4.1): int" in run("explain", *V, "--config", path).out
    assert run("explain", *V, "--config", path, "A").code == 0


def test_two_of_them_stay_two():
    """Each doubtful name has its own masked name and position."""
    layer = read_layer("[context.secrets]\nA=x=1\nA=y=1\nC=a.b=1\nC=a.c=1\n", place="f")
    names = layer.data["context"]["secrets"]
    assert list(names) == ["A=••• (line 2)", "A=••• (line 3)", "C=••• (line 4)"]
    assert list(names["C=••• (line 4)"]) == ["•••", "••••"]
    assert str(layer.origin(("context", "secrets", "C=••• (line 4)", "•••"))) == "f:4:1"


@pytest.mark.parametrize(
    "text",
    [
        "[context.secrets]\né = 'x'\n",
        '[context.secrets]\n"\\u00e9" = "x"\n',
        "[context.secrets]\n'a=b' = 'x'\nc.d = '''\nx'''\n",
        "[context.secrets]\nitems = 1\nA = [1,,2]\n",
    ],
)
def test_names_that_are_no_values(text):
    """Names that TOML 1.0 reads, and the text before the first ``=``, are shown."""
    assert not read_layer(text).doubts


def test_names_that_are_no_escapes():
    """A backslash in such a name is not read as an escape of a quoted key."""
    assert list(read_layer("A=b\\q=1\n").data) == ["A=••• (line 1)"]


def test_a_repr_shows_no_value():
    """``repr(local_secrets)`` masks the text after the ``=``."""
    assert masked_name("URL = user:hunter2") == "URL=•••"
    assert masked_name("URL") == "URL"


def test_faults_in_texts_of_several_lines():
    """Below a fault in a multi-line string, and below very many faults, all names are masked."""
    layer = read_layer('[context.secrets]\nA = "x"\nKEY = """a\nb""" c = 1\nD = 5\n')
    assert layer.data == {"context": {"secrets": {"A": "x"}}}
    far = 'x = 1\nKEY = """' + "a\n" * 60 + '""" c = 1\n'
    assert list(read_layer(far).data) == ["••• (line 1)"]
    many = "".join(f"é{number} = {number}\n" for number in range(60))
    assert len(read_layer(many).doubts) == 10


hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402

PIECES = st.sampled_from([*"=.]:/@?é5x,;-", "]", "hunter2", "hunter2"])


@pytest.mark.slow
@hypothesis.given(pieces=st.lists(PIECES, max_size=9), last=st.sampled_from(["5", "'x'", "true", "{a = 1}"]))
def test_generated_values(pieces, last):
    """No name contains the unquoted text after the first ``=``."""
    text = f"[context.secrets]\nURL=x{''.join(pieces)}={last}\n"
    hypothesis.assume(not legacy_fault(text))
    assert "hunter2" not in str(list(_names(read_layer(text).data)))


def _names(table):
    for name, value in table.items():
        yield name
        yield from _names(value) if isinstance(value, dict) else ()


REPORT = '''
def test_it(local_secrets):
    local_secrets.write_config("""{text}"""{strict})
    print(local_secrets.explain("URL"))
    assert 0, repr(local_secrets)
'''


@pytest.mark.parametrize(
    ("text", "strict"),
    [
        ("[context.secrets]\nURL=postgres://u:hunter2@host/x?timeout=10", ""),
        ("[context.secrets]\nURL=postgres://u:hunter2@host/x?timeout=10", ", strict=False"),
        ("[context.secrets]\nURL = hunter2hunter2 # why\nOTHER = 'hunter2other'\n", ""),
        ("[context.secrets]\nURL = hunter2hunter2", ", strict=False"),
        ("[context.secrets\nURL = 'hunter2hunter2'", ""),
        ("URL = hunter2hunter2", ""),
        ('[context.secrets]\nURL \\"hunter2hunter2\\"=', ""),
        ("[context]\n# c\n\nsecrets = {A = hunter2hunter2}", ""),
        ("[cloud]\nauth_token = hunter2hunter2", ""),
    ],
)
def test_reports_show_no_value(run_tests, text, strict):
    """pytest's reports mask the value in source lines with a broken text and in arguments of fixtures."""
    result = run_tests(REPORT.format(text=text, strict=strict))
    assert result.ret == 1
    result.stdout.no_fnmatch_line("*hunter2*")


def test_what_is_no_secret_stays_readable():
    """Prefect's own settings, comments and headers are not masked."""
    text = '# hunter2\n[cloud]\napi = https://api.prefect.io\n[logging]\nlevel = "DEBUG\nbackend = server\n'
    assert list(raw_values(text)) == []
    assert list(raw_values("backend = server")) == []


@pytest.mark.parametrize("line", ["URL=hunter2/x?timeout=10", "URL=hunter2?timeout='abc'", "URL=hunter2.x=5"])
@pytest.mark.parametrize("agent", ["local", "docker", "kubernetes", "ecs"])
@pytest.mark.parametrize("form", [(), ("--json",), V], ids=str)
def test_agents_show_no_value(run, write, agent, line, form):
    """No format of ``explain`` shows a name of ``[cloud.agent.env_vars]`` that contains a value."""
    path = write("f.toml", f"[cloud.agent.env_vars]\n{line}\n")
    done = run("explain", "--config", path, "--agent", agent, *form)
    assert done.out + done.err
    assert "hunter2" not in done.out + done.err


@pytest.mark.skipif(VERSION is None or VERSION < (0, 10, 0), reason="the local agent is supported from 0.10.0 on")
def test_the_local_agent_names_the_variable_and_the_fix(run, write):
    """The error about a name with ``=`` shows the masked name and how to write the line."""
    path = write("f.toml", "[cloud.agent.env_vars]\nURL=hunter2?timeout='abc'\n")
    message = "'URL=•••' is not a valid variable name: write NAME = 'value', with the value in quotes"
    assert message in run("explain", "--config", path, "--agent", "local").err


def test_an_environment_shows_no_value():
    """The repr, the explanation and the ``KeyError`` of an environment mask the value."""
    name = "URL=hunter2"
    environment = FlowEnvironment("ecs", "1.4.1", [Entry(name, None, "template")])
    with pytest.raises(KeyError) as raised:
        environment[name]
    assert "hunter2" not in f"{environment!r} {environment.explain()} {raised.value}"
