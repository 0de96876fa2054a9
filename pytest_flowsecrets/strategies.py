"""Hypothesis strategies for what people write where secrets are read.

Needs the extra ``strategies``. Arguments are checked when a strategy is built, not when the first example is drawn.

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
