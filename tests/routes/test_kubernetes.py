"""The environment of a container is the one that the kubelet creates."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import ClusterSecrets, CreateContainerConfigError, UsageError
from pytest_flowsecrets.agents import kubernetes


def reference(name, key, **more):
    return {"secretKeyRef": {"name": name, "key": key, **more}}


def pod(env=(), env_from=(), secrets=None):
    entries = [kubernetes.entry_of(each) for each in env]
    return kubernetes.in_pod("1.4.1", entries, [], env_from, secrets)


@pytest.fixture
def cluster():
    secrets = ClusterSecrets()
    secrets["github"] = {"token": "of the Secret", "dotted.key": "2"}
    secrets.config_maps["settings"] = {"level": "DEBUG"}
    return secrets


def test_a_reference_gives_what_the_secret_holds(cluster):
    """A reference to a Secret or a ConfigMap gives its value, which is not expanded."""
    cluster["raw"] = {"text": "$(HOME) $$"}
    env = pod(
        [
            {"name": "TOKEN", "valueFrom": reference("github", "token")},
            {"name": "RAW", "valueFrom": reference("raw", "text")},
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
        ],
        secrets=cluster,
    )
    assert env == {"TOKEN": "of the Secret", "RAW": "$(HOME) $$", "LEVEL": "DEBUG"}
    assert str(env.variables["TOKEN"]) == "the template: secretKeyRef github/token"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (reference("gone", "token"), 'secret "gone" not found; '),
        (reference("github", "gone"), "couldn't find key gone in Secret default/github; "),
        ({"configMapKeyRef": {"name": "gone", "key": "k"}}, 'configmap "gone" not found; '),
    ],
)
def test_a_missing_object_or_key_is_the_failure_of_the_pod(cluster, source, message):
    """The error about a missing object or key contains its name and how to create it."""
    with pytest.raises(CreateContainerConfigError) as caught:
        pod([{"name": "TOKEN", "valueFrom": source}], secrets=cluster)
    kind = "cluster_secrets.config_maps" if "configMapKeyRef" in source else "cluster_secrets"
    assert str(caught.value).startswith(message)
    assert f"set {kind}['" in str(caught.value)
    assert "of the Secret" not in str(caught.value)


def test_a_missing_object_of_env_from_is_the_failure_of_the_pod(cluster):
    """The error about a missing object of ``envFrom`` names no key."""
    with pytest.raises(CreateContainerConfigError, match=r"set cluster_secrets\['gone'\] = {...}"):
        pod(env_from=[{"secretRef": {"name": "gone"}}], secrets=cluster)


def test_optional_references_may_be_missing(cluster):
    """A missing optional reference sets nothing and is a note; an earlier variable of the name stays."""
    env = pod(
        [
            {"name": "token", "valueFrom": reference("gone", "token", optional=True)},
            {"name": "OTHER", "valueFrom": reference("github", "gone", optional=True)},
        ],
        [{"secretRef": {"name": "github"}}, {"secretRef": {"name": "gone", "optional": True}}],
        cluster,
    )
    assert env == {"token": "of the Secret", "dotted.key": "2"}
    assert "OTHER: secretKeyRef github/gone does not exist, but it is optional" in env.notes


def test_env_from_takes_all_keys_with_a_prefix(cluster):
    """``envFrom`` sets all keys with a prefix; a note names keys that are not valid variable names."""
    cluster["github"] = {"token": "x", "1st": "y"}
    env = pod(
        env_from=[{"secretRef": {"name": "github"}}, {"prefix": "P_", "secretRef": {"name": "github"}}], secrets=cluster
    )
    assert env == {"token": "x", "P_token": "x", "P_1st": "y"}
    assert env.notes == ("envFrom secretRef github: the kubelet skips '1st', which is not a valid variable name",)


def test_env_beats_env_from_and_the_last_of_several_wins(cluster):
    """``env`` overrides ``envFrom``, later items override earlier ones, and overridden ones are listed."""
    cluster["other"] = {"token": "of the other"}
    both = [{"secretRef": {"name": "github"}}, {"secretRef": {"name": "other"}}]
    assert pod(env_from=both, secrets=cluster)["token"] == "of the other"
    env = pod([{"name": "token", "value": "first"}, {"name": "token", "value": "last"}], both, cluster)
    assert env["token"] == "last"
    assert [(lost.entry.detail, lost.winner.value) for lost in env.lost] == [
        ("envFrom secretRef github", "of the other"),
        ("envFrom secretRef other", "first"),
        ("", "last"),
    ]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("$(A)-$(B)", "a-b"),
        ("$(LATER) $(GONE)", "$(LATER) $(GONE)"),
        ("pa$$word", "pa$word"),
        ("$$(A)", "$(A)"),
        ("$A ${A} $(A $", "$A ${A} $(A $"),
        ("$()", "$()"),
        ("", ""),
    ],
)
def test_references_in_values_are_expanded(text, becomes):
    """``$(NAME)`` is replaced by the value so far, and two dollars become one."""
    env = pod(
        [
            {"name": "A", "value": "a"},
            {"name": "B", "value": "b"},
            {"name": "TESTED", "value": text},
            {"name": "LATER", "value": "l"},
        ]
    )
    assert env["TESTED"] == becomes


def test_without_a_cluster_references_stay_unresolved():
    """Without a cluster, references are listed as unresolved, and reading one is an error with the reason."""
    env = pod(
        [
            {"name": "TOKEN", "valueFrom": reference("github", "token")},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "EMPTY"},
        ],
        [{"secretRef": {"name": "github"}}],
    )
    assert (env.unresolved, dict(env)) == (("TOKEN", "NODE"), {"EMPTY": ""})
    assert env.notes == ("envFrom secretRef github: its content is known only in the cluster",)
    with pytest.raises(KeyError, match=r"secretKeyRef github/token is known only where the flow runs"):
        env["TOKEN"]


def test_what_only_a_node_knows_stays_unresolved_in_a_cluster(cluster):
    """``fieldRef`` and ``resourceFieldRef`` stay unresolved."""
    env = pod([{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}], secrets=cluster)
    assert env.unresolved == ("NODE",)
    assert env.variables["NODE"].detail == "fieldRef spec.nodeName"


def test_a_variable_cannot_hold_nul(cluster):
    """A value with NUL in a Secret is an error, because the container cannot start."""
    cluster["binary"] = {"key": b"\0"}
    with pytest.raises(UsageError, match=r"^BINARY contains NUL, which a variable cannot$"):
        pod([{"name": "BINARY", "valueFrom": reference("binary", "key")}], secrets=cluster)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (
            {"name": "A", "value": True},
            "env A: the value is a bool, but Kubernetes accepts only strings: put it in quotes",
        ),
        (
            {"name": "A", "value": 5},
            "env A: the value is an int, but Kubernetes accepts only strings: put it in quotes",
        ),
        ({"value": "x"}, "env: None is not a valid variable name"),
        ({"name": "a=b", "value": "x"}, "env: 'a=•••' is not a valid variable name"),
        (
            {"name": "A", "value": "x", "valueFrom": reference("a", "b")},
            "env A: value and valueFrom exclude each other",
        ),
    ],
)
def test_what_the_api_server_refuses(variable, message):
    """An invalid variable is an error, as in the API server."""
    with pytest.raises(UsageError, match=r"^Kubernetes rejects the job: ") as caught:
        kubernetes.validate_container({"name": "flow", "env": [{"name": "FINE", "value": "x"}, variable]})
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ([], "the job template has a list where a mapping is expected"),
        ({"spec": None}, "the job template has a NoneType where a mapping is expected"),
        ({"spec": {"template": {"spec": {"containers": {}}}}}, "the containers of the job template are not a list"),
        (
            {"spec": {"template": {"spec": {"containers": ["flow"]}}}},
            "a container of the job template is not a mapping",
        ),
        ({"spec": {"template": {"spec": "x"}}}, "the containers of the job template are not a list"),
    ],
)
def test_what_is_no_job_template(job, message):
    """The error about an invalid job template says what a job template is."""
    with pytest.raises(UsageError, match=r"a job template is a Job with spec.template.spec.containers$") as caught:
        kubernetes.container_of(job)
    assert str(caught.value).startswith(message)


def test_a_container_has_a_name():
    """A template without containers is an error, because Kubernetes rejects Prefect's container without a name."""
    with pytest.raises(UsageError, match=r"its first container is missing or has no name: write containers: "):
        kubernetes.validate_container(kubernetes.container_of({}))


def test_a_template_may_leave_out_everything():
    """An empty template is valid, because Prefect fills in the rest."""
    assert kubernetes.container_of({}) == {}
    assert kubernetes.container_of({"spec": {"template": {"spec": {"containers": []}}}}) == {}


def test_an_unknown_kind_of_reference_has_no_words():
    """An unknown kind of reference is described as ``valueFrom``."""
    assert kubernetes.entry_of({"name": "A", "valueFrom": {"newRef": "x"}}).detail == "valueFrom"
