"""``run(flow)`` with a storage on the network: the error, and the ways to run offline."""

from __future__ import annotations

import socket

import pytest

from pytest_flowsecrets import FakeCloud, FakeServer, UsageError
from pytest_flowsecrets.backend.runs.storages import storage_of
from pytest_flowsecrets.errors import with_article
from tests.compat import VERSION
from tests.document_examples import ROOT, run_tests, write_examples

pytestmark = pytest.mark.skipif(VERSION is None or VERSION < (0, 15), reason="real flow runs are for Prefect 0.15.0 on")
S = "PREFECT__CONTEXT__SECRETS__"


def github(**more):
    from prefect.storage import GitHub

    return GitHub(repo="me/flows", path="flow.py", **more)


def gitlab(**more):
    from prefect.storage import GitLab

    return GitLab(repo="me/flows", path="flow.py", **more)


def bitbucket(**more):
    from prefect.storage import Bitbucket

    return Bitbucket(project="me", repo="flows", path="flow.py", **more)


def git(**more):
    from prefect.storage import Git

    return Git(flow_path="flow.py", **{"repo": "me/flows", **more})


def s3(**more):
    from prefect.storage import S3

    return S3(bucket="b", **more)


def codecommit(**more):
    from prefect.storage import CodeCommit

    return CodeCommit(repo="flows", path="flow.py", **more)


def gcs(**more):
    from prefect.storage import GCS

    return GCS(bucket="b", **more)


def azure(**more):
    from prefect.storage import Azure

    return Azure(container="c", **more)


def docker(**more):
    from prefect.storage import Docker

    return Docker(registry_url="registry.example.com", **more)


def webhook(url, build="http://localhost/"):
    from prefect.storage import Webhook

    return Webhook({"url": build}, "POST", {"url": url}, "GET")


def other():
    from prefect.storage import GitHub

    return type("Mine", (GitHub,), {})(repo="me/flows", path="flow.py")


REMOTE = {
    "github": (github, "api.github.com", "base_url"),
    "github enterprise": (
        lambda: github(base_url="https://u:hunter2@git.example.com/api"),
        "git.example.com",
        "base_url",
    ),
    "gitlab": (gitlab, "gitlab.com", "host"),
    "bitbucket": (lambda: bitbucket(host="bitbucket.example.com"), "bitbucket.example.com", "host"),
    "bitbucket cloud": (bitbucket, "api.bitbucket.org", "host"),
    "git": (git, "github.com", "repo and repo_host"),
    "git of a secret": (
        lambda: git(repo=None, git_clone_url_secret_name="URL"),
        "the address in the secret 'URL'",
        "repo and repo_host",
    ),
    "s3": (s3, "Amazon S3", "client_options or AWS_ENDPOINT_URL"),
    "s3 elsewhere": (
        lambda: s3(client_options={"endpoint_url": "http://minio:9000"}),
        "minio",
        "client_options or AWS_ENDPOINT_URL",
    ),
    "codecommit": (codecommit, "Amazon CodeCommit", "client_options or AWS_ENDPOINT_URL"),
    "gcs": (gcs, "Google Cloud Storage", "STORAGE_EMULATOR_HOST"),
    "azure": (azure, "Azure", "AZURE_STORAGE_CONNECTION_STRING"),
    "docker": (docker, "a Docker daemon to build an image", ""),
    "webhook": (lambda: webhook("https://example.com/flow?token=hunter2"), "example.com", "its url"),
    "webhook of a variable": (lambda: webhook("${HOOK}"), "${hook}", "its url"),
    "webhook to write": (lambda: webhook("http://localhost/", "/flow"), "an address without a host", "its url"),
    "a subclass": (other, "api.github.com", "base_url"),
}
HERE = {
    "github": (lambda: github(base_url="http://127.0.0.1:8080/api"), {}),
    "gitlab": (lambda: gitlab(host="http://localhost:8080"), {}),
    "bitbucket": (lambda: bitbucket(host="http://[::1]:8080"), {}),
    "git": (lambda: git(repo_host="localhost:8080"), {}),
    "s3": (lambda: s3(client_options={"endpoint_url": "http://127.0.0.1:9000"}), {}),
    "s3 by a variable": (s3, {"AWS_ENDPOINT_URL_S3": "http://localhost:9000"}),
    "codecommit by a variable": (codecommit, {"AWS_ENDPOINT_URL": "http://localhost:9000"}),
    "gcs by a variable": (gcs, {"STORAGE_EMULATOR_HOST": "localhost:4443"}),
    "azurite": (azure, {"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"}),
    "azurite in full": (
        azure,
        {"AZURE_STORAGE_CONNECTION_STRING": "AccountKey=x;BlobEndpoint=http://127.0.0.1:10000/a;"},
    ),
    "webhook": (lambda: webhook("http://127.0.0.1:1/"), {}),
}


