"""YAML files that are to be templates or manifests."""

from __future__ import annotations

import builtins

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.agents import manifests

yaml = pytest.importorskip("yaml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: {{ name }}: b", ":1:14: no YAML; a template with {{ }} has to be rendered first"),
        ("a: 'x", ":1:6: no YAML; a template with {{ }} has to be rendered first"),
        ("- a\n", ": a job template is one mapping, and this is list"),
        ("text", ": a job template is one mapping, and this is str"),
        ("a: 1\n---\nb: 2\n", ": a job template is one mapping, and this is 2 documents"),
        ("", ": a job template is one mapping, and this is 0 documents"),
        ("[" * 2000, ": nested too deeply"),
        ("a: \x00", ": no YAML; a template with {{ }} has to be rendered first"),
    ],
    ids=["braces", "open", "list", "text", "two", "none", "deep", "binary"],
)
def test_what_is_no_template(tmp_path, text, told):
    """One line with file, line and column where they are known, and no text of the file."""
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        manifests.load_one(path, "job template")
    assert str(caught.value) == f"{path}{told}"


def test_files_that_cannot_be_read(tmp_path):
    """Missing, or not UTF-8."""
    with pytest.raises(UsageError, match=r"no such file or directory$"):
        manifests.load_one(str(tmp_path / "gone.yaml"), "job template")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UsageError, match=r"not UTF-8$"):
        manifests.load_one(tmp_path / "latin.yaml", "job template")


def test_what_is_neither_mapping_nor_path():
    """A list, say."""
    with pytest.raises(UsageError, match=r"^a job template is a mapping or the path of a YAML file, not a list$"):
        manifests.load_one([], "job template")
    assert manifests.load_one({"a": 1}, "job template") == {"a": 1}


def test_without_pyyaml(monkeypatch):
    """The line says what to install."""
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"^reading YAML needs PyYAML: pip install 'pytest-flowsecrets\[check\]'$"):
        manifests.load_all("job.yaml")
