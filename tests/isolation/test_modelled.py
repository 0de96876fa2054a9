"""``local_secrets.explain`` describes what ``Secret.get`` does, also after changes that Prefect has not read."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import SecretRejected
from pytest_flowsecrets.errors import CloudUnreachable
from tests.compat import needs_prefect

pytestmark = [needs_prefect, pytest.mark.filterwarnings("ignore::pytest_flowsecrets.SecretChangedWarning")]
VARIABLE = "PREFECT__CONTEXT__SECRETS__name"


def test_a_variable_that_is_set_late(local_secrets, monkeypatch):
    """A variable that is set late has no effect before ``reload()``, which the explanation names."""
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
    """The flow still gets the previous value."""
    local_secrets["name"] = "former"
    for change in (lambda: monkeypatch.setenv(VARIABLE, "a longer text"), lambda: monkeypatch.delenv(VARIABLE)):
        change()
        assert local_secrets["name"] == "former"
        text = local_secrets.explain("name")
        assert "length 6" in text.splitlines()[0], text
        assert "call local_secrets.reload()" in text


def test_a_secret_that_is_put_into_the_context(local_secrets):
    """A secret in ``prefect.context`` overrides the variable and needs no ``reload()``."""
    import prefect

    local_secrets["name"] = "from a variable"
    prefect.context.secrets["name"] = "42 and more"
    prefect.context.secrets["other"] = "x"
    text = local_secrets.explain("name")
    assert "context prefect.context" in text
    assert VARIABLE in text
    assert "reload" not in text
    assert "returns it" in local_secrets.explain("other")


@pytest.mark.parametrize("variable", ["PREFECT__CONTEXT__SECRETS__items", "PREFECT__CONTEXT"])
def test_a_variable_that_prefect_refuses(local_secrets, monkeypatch, variable):
    """The flow gets the previous value, and the explanation names the import error and ``reload()``."""
    local_secrets["name"] = "former"
    monkeypatch.setenv(variable, "x")
    if local_secrets["name"] != "former" or not _is_refused(local_secrets):
        pytest.skip("this Prefect accepts the variable")
    text = local_secrets.explain("name")
    assert "length 6" in text.splitlines()[0], text
    assert "import prefect fails with" in text
    assert "call local_secrets.reload()" in text


def test_a_file_that_breaks_late(local_secrets, prefect_home):
    """The flow still gets the value that Prefect read before the file broke."""
    path = prefect_home.write_config({"context": {"secrets": {"name": "former"}}})
    path.write_text("[context.secrets\n")
    assert local_secrets["name"] == "former"
    text = local_secrets.explain("name")
    assert "length 6" in text.splitlines()[0], text
    assert "import prefect fails with" in text
    assert "call local_secrets.reload()" in text


def _is_refused(local_secrets):
    try:
        local_secrets.reload()
    except SecretRejected:
        return True
    return False


def test_the_flag_of_the_running_prefect(local_secrets, real_prefect, monkeypatch):
    """With ``set_temporary_config``, Prefect asks Cloud for a missing secret."""
    from prefect.utilities.configuration import set_temporary_config

    monkeypatch.setenv("PREFECT__CLOUD__AUTH_TOKEN", "for 0.5.5, which asks nothing without one")
    local_secrets.reload()
    assert "was not found" in local_secrets.explain("missing")
    with set_temporary_config({"cloud.use_local_secrets": False}):
        with pytest.raises(CloudUnreachable):
            real_prefect.client.Secret("missing").get()
        assert "requested from the Prefect Cloud API" in local_secrets.explain("missing")


def test_while_a_flow_is_built(local_secrets, real_prefect):
    """The explanation says that ``get`` raises inside ``with Flow(...)``."""
    local_secrets["name"] = "here"
    with real_prefect.Flow("building"):
        with pytest.raises(ValueError, match="while building a Flow"):
            local_secrets["name"]
        assert "while building a Flow" in local_secrets.explain("name").splitlines()[0]
    assert "returns it" in local_secrets.explain("name")


@pytest.mark.parametrize("secrets", ["text", None, 5], ids=repr)
def test_secrets_that_are_no_table(local_secrets, real_prefect, secrets):
    """The explanation contains the error that ``get`` raises."""
    with real_prefect.context(secrets=secrets):
        with pytest.raises((TypeError, AttributeError)) as raised:
            real_prefect.client.Secret("name").get()
        expected = f"{raised.type.__name__}: {raised.value}"
        assert expected in local_secrets.explain("name").splitlines()[0]
