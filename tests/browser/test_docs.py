"""Every built page of the documentation in a real browser. ``tox run -e docs`` builds them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.document_examples import ROOT

BUILT = os.environ.get("FLOWSECRETS_BUILT_DOCS", "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not BUILT, reason="needs the built docs: tox run -e docs")]
# Pages that Sphinx writes, not we: the index and the search, which depends on a server.
# axe needs minutes for all pages. By default it checks one page of each kind.
EVERY_PAGE = os.environ.get("FLOWSECRETS_BROWSER") == "all"
BOTH_SCHEMES = {"index", "how-to/leaks", "report"}
NOT_OURS = {"genindex", "search", "py-modindex"}


def _pages():
    if not EVERY_PAGE:
        return sorted([*BOTH_SCHEMES, "how-to/ci-secrets", "how-to/routes", "tutorial"])
    sources = [path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")]
    return [*sorted(source.as_posix() for source in sources if source.name not in NOT_OURS), "report"]


@pytest.mark.parametrize("name", _pages())
def test_a_page_is_accessible_and_fits(chromium, name):
    """A page has no accessibility violation, is not wider than a phone, and asks no network."""
    page = Path(BUILT, f"{name}.html")
    for width, dark in ((400, False), *([(1400, True)] if name in BOTH_SCHEMES else [])):
        chromium.open(page, width=width, dark=dark)
        assert chromium.violations() == []
        assert chromium.script("document.documentElement.scrollWidth") <= width
        assert [url for url in chromium.requests() if not url.startswith(("file:", "data:"))] == []


def test_code_has_copy_buttons(chromium):
    """Each block of code has a button that copies it."""
    chromium.open(Path(BUILT, "tutorial.html"))
    blocks = chromium.script("document.querySelectorAll('div.highlight pre').length")
    assert blocks > 3
    assert chromium.script("document.querySelectorAll('button.copybtn').length") == blocks
