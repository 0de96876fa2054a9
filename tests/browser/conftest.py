"""A real Chromium for the tests of pages. ``tox run -e docs`` installs what they need, except for the browser."""

from __future__ import annotations

import json
import shutil
import time

import pytest

BINARIES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
WAIT = 60  # seconds


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A Chromium without windows and with an empty profile, which records messages and requests."""
    pytest.importorskip("selenium", reason="needs Selenium: pip install 'pytest-flowsecrets[docs]'")
    binary = next(filter(None, map(shutil.which, BINARIES)), None)
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_page_load_timeout(WAIT)
    browser.set_script_timeout(5 * WAIT)  # axe needs half a minute for the longest page
    yield Page(browser)
    browser.quit()


class Page:
    """A page in a browser."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, path, fragment="", *, width=1400, dark=False):
        """Open a file, and forget messages and requests from before."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": True}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.browser.get("about:blank")  # else a new fragment does not load the page
        self.browser.get_log("browser")
        self.browser.get_log("performance")
        self.browser.get(path.resolve().as_uri() + fragment)

    def script(self, code, *arguments):
        return self.browser.execute_script(f"return {code}", *arguments)

    def until(self, code):
        """Wait until an expression is true."""
        end = time.monotonic() + WAIT
        while not self.script(code):
            assert time.monotonic() < end, f"not true within {WAIT} s: {code}"
            time.sleep(0.05)

    def messages(self):
        """Errors and warnings in the console."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def requests(self):
        """The addresses that the page has requested."""
        entries = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        return [each["params"]["request"]["url"] for each in entries if each["method"] == "Network.requestWillBeSent"]

    def violations(self):
        """The accessibility rules that the page violates, with an element of each."""
        axe = pytest.importorskip("axe_selenium_python").Axe(self.browser)
        axe.inject()
        rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
        results = axe.run(options={"runOnly": rules, "resultTypes": ["violations"]})
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in results["violations"]]
