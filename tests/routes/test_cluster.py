"""``ClusterSecrets`` holds Secrets and ConfigMaps, set by a test or read from manifests."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import ClusterSecrets, UsageError

SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "github"}}


def test_a_mapping_of_objects():
    """Objects are set, read and removed by name, and the repr shows names and keys but no values."""
    secrets = ClusterSecrets()
    secrets["github"] = {"token": "x", "binary": b"y"}
    assert dict(secrets["github"]) == {"token": "x", "binary": "y"}
    assert (list(secrets), len(secrets), "github" in secrets) == (["github"], 1, True)
    assert repr(secrets) == "<Secrets in default: {'github': ['binary', 'token']}>"
    del secrets["github"]
    assert list(secrets) == []
    with pytest.raises(KeyError):
        secrets["github"]


def test_config_maps_stand_beside():
    """A Secret and a ConfigMap can have the same name."""
    secrets = ClusterSecrets()
    secrets["one"] = {"a": "1"}
    secrets.config_maps["one"] = {"b": "2"}
    assert dict(secrets["one"]) == {"a": "1"}
    assert dict(secrets.config_maps["one"]) == {"b": "2"}
    assert repr(secrets.config_maps) == "<ConfigMaps in default: {'one': ['b']}>"


def test_data_is_base64_and_string_data_wins():
    """``data`` is Base64, with line breaks ignored, and ``stringData`` overrides it."""
    secrets = ClusterSecrets()
    secrets.apply({**SECRET, "data": {"token": "eA==", "long": "eHh4\neHh4\n"}, "stringData": {"token": "y"}})
    assert dict(secrets["github"]) == {"token": "y", "long": "xxxxxx"}


def test_a_config_map_is_text_and_its_binary_data_base64():
    """``data`` of a ConfigMap is plain text, and ``binaryData`` is Base64."""
    secrets = ClusterSecrets()
    secrets.apply({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "x"}, "binaryData": {"b": "eA=="}})
    assert dict(secrets.config_maps["c"]) == {"a": "x", "b": "x"}


def test_the_objects_of_yaml_files(tmp_path):
    """`load` reads several documents and Lists, and ignores other kinds."""
    pytest.importorskip("yaml")
    path = tmp_path / "secrets.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: github}\ndata: {token: eA==}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n---\n---\n"
        "kind: List\nitems:\n- {kind: Secret, metadata: {name: slack}, stringData: {url: y}}\n"
    )
    secrets = ClusterSecrets()
    secrets.load(path)
    assert {name: dict(secrets[name]) for name in secrets} == {"github": {"token": "x"}, "slack": {"url": "y"}}


def test_another_namespace_is_another_place():
    """A pod gets only Secrets of its own namespace."""
    secrets = ClusterSecrets()
    secrets.apply({**SECRET, "metadata": {"name": "github", "namespace": "prod"}, "stringData": {"token": "x"}})
    assert list(secrets) == []
    assert secrets.texts("Secret", "github") is None
    prod = ClusterSecrets("prod")
    prod.apply({**SECRET, "metadata": {"name": "github", "namespace": "prod"}, "stringData": {"token": "x"}})
    assert prod.texts("Secret", "github") == {"token": "x"}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ([], "a manifest must be a mapping with apiVersion and kind, not list"),
        ({"kind": "Secret"}, "None is not a valid Secret name"),
        ({"kind": "Secret", "metadata": {"name": "My_Secret"}}, "'My_Secret' is not a valid Secret name"),
        (
            {**SECRET, "data": {"token": "hush!"}},
            "Secret github: token in data is not Base64; use stringData for plain text",
        ),
        ({**SECRET, "data": {"token": 5}}, "Secret github: token in data is not Base64; use stringData for plain text"),
        ({**SECRET, "stringData": {"token": 5}}, "Secret github: token must be a string, not int: put it in quotes"),
        ({**SECRET, "data": ["hush"]}, "the Secret: data is a list, but must be a mapping"),
        ({**SECRET, "stringData": "hush"}, "the Secret: stringData is a str, but must be a mapping"),
        ({"kind": "ConfigMap", "metadata": "hush"}, "the ConfigMap: metadata is a str, but must be a mapping"),
        ({**SECRET, "stringData": {"my key": "x"}}, "Secret github: 'my key' is not a valid key"),
    ],
)
def test_what_kubernetes_would_refuse(manifest, message):
    """The error about an invalid object contains kind, name and key, but no value."""
    with pytest.raises(UsageError) as caught:
        ClusterSecrets().apply(manifest)
    assert str(caught.value).startswith(message)
    assert "hush" not in str(caught.value)


def test_an_object_is_a_mapping():
    """Data that is a string is an error."""
    with pytest.raises(UsageError, match=r"^Secret github: the data must be a mapping of keys to strings, not str$"):
        ClusterSecrets()["github"] = "x"


def test_what_is_no_path_no_list_and_no_name():
    """An invalid path, list or name is one line; a number is not used as a file descriptor."""
    for call, message in (
        (lambda: ClusterSecrets().load(424242), "the path of a YAML file must be a string, not an int"),
        (
            lambda: ClusterSecrets().apply({"kind": "List", "items": 424242}),
            "the List: items is an int, but must be a list",
        ),
        (lambda: ClusterSecrets().update({("424242",): {}}), "the name of a Secret must be a string, not a tuple"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert str(caught.value).startswith(message)
        assert "424242" not in str(caught.value)


def test_an_object_that_is_not_there():
    """A missing object is a KeyError with the name."""
    cluster = ClusterSecrets()
    with pytest.raises(KeyError, match=r"^'github'$"):
        cluster["github"]
    with pytest.raises(KeyError, match=r"^'github'$"):
        del cluster["github"]
