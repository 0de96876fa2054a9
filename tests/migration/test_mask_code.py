"""Code is shown without literals and comments."""

from __future__ import annotations

import pytest

from tests.compat import HAS_LIBCST, needs_libcst

if HAS_LIBCST:
    import libcst as cst

    from pytest_flowsecrets.migration.rewrite import diff, masked_expression

pytestmark = needs_libcst


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("f('hunter2', b'hunter2', rb'hunter2')", "f('•••', b'•••', rb'•••')"),
        ("f(7351, -0x1cb7, 73.51, 7351j)", "f(..., -..., ..., ...)"),
        ("f('hun' 'ter2')", "f('•••' '•••')"),
        ("f'hunter2 {x:7351} {g(\"TOKEN\")}'", "f'•••{x:•••}•••{g(\"TOKEN\")}'"),
        ("(f  # hunter2\n  ('TOKEN'))", "(f # ••• ('TOKEN'))"),
        ("{'TOKEN': 'hunter2', 'key': [7351]}", "{'TOKEN': '•••', '•••': [...]}"),
        ("f('hunter2\\n', '\\x68unter2')", "f('•••', '•••')"),
    ],
)
def test_an_expression_without_literals(code, shown):
    """Texts, bytes, numbers and comments of each form are masked; names of secrets are shown."""
    assert masked_expression(cst.parse_expression(code), ["TOKEN"]) == shown


def test_a_diff_without_literals():
    """Lines around a change are masked too, and a text of several lines does not move the lines below it."""
    old = b'"""hunter2\n7351"""\na = "hunter2"  # 7351\nb = Secret("TOKEN").get()\n'
    lines = diff("flow.py", old, old.replace(b'("TOKEN")', b'.load("token")'), ["TOKEN", "token"])
    assert lines == [
        "--- a/flow.py",
        "+++ b/flow.py",
        "@@ -1,4 +1,4 @@",
        ' """•••',
        ' """',
        ' a = "•••"  # •••',
        '-b = Secret("TOKEN").get()',
        '+b = Secret.load("token").get()',
    ]
