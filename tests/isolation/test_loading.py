"""Configurations that are loaded again: the cache makes no difference."""

from __future__ import annotations

import os
import sys

import pytest

from pytest_flowsecrets import isolated_prefect
from pytest_flowsecrets.backend.fake_cloud import FakeCloud
from pytest_flowsecrets.isolation import stack
from tests.compat import needs_prefect

pytestmark = needs_prefect
API, KEY = "PREFECT__CLOUD__API", "PREFECT__CLOUD__API_KEY"


@pytest.fixture
def loader():
    with isolated_prefect({"TOKEN": "x"}):
        loader = stack.current().legacy.loader
        if not loader.is_plain(os.environ):
            pytest.skip("the defaults of this Prefect refer to each other: everything is loaded every time")
        yield loader


def agree(loader):
    """Return whether the cached path has the same result as Prefect's own loader."""
    tree = loader.load()
    assert loader.is_plain(os.environ)
    everything = loader._load_all(os.environ)
    everything["context"].setdefault("secrets", type(everything)())
    return tree == everything


@pytest.mark.parametrize(
    "key",
    ["plain-text", "4200", "true", "1e5", "~", "0x10", "'quoted'", "", "stand-in-0-for", "[1]", "stand-in-1-for" * 3],
)
def test_varying_variables(loader, monkeypatch, key):
    """The cache handles any text in the address and the keys of an API as Prefect does."""
    for address in ("http://127.0.0.1:1/a", "http://127.0.0.1:2/b"):
        monkeypatch.setenv(API, address)
        monkeypatch.setenv(KEY, key)
        assert agree(loader)
    assert (os.environ[API], os.environ[KEY]) == ("http://127.0.0.1:2/b", key)


def test_apis_one_after_the_other(loader):
    """Each API has its own address and keys, also where another value contains the address."""
    with FakeCloud() as one:
        assert agree(loader)
        address = one.url
        assert address in str(loader.load())
    with FakeCloud() as other:
        assert agree(loader)
        assert other.url in str(loader.load())
        assert address not in str(loader.load())


@pytest.mark.slow
def test_many_environments(loader, monkeypatch):
    """The size of the cache is limited."""
    for number in range(60):
        monkeypatch.setenv("PREFECT__LOGGING__LEVEL", f"LEVEL{number}")
        assert agree(loader)
    assert len(loader._bases) <= 51


def test_other_threads_never_see_a_stand_in(loader, monkeypatch):
    """Loading writes no environment variable, so the writes of other threads are not lost."""
    writes = []
    monkeypatch.setenv(KEY, "a-key")
    monkeypatch.setenv("PREFECT__LOGGING__LEVEL", "LEVEL_OF_THIS_TEST")
    module = dict(vars(loader._configuration))
    sys.addaudithook(lambda event, arguments: writes.append(arguments) if event == "os.putenv" and active else None)
    active = [True]
    try:
        tree = loader.load()
    finally:
        active.clear()
    assert writes == []
    assert tree["cloud"]["api_key"] == "a-key"
    assert vars(loader._configuration) == module


def test_a_file_that_cannot_be_read(monkeypatch):
    """An operating system error that names no file is raised unchanged, without advice about files."""
    with isolated_prefect() as secrets:
        monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", "/proc/self/mem")
        with pytest.raises(OSError, match="Input/output error") as caught:
            secrets.reload()
        assert caught.value.filename is None
        monkeypatch.delenv("PREFECT__USER_CONFIG_PATH")
