"""`load_one` and `load_all` read templates and manifests from YAML files."""

from __future__ import annotations

import builtins

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.agents import manifests

yaml = pytest.importorskip("yaml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {{ name }}: b", ":1:14: not valid YAML; render a template with {{ }} first"),
        ("a: 'x", ":1:6: not valid YAML; render a template with {{ }} first"),
        ("- a\n", ": a job template must be one mapping, but this is list"),
        ("text", ": a job template must be one mapping, but this is str"),
        ("a: 1\n---\nb: 2\n", ": a job template must be one mapping, but this is 2 documents"),
        ("", ": a job template must be one mapping, but this is 0 documents"),
        ("[" * 2000, ": nested too deeply"),
        ("a: \x00", ": not valid YAML; render a template with {{ }} first"),
    ],
    ids=["braces", "open", "list", "text", "two", "none", "deep", "binary"],
)
def test_what_is_no_template(tmp_path, text, message):
    """An invalid template is one line with the position, without text of the file."""
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        manifests.load_one(path, "job template")
    assert str(caught.value) == f"{path}{message}"


def test_files_that_cannot_be_read(tmp_path):
    """A file that is missing or not UTF-8 is one line."""
    with pytest.raises(UsageError, match=r"no such file or directory$"):
        manifests.load_one(str(tmp_path / "gone.yaml"), "job template")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UsageError, match=r"not UTF-8$"):
        manifests.load_one(tmp_path / "latin.yaml", "job template")


def test_what_is_neither_mapping_nor_path():
    """A source that is neither a mapping nor a path is an error."""
    with pytest.raises(UsageError, match=r"^a job template must be a mapping or the path of a YAML file, not a list$"):
        manifests.load_one([], "job template")
    assert manifests.load_one({"a": 1}, "job template") == {"a": 1}


def test_without_pyyaml(monkeypatch):
    """Without PyYAML the error says what to install."""
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"^reading YAML needs PyYAML: pip install 'pytest-flowsecrets\[check\]'$"):
        manifests.load_all("job.yaml")
