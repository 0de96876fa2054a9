"""Settings of Sphinx."""

project = "pytest-flowsecrets"
copyright = "the pytest-flowsecrets founders"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = project
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
# Built-in exceptions that docstrings name; their pages are Python's.
nitpick_ignore = [("py:exc", name) for name in ("KeyError", "Exception", "ValueError")]
nitpick_ignore += [("py:exc", "UsageError")]  # named by the strategies, whose module is not the one of its page
nitpick_ignore += [("py:class", "datetime")]  # its page is Python's
