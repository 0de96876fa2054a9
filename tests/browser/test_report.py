"""The HTML report in a real browser."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("jinja2")
pytestmark = pytest.mark.slow

TOKEN = "k9TzWq4mLrV7"
SOURCE = f"""
import pytest
TOKEN = "{TOKEN[:6]}" + "{TOKEN[6:]}"

@pytest.mark.secrets(TOKEN=TOKEN, PIN="0000", A_SECRET_WITH_A_VERY_LONG_NAME_THAT_NO_NARROW_SCREEN_SHOWS_IN_ONE_LINE="x")
@pytest.mark.parametrize("number", range(12))
def test_many(number):
    pass

@pytest.mark.secrets(TOKEN=TOKEN)
def test_leak():
    print(TOKEN)

@pytest.mark.secrets(OTHERONE=TOKEN)
def test_failing():
    assert TOKEN == ""
"""
VISIBLE = "[...document.querySelectorAll('details.test')].filter(each => !each.hidden).length"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a run."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "test_it.py").write_text(SOURCE)
    command = [sys.executable, "-m", "pytest", "-q", "-Wignore", "-p", "no:randomly", "--flowsecrets-leaks=warn"]
    subprocess.run([*command, "--flowsecrets-html=report.html"], cwd=folder, check=False)
    return folder / "report.html"


@pytest.fixture
def page(chromium, report):
    """The opened report."""
    chromium.open(report)
    return chromium


def test_it_opens_without_errors_and_network(page, report):
    """The console is empty, only the file is requested, and the document has no value."""
    assert page.messages() == []
    assert page.requests() == [report.resolve().as_uri()]
    assert TOKEN not in page.script("document.documentElement.outerHTML")
    assert page.script(VISIBLE) == 14


def test_the_filter(page):
    """Words, the outcome and leaks select tests and rows, and the number is announced."""
    from selenium.webdriver.common.by import By

    text = page.browser.find_element(By.ID, "text")
    text.send_keys("test_many pin")
    assert page.script(VISIBLE) == 12
    assert page.script("document.getElementById('count').textContent") == "12 of 14 tests"
    text.clear()
    text.send_keys("otherone")
    assert page.script("[...document.querySelectorAll('.matrix tbody tr')].filter(each => !each.hidden).length") == 1
    text.clear()
    text.send_keys("nothing has this")
    assert page.script("!document.getElementById('empty').hidden")
    page.browser.refresh()
    page.browser.find_element(By.ID, "leaking").click()
    assert page.script(VISIBLE) == 2  # the failure shows the value, too
    page.script("(() => { outcome.value = 'failed'; outcome.dispatchEvent(new Event('input')) })()")
    assert page.script(VISIBLE) == 1


@pytest.mark.parametrize("width", [400, 1400])
def test_a_deep_link_opens_its_test(chromium, report, width):
    """The fragment names a test: it is open, in view and has the focus."""
    chromium.open(report, "#test_it.py-test_leak", width=width)
    chromium.until("document.activeElement.closest('details')?.id === 'test_it.py-test_leak'")
    assert chromium.script("document.getElementById('test_it.py-test_leak').open")
    assert chromium.script("document.activeElement.getBoundingClientRect().top < innerHeight")


def test_a_link_in_the_matrix_shows_a_hidden_test(page):
    """A link to a test that the filter hides resets the filter."""
    from selenium.webdriver.common.by import By

    page.browser.find_element(By.ID, "text").send_keys("test_leak")
    page.script("(() => { location.hash = 'test_it.py-test_failing' })()")
    page.until("document.getElementById('test_it.py-test_failing').open")
    assert page.script(VISIBLE) == 14


def test_the_keyboard(page):
    """Slash focuses the filter, Escape clears it, and Tab and Enter open a test."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    body = page.browser.find_element(By.TAG_NAME, "body")
    body.send_keys("/")
    assert page.script("document.activeElement.id") == "text"
    page.browser.switch_to.active_element.send_keys("test_leak")
    assert page.script(VISIBLE) == 1
    page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert page.script(VISIBLE) == 14
    summary = page.browser.find_element(By.CSS_SELECTOR, "details.test summary")
    page.script("arguments[0].focus()", summary)
    summary.send_keys(Keys.ENTER)
    page.until("document.querySelector('details.test').open")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_accessibility_and_width(chromium, report, width, dark):
    """With every test open, axe finds no violation and the page is not wider than the screen."""
    chromium.open(report, width=width, dark=dark)
    chromium.script("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert chromium.violations() == []
    assert chromium.script("document.documentElement.scrollWidth") == width
    back = chromium.script("getComputedStyle(document.body).backgroundColor")
    assert back == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