@pytest.fixture
def flow():
    import prefect
    from prefect.client import Secret

    @prefect.task
    def read():
        prefect.context.logger.info("TOKEN has %d characters", len(Secret("TOKEN").get()))

    with prefect.Flow("stored") as flow:
        read()
    return flow


def instance(make):
    try:
        return make()
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("make", "place", "setting"), REMOTE.values(), ids=REMOTE)
def test_a_storage_on_the_network_is_refused(flow, monkeypatch, make, place, setting):
    """One line names the host, the setting of the address and the alternatives; nothing is registered or requested."""
    flow.storage = instance(make)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    with FakeCloud({"TOKEN": "x"}) as cloud:
        with pytest.raises(UsageError) as caught:
            cloud.run(flow)
        assert not cloud.requests
        messages = str(caught.value)
        assert messages.startswith(
            f"run() would access {place}, because the storage of this flow is {with_article(type(flow.storage).__name__)}: "
        )
        assert "storage='local'" in messages
        assert (f" on 127.0.0.1 with {setting}, or pass " in messages) == bool(setting)
        assert "hunter2" not in messages
        assert storage_of(cloud, flow, flow.storage) is flow.storage  # said so


@pytest.mark.parametrize("make_and_variables", HERE.values(), ids=HERE)
def test_a_double_on_this_machine_is_not(flow, monkeypatch, make_and_variables):
    """A storage that its options or variables point to this machine is accepted."""
    make, variables = make_and_variables
    flow.storage = instance(make)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    with FakeCloud() as cloud:
        assert storage_of(cloud, flow, None) is flow.storage


def test_storages_without_an_address(flow, tmp_path):
    """Storages without an address, of Prefect or a user, are accepted."""
    from prefect.storage import Local, Module, Storage

    with FakeCloud() as cloud:
        for storage in (
            Local(),
            Module("stored"),
            type("Mine", (Storage,), dict.fromkeys(("add_flow", "get_flow", "build")))(),
        ):
            flow.storage = storage
            assert storage_of(cloud, flow, None) is storage
        with pytest.raises(UsageError, match=r"^storage must be 'local' or a Prefect storage, not an int$"):
            cloud.run(flow, storage=5)


@pytest.mark.slow
def test_it_runs_without_the_network(flow, monkeypatch):
    """``storage="local"`` keeps the secrets and labels of the flow's storage, and does not change the flow."""
    queries = []
    real = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda this, to: (queries.append(to[0]), real(this, to))[1])
    flow.storage = storage = instance(lambda: github(secrets=["TOKEN"], labels=["mine"]))
    with FakeCloud({"TOKEN": "hunter2"}) as cloud:
        run = cloud.run(flow, storage="local")
        assert run.state.is_successful(), run.state.message
        assert "TOKEN has 7 characters" in [line.message for line in run.logs]
        assert run.environment["PREFECT__CLOUD__AGENT__LABELS"] == "['mine']"
        assert cloud.run(flow, in_process=True).state.is_successful()
    assert flow.storage is storage
    assert set(queries) <= {"127.0.0.1"}


@pytest.mark.slow
def test_without_a_storage(flow):
    """A flow without a storage is stored in the home of the test."""
    with FakeServer() as server:
        assert server.run(flow, run_config={f"{S}TOKEN": "x"}).state.is_successful()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["github-storage", "production-flow", "s3-results"])
def test_recipes_that_need_the_clients_of_services(tmp_path, name):
    """The examples of the recipes pass, and skip no test, where PyGithub and boto3 are installed."""
    pytest.importorskip("github", reason="needs PyGithub")
    pytest.importorskip("boto3")
    assert write_examples(tmp_path, tests=True, documents=[ROOT / "docs" / "how-to" / f"{name}.md"])
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nflowsecrets_leaks = fail\n")
    result = run_tests(tmp_path, "-Werror::pytest_flowsecrets.SecretChangedWarning")
    assert result.returncode == 0, result.stdout
    assert "skipped" not in result.stdout.splitlines()[-1]
