"""Settings of Sphinx."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "pytest-flowsecrets"
copyright = "the pytest-flowsecrets founders"
SUMMARY = (
    "A pytest plugin that gives secrets to the flows of the real Prefect (0.5.5 to 1.4.1, 2.20 and 3) in tests, "
    "explains and checks where their values come from, and finds leaked values."
)
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_logo = html_favicon = "_static/logo.svg"
html_extra_path = ["_extra"]  # the example of an HTML report
exclude_patterns = ["_build", "_extra"]
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
# Built-in exceptions that docstrings name; their pages are Python's.
nitpick_ignore = [("py:exc", name) for name in ("KeyError", "Exception", "ValueError")]
nitpick_ignore += [("py:exc", "UsageError")]  # named by the strategies, whose module is not the one of its page
nitpick_ignore += [("py:class", "datetime")]  # its page is Python's

# Links to the repository and to the source of each page, where the build knows the repository.
repository = os.environ.get("READTHEDOCS_GIT_CLONE_URL", "").replace(".git", "")
if "GITHUB_REPOSITORY" in os.environ:
    repository = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{os.environ['GITHUB_REPOSITORY']}"
# Colors with a contrast of at least 4.5 to 1, which those of the theme do not reach everywhere.
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#4c2889", "color-brand-content": "#5a32a3"},
    "dark_css_variables": {"color-brand-primary": "#d2a8ff", "color-brand-content": "#d2a8ff"},
    **({"source_repository": repository, "source_branch": "main", "source_directory": "docs/"} if repository else {}),
}
if repository:
    html_theme_options["footer_icons"] = [{"name": "Repository", "url": repository, "html": "Repository", "class": ""}]

# What the theme lacks for screen readers and keyboards: names of landmarks, and scrollable boxes that take the focus.
ACCESSIBLE = {
    '<aside class="sidebar-drawer"': '<aside class="sidebar-drawer" aria-label="Contents of the site"',
    '<aside class="toc-drawer': '<aside aria-label="Contents of the page" class="toc-drawer',
    '<div class="content-icon-container"': '<div class="content-icon-container" role="navigation" aria-label="Source"',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    '<th class="head"><p></p></th>': "<td></td>",
    "<pre>": '<pre tabindex="0">',
}


def make_accessible(app: Sphinx, error: Optional[Exception]) -> None:
    """Improve the pages that the theme has written."""
    if error is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            if page.name != "report.html":
                text = page.read_text("utf-8")
                for old, new in ACCESSIBLE.items():
                    text = text.replace(new, old).replace(old, new)
                page.write_text(text, "utf-8")


def write_llms_txt(app: Sphinx, error: Optional[Exception]) -> None:
    """Write llms.txt, a list of the pages for language models, with links to their Markdown."""
    if error is None and app.builder.format == "html":
        titles = {name: title.astext() for name, title in sorted(app.env.titles.items())}
        lines = [f"- [{title}](_sources/{name}.md.txt)" for name, title in titles.items() if name != "index"]
        text = "\n".join([f"# {project}", "", f"> {SUMMARY}", "", "## Documentation", "", *lines, ""])
        Path(app.outdir, "llms.txt").write_text(text, "utf-8")


def setup(app: Sphinx) -> None:
    """Connect the functions that run after the build."""
    app.connect("build-finished", make_accessible)
    app.connect("build-finished", write_llms_txt)
