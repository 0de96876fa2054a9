"""``local_secrets.explain`` describes what ``Secret.get`` does, also where the test changed things behind our back."""

from __future__ import annotations

import pytest

from tests.compat import needs_prefect

pytestmark = [needs_prefect, pytest.mark.filterwarnings("ignore::pytest_flowsecrets.SecretChangedWarning")]
VARIABLE = "PREFECT__CONTEXT__SECRETS__name"


def test_a_variable_that_is_set_late(local_secrets, monkeypatch):
    """It is not found until ``reload()``, which the explanation names."""
    monkeypatch.setenv(VARIABLE, "late")
    text = local_secrets.explain("name")
    assert "was not found" in text
    assert "call local_secrets.reload()" in text
    assert VARIABLE in text
    local_secrets.reload()
    assert local_secrets["name"] == "late"
    assert "returns it" in local_secrets.explain("name")
    assert "reload" not in local_secrets.explain("name")


def test_a_variable_that_is_changed_or_removed_late(local_secrets, monkeypatch):
    """The flow still gets the former value."""
    local_secrets["name"] = "former"
    for change in (lambda: monkeypatch.setenv(VARIABLE, "a longer text"), lambda: monkeypatch.delenv(VARIABLE)):
        change()
        assert local_secrets["name"] == "former"
        text = local_secrets.explain("name")
        assert "length 6" in text.splitlines()[0], text
        assert "call local_secrets.reload()" in text


def test_a_secret_that_is_put_into_the_context(local_secrets):
    """It comes from ``prefect.context``, overrides the variable, and needs no ``reload()``."""
    import prefect

    local_secrets["name"] = "from a variable"
    prefect.context.secrets["name"] = "42 and more"
    prefect.context.secrets["other"] = "x"
    text = local_secrets.explain("name")
    assert "context prefect.context" in text
    assert VARIABLE in text
    assert "reload" not in text
    assert "returns it" in local_secrets.explain("other")


def test_a_variable_that_prefect_refuses(local_secrets, monkeypatch):
    """``explain`` says what an import would do now."""
    monkeypatch.setenv("PREFECT__CONTEXT", "x")
    assert "import prefect fails" in local_secrets.explain("name")
