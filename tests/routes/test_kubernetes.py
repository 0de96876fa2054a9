"""The environment of a container, as the kubelet makes it."""

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
    """And so does one to a ConfigMap; neither is expanded."""
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
    ("source", "told"),
    [
        (reference("gone", "token"), 'secret "gone" not found; '),
        (reference("github", "gone"), "couldn't find key gone in Secret default/github; "),
        ({"configMapKeyRef": {"name": "gone", "key": "k"}}, 'configmap "gone" not found; '),
    ],
)
def test_a_missing_object_or_key_is_the_failure_of_the_pod(cluster, source, told):
    """With name and key, and what to write to have it."""
    with pytest.raises(CreateContainerConfigError) as caught:
        pod([{"name": "TOKEN", "valueFrom": source}], secrets=cluster)
    kind = "cluster_secrets.config_maps" if "configMapKeyRef" in source else "cluster_secrets"
    assert str(caught.value).startswith(told)
    assert f"set {kind}['" in str(caught.value)
    assert "of the Secret" not in str(caught.value)


def test_a_missing_object_of_env_from_is_the_failure_of_the_pod(cluster):
    """Here no key is wanted."""
    with pytest.raises(CreateContainerConfigError, match=r"set cluster_secrets\['gone'\] = {...}"):
        pod(env_from=[{"secretRef": {"name": "gone"}}], secrets=cluster)


def test_optional_references_may_be_missing(cluster):
    """The variable is not set then, and a note says so; a former one of the same name stays."""
    env = pod(
        [
            {"name": "token", "valueFrom": reference("gone", "token", optional=True)},
            {"name": "OTHER", "valueFrom": reference("github", "gone", optional=True)},
        ],
        [{"secretRef": {"name": "github"}}, {"secretRef": {"name": "gone", "optional": True}}],
        cluster,
    )
    assert env == {"token": "of the Secret", "dotted.key": "2"}
    assert "OTHER: secretKeyRef github/gone is not there, which is allowed: optional" in env.notes


def test_env_from_takes_all_keys_with_a_prefix(cluster):
    """A key that can be no variable's name is left out, and a note says so."""
    cluster["github"] = {"token": "x", "1st": "y"}
    env = pod(
        env_from=[{"secretRef": {"name": "github"}}, {"prefix": "P_", "secretRef": {"name": "github"}}], secrets=cluster
    )
    assert env == {"token": "x", "P_token": "x", "P_1st": "y"}
    assert env.notes == ("envFrom secretRef github: '1st' can be no variable, the kubelet leaves it out",)


def test_env_beats_env_from_and_the_last_of_several_wins(cluster):
    """Of several envFrom the later one, of several entries of env the later one; what is beaten is told."""
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
    """As the kubelet does it: by what stands before; a password with two dollars loses one."""
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
    """They are listed, and reading one says why."""
    env = pod(
        [
            {"name": "TOKEN", "valueFrom": reference("github", "token")},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "EMPTY"},
        ],
        [{"secretRef": {"name": "github"}}],
    )
    assert (env.unresolved, dict(env)) == (("TOKEN", "NODE"), {"EMPTY": ""})
    assert env.notes == ("envFrom secretRef github: what it holds is known only in the cluster",)
    with pytest.raises(KeyError, match=r"secretKeyRef github/token is known only where the flow runs"):
        env["TOKEN"]


def test_what_only_a_node_knows_stays_unresolved_in_a_cluster(cluster):
    """``fieldRef``, ``resourceFieldRef``."""
    env = pod([{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}], secrets=cluster)
    assert env.unresolved == ("NODE",)
    assert env.variables["NODE"].detail == "fieldRef spec.nodeName"


def test_a_variable_cannot_hold_nul(cluster):
    """A Secret can: then the container cannot start."""
    cluster["binary"] = {"key": b"\0"}
    with pytest.raises(UsageError, match=r"^BINARY holds NUL, which no variable can$"):
        pod([{"name": "BINARY", "valueFrom": reference("binary", "key")}], secrets=cluster)


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ({"name": "A", "value": True}, "env A: the value is a bool, and Kubernetes takes text only: put it in quotes"),
        ({"name": "A", "value": 5}, "env A: the value is a int, and Kubernetes takes text only: put it in quotes"),
        ({"value": "x"}, "env: None can be no name of a variable"),
        ({"name": "a=b", "value": "x"}, "env: 'a=•••' can be no name of a variable"),
        (
            {"name": "A", "value": "x", "valueFrom": reference("a", "b")},
            "env A: value and valueFrom exclude each other",
        ),
    ],
)
def test_what_the_api_server_refuses(variable, told):
    """Before any pod is made."""
    with pytest.raises(UsageError, match=r"^Kubernetes refuses the job: ") as caught:
        kubernetes.require_accepted({"name": "flow", "env": [{"name": "FINE", "value": "x"}, variable]})
    assert str(caught.value).endswith(told)


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ([], "the job template is a list where a mapping should be"),
        ({"spec": None}, "the job template is a NoneType where a mapping should be"),
        ({"spec": {"template": {"spec": {"containers": {}}}}}, "the containers of the job template are no list"),
        ({"spec": {"template": {"spec": {"containers": ["flow"]}}}}, "a container of the job template is no mapping"),
        ({"spec": {"template": {"spec": "x"}}}, "the containers of the job template are no list"),
    ],
)
def test_what_is_no_job_template(job, told):
    """One line says what a job template is."""
    with pytest.raises(UsageError, match=r"a job template is a Job with spec.template.spec.containers$") as caught:
        kubernetes.container_of(job)
    assert str(caught.value).startswith(told)


def test_a_container_has_a_name():
    """A template without any container gets one of Prefect, without a name, and Kubernetes refuses it."""
    with pytest.raises(UsageError, match=r"its first container is missing or has no name: write containers: "):
        kubernetes.require_accepted(kubernetes.container_of({}))


def test_a_template_may_leave_out_everything():
    """Prefect fills in the rest."""
    assert kubernetes.container_of({}) == {}
    assert kubernetes.container_of({"spec": {"template": {"spec": {"containers": []}}}}) == {}


def test_an_unknown_kind_of_reference_has_no_words():
    """Nothing is guessed."""
    assert kubernetes.entry_of({"name": "A", "valueFrom": {"newRef": "x"}}).detail == "valueFrom"
