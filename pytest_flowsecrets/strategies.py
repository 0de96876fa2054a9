"""Hypothesis strategies for the names, values and files from which Prefect reads secrets.

They need the extra ``strategies``. A strategy checks its arguments when you build it, not when it draws an example.

Example:
    >>> from hypothesis import given
    >>> from pytest_flowsecrets.strategies import env_texts
    >>> @given(text=env_texts())
    ... def test_my_parser(text): ...
"""

from __future__ import annotations

from pytest_flowsecrets._strategies.files import Written, config_tomls, environments, layers, toml_keys, toml_string
from pytest_flowsecrets._strategies.texts import env_texts, secret_names, secret_values

__all__ = [
    "Written",
    "config_tomls",
    "env_texts",
    "environments",
    "layers",
    "secret_names",
    "secret_values",
    "toml_keys",
    "toml_string",
]
