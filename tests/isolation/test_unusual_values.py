"""Values and errors that are not JSON data, with the real Prefect and with the model."""

from __future__ import annotations

import pytest

from tests.compat import VERSION

pytestmark = [
    pytest.mark.skipif(VERSION is not None and VERSION < (0, 11), reason="variables were no Python literals yet"),
    pytest.mark.filterwarnings("ignore::pytest_flowsecrets.SecretChangedWarning"),
]


@pytest.mark.parametrize(
    ("text", "value"),
    [("(1, 2)", (1, 2)), ("('a', ('b',))", ("a", ("b",))), ("b'7'", 7), ("{1, 2}", {1, 2}), ("1j", 1j), ("...", ...)],
)
def test_python_literals(local_secrets, text, value):
    """A tuple stays a tuple, and bytes that contain JSON are decoded."""
    local_secrets.setenv("A", text)
    assert local_secrets["A"] == value
    assert type(local_secrets["A"]) is type(value)
    assert "reload" not in local_secrets.explain("A")


def test_bytes_that_are_no_text(local_secrets):
    """``Secret.get`` raises the error of ``json.loads``."""
    local_secrets.setenv("A", r"b'\\xff'" if VERSION and VERSION < (0, 13, 15) else r"b'\xff'")
    with pytest.raises(UnicodeDecodeError) as caught:
        local_secrets["A"]
    assert type(caught.value).__name__ == "UnicodeDecodeError"
    assert str(caught.value)
