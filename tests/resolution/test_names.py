"""Names of variables and the keys that they set."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.resolution.dialects import DIALECTS, dialect_for
from pytest_flowsecrets.resolution.env_names import SECRETS, is_secret, key_of, variable_for

OLD, MIDDLE, NEW = (dialect_for(version) for version in ("0.6.6", "0.14.22", "1.4.1"))
TABLE = [
    ("CONTEXT__SECRETS__MY_KEY", "context secrets my_key", "context secrets MY_KEY", "context secrets MY_KEY"),
    ("CONTEXT__SECRETS__My_Key", "context secrets my_key", "context secrets My_Key", "context secrets My_Key"),
    ("context__secrets__MY_KEY", "context secrets my_key", "context secrets MY_KEY", "context secrets MY_KEY"),
    ("CONTEXT__Secrets__K", "context secrets k", "context secrets K", "CONTEXT Secrets K"),
    ("CONTEXT__SECRETS__A__B", "context secrets a b", "context secrets a B", "context secrets A B"),
    ("CONTEXT__SECRETS___K", "context secrets _k", "context secrets _K", "context secrets _K"),
    ("CONTEXT__SECRETS_K", "context secrets_k", "context SECRETS_K", "context secrets_K"),
    ("CONTEXT__SECRETSX__K", "context secretsx k", "context secretsx K", "context secretsX K"),
    ("CONTEXT__SECRETS", "context secrets", "context SECRETS", "context secrets"),
    ("SECRETS__K", "secrets k", "secrets k", "secrets k"),
    (
        "CONTEXT__SECRETS__X_CONTEXT__SECRETS",
        *("context secrets " + rest for rest in ("x_context secrets", "x_context SECRETS", "X_context secrets")),
    ),
]


@pytest.mark.parametrize(("option", "old", "middle", "new"), TABLE)
def test_key_of(option, old, middle, new):
    """`key_of` follows the rules of each range of releases for case and ``__``."""
    keys = [" ".join(key_of(f"PREFECT__{option}", dialect)) for dialect in (OLD, MIDDLE, NEW)]
    assert keys == [old, middle, new]


@pytest.mark.parametrize("variable", ["prefect__CONTEXT__SECRETS__A", "PREFECT_CONTEXT__SECRETS__A", "HOME", ""])
def test_not_ours(variable):
    """Prefect reads only variables that start with exactly ``PREFECT__``."""
    assert key_of(variable, NEW) is None


def test_empty_parts():
    """A trailing or fourfold underscore gives an empty part."""
    assert key_of("PREFECT__CONTEXT__SECRETS__", NEW) == (*SECRETS, "")
    assert key_of("PREFECT__CONTEXT__SECRETS____K", NEW) == (*SECRETS, "", "K")
    assert key_of("PREFECT__CONTEXT__SECRETS__K__", NEW) == (*SECRETS, "K", "")


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda row: row.id)
@pytest.mark.parametrize("name", ["a", "A", "A__B", "my key", "a=b", "a\0b", "", "_A", "É"])
def test_variable_for(dialect, name):
    """`variable_for` returns a variable that sets exactly this secret; if it returns None, the usual one does not."""
    variable = variable_for(name, dialect)
    if variable is not None:
        assert key_of(variable, dialect) == (*SECRETS, name)
    else:
        assert "__" in name or "=" in name or "\0" in name or (name != name.lower() and dialect.env_names == "lower")


def test_is_secret():
    """`is_secret` is true for the table itself and for keys in it."""
    assert is_secret(("context", "secrets", "A"))
    assert not is_secret(("context", "SECRETS", "A"))
