"""The ``PREFECT__`` variables: the secret that each one defines, which ones are ambient, and their restoration."""

from __future__ import annotations

import os

import pytest

from pytest_flowsecrets.isolation.environment import declarations, prefect_variables
from pytest_flowsecrets.isolation.environment.prefect_variables import PrefectVariables, secret_of, variable_for

NAMES = {
    # variable: (0.6.6, 0.6.7 to 0.14.22, 0.15.0), as measured on the real Prefect
    "PREFECT__CONTEXT__SECRETS__MY_KEY": ("my_key", "MY_KEY", "MY_KEY"),
    "PREFECT__CONTEXT__SECRETS__My_Key": ("my_key", "My_Key", "My_Key"),
    "PREFECT__context__secrets__MY_KEY": ("my_key", "MY_KEY", "MY_KEY"),
    "PREFECT__CONTEXT__Secrets__MY_KEY": ("my_key", "MY_KEY", None),
    "PREFECT__Context__SECRETS__MY_KEY": ("my_key", "MY_KEY", None),
    "PREFECT__CONTEXT__SECRETS__A__B": ("a", "a", "A"),
    "PREFECT__CONTEXT__SECRETS___MY_KEY": ("_my_key", "_MY_KEY", "_MY_KEY"),
    "PREFECT__CONTEXT__SECRETS__": ("", "", ""),
    "PREFECT__CONTEXT__SECRETS": (None, None, None),
    "PREFECT__CONTEXT__SECRETSX__K": (None, None, None),
    "PREFECT__SECRETS__K": (None, None, None),
    "prefect__CONTEXT__SECRETS__K": (None, None, None),
    "PATH": (None, None, None),
}


@pytest.mark.parametrize(("variable", "expected"), NAMES.items())
def test_which_secret_a_variable_gives(variable, expected):
    """Each of the three rules for names gives the secret of a variable."""
    assert tuple(secret_of(variable, version) for version in ("0.6.6", "0.14.22", "0.15.0")) == expected


def test_the_rule_is_that_of_the_installed_prefect(local_secrets):
    """The real Prefect loads the secret that the rule predicts for each variable, or none."""
    prefect = pytest.importorskip("prefect")
    for variable in NAMES:
        if variable.startswith("PREFECT__"):
            os.environ[variable] = "x"
            local_secrets.reload()
            name = secret_of(variable, prefect.__version__)
            secrets = prefect.context.get("secrets", {})
            assert (list(secrets) if hasattr(secrets, "keys") else []) == ([] if name is None else [name]), variable
            del os.environ[variable]


@pytest.mark.parametrize(
    ("name", "text", "version", "carried"),
    [
        ("TOKEN", "x", "1.4.1", True),
        ("TOKEN", "x", "0.6.6", False),
        ("token", "x", "0.6.6", True),
        ("my secret", "x", "0.6.7", True),
        ("A__B", "x", "1.4.1", False),
        ("A=B", "x", "1.4.1", False),
        ("A", "nul\0", "1.4.1", False),
        ("A\0", "x", "1.4.1", False),
        ("A", "\ud800", "1.4.1", False),
        ("", "", "1.4.1", True),
        ("X_", "x", "1.4.1", True),
        ("X___", "x", "1.4.1", False),
    ],
)
def test_which_secrets_a_variable_can_carry(name, text, version, carried):
    """A variable is used only if it gives exactly the name and the text of the secret."""
    assert variable_for(name, text, version) == (f"PREFECT__CONTEXT__SECRETS__{name}" if carried else None)


@pytest.fixture
def ambient(monkeypatch):
    """Set two variables of the developer, one of which the run has changed, and one variable of the run."""
    monkeypatch.setenv("PREFECT__OWN", "own")
    monkeypatch.setenv("PREFECT__CHANGED", "own")
    stop = declarations.start()
    os.environ["PREFECT__CHANGED"] = "by the run"
    monkeypatch.setenv("PREFECT__SET", "by the run")
    yield
    stop()


def test_ambient_variables_are_hidden_and_declared_ones_kept(ambient, tmp_path):
    """Ambient variables are hidden, declared ones are kept, and all are restored."""
    before = dict(os.environ)
    environment = PrefectVariables()
    environment.enter(str(tmp_path), {"PREFECT__SET": "by an outer isolation"})
    assert {"PREFECT__OWN", "PREFECT__CHANGED", "PREFECT__SET"} & set(os.environ) == {
        "PREFECT__CHANGED",
        "PREFECT__SET",
    }
    assert os.path.expanduser("~") == str(tmp_path)
    os.environ.update(PREFECT__NEW="x", PREFECT__CHANGED="in the test")
    del os.environ["PREFECT__SET"]
    environment.exit()
    assert dict(os.environ) == before


def test_what_an_outer_isolation_has_set_is_hidden(ambient, tmp_path):
    """A variable of an outer isolation is hidden unless it has changed since."""
    environment = PrefectVariables()
    environment.enter(str(tmp_path), {"PREFECT__SET": "by the run", "PREFECT__GONE": "x"})
    assert "PREFECT__SET" not in os.environ
    environment.exit()
    assert os.environ["PREFECT__SET"] == "by the run"


@pytest.mark.parametrize("own", [None, "/own"])
def test_packages_of_pip_install_user_are_still_found(monkeypatch, tmp_path, own):
    """Packages of `pip install --user`, which Python looks for below HOME, are still found."""
    import site

    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    monkeypatch.delenv("PYTHONUSERBASE", raising=False)
    base = site.getuserbase()
    if own:
        monkeypatch.setenv("PYTHONUSERBASE", own)
    environment = PrefectVariables()
    environment.enter(str(tmp_path), {})
    assert os.environ["PYTHONUSERBASE"] == (own or base)
    environment.exit()
    assert os.environ.get("PYTHONUSERBASE") == own


def test_visible_is_the_part_that_decides(monkeypatch):
    """`current_variables` returns the home, Python's user base and Prefect's variables."""
    monkeypatch.setenv("PREFECT__A", "a")
    monkeypatch.setenv("OTHER", "x")
    assert prefect_variables.current_variables()["PREFECT__A"] == "a"
    assert "OTHER" not in prefect_variables.current_variables()


def test_sweep_after_an_environment_without_home(monkeypatch, tmp_path):
    """`sweep` removes a HOME that an older fixture has restored if there was none before."""
    monkeypatch.delenv("HOME")
    environment = PrefectVariables()
    environment.enter(str(tmp_path), {})
    environment.exit()
    assert "HOME" not in os.environ
    os.environ["HOME"] = str(tmp_path)
    os.environ["PREFECT__OURS"] = "put back"
    environment.sweep({"PREFECT__OURS": "put back", "PREFECT__GONE": "x"})
    assert "HOME" not in os.environ
    assert "PREFECT__OURS" not in os.environ
