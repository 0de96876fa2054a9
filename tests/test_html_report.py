"""``--flowsecrets-html``: the report has every source, route, request and leak of a run, and no value."""

from __future__ import annotations

import importlib.util
import re

import pytest

from pytest_flowsecrets.report import api_events
from pytest_flowsecrets.report.collector import MAX_EVENTS, Collector
from pytest_flowsecrets.versions import installed_version, release_of, uses_rest_api

needs_jinja = pytest.mark.skipif(importlib.util.find_spec("jinja2") is None, reason="needs Jinja2")
TOKEN, OTHER = "k9TzWq4mLrV7", "Zx81-spectrum-48k"
HEAD = f"import pytest\nTOKEN, OTHER = '{TOKEN[:6]}' + '{TOKEN[6:]}', '{OTHER[:6]}' + '{OTHER[6:]}'\n"
SOURCE = (
    HEAD
    + """
@pytest.mark.secrets(TOKEN=TOKEN, PIN="0000")
class TestSources:
    def test_overridden(self, local_secrets, request):
        if request.config.getoption("verbose") < 9 and hasattr(local_secrets, "write_config") and LEGACY:
            local_secrets.write_config({"context": {"secrets": {"TOKEN": OTHER}}})

    def test_leak(self):
        print(TOKEN)

@pytest.mark.secrets(TOKEN=TOKEN)
@pytest.mark.parametrize("value", [TOKEN])
def test_failing(value):
    assert value == ""

def test_without_secrets():
    pass
"""
)
API = {
    "legacy": """
from prefect.client import Secret

def test_api(prefect_cloud):
    prefect_cloud.client.set_secret(name="at the api", value=TOKEN)
    with prefect_cloud.flow_run():
        assert Secret("at the api").get() == TOKEN
    with pytest.raises(Exception):
        prefect_cloud.client.graphql('query { secret_value(name: "at the api") }')

@pytest.mark.secrets(routed=TOKEN)
@pytest.mark.secret_routes("context", "env")
def test_routes(secret_route):
    assert Secret("routed").get() == TOKEN
""",
    "rest": """
from prefect import flow
from prefect.blocks.system import Secret

@flow
def nightly():
    return Secret.load("at-the-api").get()

@pytest.mark.secrets(AT_THE_API=TOKEN)
def test_api(prefect_server):
    prefect_server.write_only()
    assert nightly() == TOKEN
    with pytest.raises(Exception):
        Secret.load("at-the-api")
""",
    "none": """
def test_api(prefect_cloud):
    prefect_cloud.secrets["at the api"] = TOKEN
    del prefect_cloud.secrets["at the api"]
""",
}
RELEASE = release_of(installed_version() or "1.4.1")
LINE = "rest" if uses_rest_api() else "legacy" if installed_version() else "none"


def _source():
    return SOURCE.replace("LEGACY", str(LINE != "rest")) + API[LINE]


def _words(page):
    """The text of a page in one line, without tags."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body)).replace("&#39;", "'").replace("&#34;", '"')


def _article(page, test):
    """The text about one test."""
    found = re.search(
        rf'<details class="test" id="[^"]*{test}[^"]*".*?(?=<details class="test"|<p id="empty")', page, re.DOTALL
    )
    assert found, test
    return _words(found.group())


@needs_jinja
@pytest.mark.parametrize("how", ["xdist", "leaks off"])
def test_the_report_shows_each_secret_and_no_value(run_tests, pytester, how):
    """Sources, conversions, requests, routes and leaks are on the page, also with xdist workers or without masking."""
    if how == "xdist":
        pytest.importorskip("xdist")
    options = ["-n2"] if how == "xdist" else []
    mode = "off" if how == "leaks off" else "warn"
    result = run_tests(
        _source(),
        "-Wignore",
        "--flowsecrets-html=sub/report.html",
        f"--flowsecrets-leaks={mode}",
        *options,
        plugins=["xdist"] if options else [],
    )
    assert result.parseoutcomes()["failed"] == 1, result.stdout.str()
    result.stdout.fnmatch_lines(["*flowsecrets: HTML report: sub/report.html*"])
    page = (pytester.path / "sub" / "report.html").read_text("utf-8")
    assert not {TOKEN, OTHER} & set(re.findall(r"[\w-]+", page))
    assert TOKEN not in page
    assert str(pytester.path) not in page
    _check_tests(page)
    _check_api(_article(page, "test_api"))
    if mode == "warn":
        assert "in captured stdout" in _article(page, "test_leak")
        assert "do not print or log it" in _words(page)


def _check_tests(page):
    assert "test_without_secrets" not in page
    token = "token" if LINE == "rest" else "TOKEN"
    overridden = _article(page, "test_overridden")
    assert f"{token} " in overridden
    assert "str of length 12 #" in overridden
    assert " won " in overridden
    if LINE != "rest" and RELEASE >= (0, 11):  # earlier releases get the names from a file, and do not convert 0000
        assert "overridden user ~/.prefect/config.toml:" in overridden
        assert "FS021" in overridden
    assert "failed" in _article(page, "test_failing")
    if LINE == "legacy":
        row = re.search(r'<tr data-tests="[^"]*test_routes[^"]*".*?</tr>', page, re.DOTALL).group()
        assert re.findall(r'class="chip passed"[^>]*>([^<]*)<', row) == ["context", "env"]


def _check_api(text):
    if LINE == "none":
        assert "write at the api test code" in text
        assert "delete at the api test code" in text
        return
    name = "at the api" if LINE == "legacy" else "at-the-api"
    assert f"write {name} " in text
    assert f"read {name} flow run " in text
    if LINE == "legacy":
        assert "query secret_value" in text
        assert "UNAUTHENTICATED" in text
    else:
        assert "flow run nightly, " in text
        assert " 403 " in text
        assert "other requests" in text


@needs_jinja
def test_nothing_is_collected_without_the_option(run_tests):
    """Without the option, neither hooks nor listeners exist, and the modules of the report are not imported."""
    result = run_tests(
        """
import sys
import pytest

@pytest.mark.secrets(TOKEN="x")
def test_it(request, local_secrets):
    assert not request.config.pluginmanager.has_plugin("flowsecrets-html")
    events = sys.modules.get("pytest_flowsecrets.report.api_events")
    assert events is None or events.listeners == []
    names = ["pytest_flowsecrets.report.collector", "pytest_flowsecrets.report.page", "jinja2"]
    assert [name for name in names if name in sys.modules and (name != "jinja2" or "prefect" not in sys.modules)] == []
"""
    )
    result.assert_outcomes(passed=1)


def test_a_missing_jinja_is_one_line(run_tests, pytester):
    """Without Jinja2, the run ends with one line that states what to install."""
    pytester.makepyfile(
        blocker="""
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "jinja2" else find(name, *rest)
"""
    )
    pytester.syspathinsert()
    result = run_tests("def test_it(): pass", "--flowsecrets-html=report.html", plugins=["blocker"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.stderr.lines if line.strip()]
    assert lines == ["ERROR: --flowsecrets-html needs Jinja2: pip install 'pytest-flowsecrets[html]'"]
    assert not (pytester.path / "report.html").exists()


@needs_jinja
def test_a_report_that_cannot_be_written(run_tests, pytester):
    """If the path is a folder, the run keeps its result and the summary states the reason."""
    (pytester.path / "report.html").mkdir()
    result = run_tests("def test_it(): pass", "--flowsecrets-html=report.html")
    result.assert_outcomes(passed=1)
    assert "--flowsecrets-html: cannot write the report: Is a directory" in result.stderr.str()


def test_a_collector_keeps_a_bounded_number_of_requests():
    """After the limit, requests are counted and events about secrets are kept."""
    collector = Collector(lambda text: text, {})
    collector.begin_test("test_it", 0)
    for _ in range(MAX_EVENTS + 5):
        api_events.emit_request("GET /", [], status=200)
    api_events.emit("read", "TOKEN")
    collector.end_test("test_it")
    api_events.emit("read", "after the test")
    (record,) = collector.export()
    assert record["more_events"] == 5
    assert [event["subject"] for event in record["events"][MAX_EVENTS:]] == ["TOKEN"]
    assert api_events.listeners == []


def test_texts_that_a_file_cannot_hold_are_escaped():
    """A lone surrogate in a name neither stops xdist nor the report."""
    collector = Collector(lambda text: text.replace("secret", "masked"), {"/home/me/": ""})
    assert collector.masked({"a": ["/home/me/secret\udc80", 1]}) == {"a": ["masked\\udc80", 1]}


@needs_jinja
def test_texts_are_escaped():
    """Names that look like HTML appear as text."""
    from pytest_flowsecrets.report.page import render

    leak = dict.fromkeys(("name", "form", "place", "test", "excerpt", "advice"), "<script>x</script>")
    page = render([], [leak])
    assert "<script>x" not in page
    assert page.count("&lt;script&gt;x") == 6
