"""The routes of Prefect 2.20 and 3, and ``flow_environment``, in this process: the real classes of workers prepare jobs.

``test_workers.py`` runs flow runs by a real worker, in processes of their own.
"""

from __future__ import annotations

import os
import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from prefect.blocks.system import Secret
from prefect.variables import Variable

from pytest_flowsecrets import ClusterSecrets, CreateContainerConfigError, UsageError, exact, routes
from pytest_flowsecrets import flow_environment as public_flow_environment
from pytest_flowsecrets.workers.routes import ROUTES, deliver
from tests.prefect3.compat import IS_TYPED, RELEASE, VERSION

needs_kubernetes = pytest.mark.skipif(
    not find_spec("prefect_kubernetes"), reason="needs the package prefect-kubernetes"
)
EVERY = [f"{route}:{variant}" if variant else route for route, variants in ROUTES.items() for variant in variants]
EXACT = ["4711", "0x1F", "true", "null", "1e5", " 7 ", '{"a": 1}', "[1]", '"x"', "$(X)", "a\\b\n"]
TEXT = 'a$b "q" \\ $(X) é\n{"k": 1}'


def read(route, name):
    """Read a secret where the route delivers it."""
    variable = name.upper().replace("-", "_")
    if route == "block":
        return Secret.load(name.replace("_", "-")).get()
    if route == "variable":
        value = Variable.get(name.replace("-", "_"))
        return value if IS_TYPED else value.value
    return Path(variable).read_text("utf-8") if route == "pull_step" else os.environ[variable]


# -- the marker --------------------------------------------------------------------------------------------------------


@pytest.mark.secrets({"my_token": TEXT, "other-token": "0042"})
@pytest.mark.secret_routes(*EVERY)
def test_every_route_and_variant_delivers_the_secrets(secret_route):
    """Template code of the installed Prefect resolves the secrets in this process. No variant changes a text."""
    route = secret_route.partition(":")[0]
    assert (read(route, "my_token"), read(route, "other-token")) == (TEXT, "0042")
    in_environment = route in ("env", "job_variables", "job_template")
    assert ("MY_TOKEN" in os.environ, Path("MY_TOKEN").exists()) == (in_environment, route == "pull_step")


def test_nothing_is_left_of_a_route(local_secrets):
    """After the tests above there is no variable, no file, no block and no variable of Prefect."""
    assert "MY_TOKEN" not in os.environ
    assert not Path("MY_TOKEN").exists()
    assert dict(local_secrets) == {}
    assert Variable.get("my_token") is None


@pytest.mark.secrets(token="first")
@pytest.mark.secret_routes("block", "job_variables")
def test_local_secrets_goes_together_with_a_route(secret_route, local_secrets, prefect_server):
    """``local_secrets`` holds the blocks, a write-only API still gives them to workers, and a rotated value arrives."""
    assert local_secrets["TOKEN"] == "first"
    local_secrets["TOKEN"] = "second"
    assert read(secret_route, "token") == ("second" if secret_route == "block" else "first")
    prefect_server.write_only()
    env = public_flow_environment(job_variables={"env": {"TOKEN": "{{ prefect.blocks.secret.token }}"}})
    assert env["TOKEN"] == "second"
    with pytest.raises(Exception, match="write-only"):
        Secret.load("token")
    assert dict(local_secrets) == {"token": "second"}
    prefect_server.assert_never_received("TOKEN")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "run_config",
            f"'run_config' is a route of Prefect 0.5.5 to 1.4.1, and Prefect {VERSION} is installed: use 'job",
        ),
        ("agent:docker", "'agent:docker' is a route of Prefect 0.5.5 to 1.4.1, .*: use 'job_variables' instead"),
        ("cloud", "use 'block' instead"),
        (
            "blok",
            "'blok' is not a route; did you mean block[?] Otherwise choose from all, block, variable, env, job_var",
        ),
        ("job_variables:cloud", "is not a route"),
        ("secretKeyRef", "did you mean job_template:secretKeyRef"),
        (7, "7 is not a route"),
    ],
    ids=str,
)
def test_a_wrong_route_is_one_clear_line(name, message):
    """The line names the route, why it does not exist, and what to use."""
    with pytest.raises(UsageError, match=f"^.*{message}") as caught:
        routes.validate_routes([name])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("route", "value", "result"),
    [
        ("job_variables:block", "a {{ prefect.variables.nope }} b", "a  b"),
        ("job_variables:block", "{{ x }}", "{{ x }}"),
        ("job_variables:variable", "{{ $HOME }}", "{{ $HOME }}"),
        ("pull_step:block", "a {{ prefect.variables.nope }} b", "a  b"),
        ("env", "a {{ prefect.variables.nope }} b", "a {{ prefect.variables.nope }} b"),
    ],
)
def test_a_value_that_looks_like_a_template(flowsecrets_isolation, route, value, result):
    """Prefect resolves templates inside of a block's value once more. The change is reported, without the value."""
    name, _, variant = route.partition(":")
    deliver(name, variant, {"X": value}, flowsecrets_isolation, ClusterSecrets())
    assert read(name, "x") == result
    messages = [str(warning) for warning in flowsecrets_isolation.secrets.value_changes.warnings_for(["X"])]
    assert [" is another str; " in message for message in messages] == [True] * (value != result)
    assert "nope" not in "".join(messages)


@pytest.mark.parametrize("route", [route for route in EVERY if not route.startswith("job_template")])
def test_exact_texts_arrive(flowsecrets_isolation, route):
    """The text arrives as it is by every route and variant, also if it looks like a number or JSON."""
    _deliver_exact(flowsecrets_isolation, route)


@needs_kubernetes
@pytest.mark.parametrize("route", [route for route in EVERY if route.startswith("job_template")])
def test_exact_texts_arrive_in_a_job(flowsecrets_isolation, route):
    """The same for the routes of Kubernetes."""
    _deliver_exact(flowsecrets_isolation, route)


def _deliver_exact(isolation, route):
    texts = {f"exact-{number}": text for number, text in enumerate(EXACT)}
    name, _, variant = route.partition(":")
    deliver(name, variant, {each: exact(text) for each, text in texts.items()}, isolation, ClusterSecrets())
    results = {each: read(name, each.replace("-", "_")) for each in texts}
    assert {each: (type(value), value) for each, value in results.items()} == {
        each: (str, text) for each, text in texts.items()
    }
    assert isolation.secrets.value_changes.warnings_for(texts) == []


@pytest.mark.parametrize("text", ["{{ hidden }}", "{{ $HIDDEN }}"])
@pytest.mark.parametrize("route", [route for route in EVERY if not route.startswith("job_template")])
def test_an_exact_text_that_looks_like_a_template(flowsecrets_isolation, route, text):
    """It arrives as it is, or an error before the run names the secret, never the text. This depends on the release."""
    name, _, variant = route.partition(":")
    try:
        deliver(name, variant, {"X": exact(text)}, flowsecrets_isolation, ClusterSecrets())
    except UsageError as error:
        assert name in ("job_variables", "pull_step")
        assert re.match(
            r"secret 'x': (the route \S+ cannot deliver exactly this text|Prefect \S+ drops X from) ", str(error)
        )
        assert "hidden" not in str(error).lower()
    else:
        assert read(name, "x") == text


@pytest.mark.parametrize(
    ("route", "text"),
    [
        ("job_variables:block", "a {{ prefect.variables.hidden }} b"),
        ("job_variables:env", "{{ prefect.variables.hidden }}"),
        ("pull_step:block", "a {{ prefect.variables.hidden }} b"),
        pytest.param("job_template:value", "hidden$$", marks=needs_kubernetes),
    ],
)
def test_an_exact_text_that_a_route_changes_is_one_clear_line(flowsecrets_isolation, route, text):
    """Prefect or the kubelet would replace a part of the text. The error names secret and route, never the text."""
    name, _, variant = route.partition(":")
    with pytest.raises(UsageError) as caught:
        deliver(name, variant, {"X": exact(text)}, flowsecrets_isolation, ClusterSecrets())
    where = "the file X" if name == "pull_step" else "os.environ['X']"
    assert str(caught.value) == (
        f"secret 'x': the route {route} cannot deliver exactly this text under Prefect {VERSION}: {where} is another "
        "text; use the route env, or omit exact()"
    )


@pytest.mark.parametrize("route", ["env", "job_variables", "pull_step"])
def test_a_value_that_no_environment_can_hold_is_one_clear_line(flowsecrets_isolation, route):
    """The line names the variable or the step, and never the value."""
    with pytest.raises(UsageError, match=r"this route: 'X' cannot be set|a pull step fails") as caught:
        deliver(route, ROUTES[route][0], {"X": "hid\0den"}, flowsecrets_isolation, ClusterSecrets())
    assert "hid" not in str(caught.value)
    assert "X" not in os.environ


@pytest.mark.secrets(token="first")
@pytest.mark.secret_routes("block", "variable", "job_variables")
def test_a_route_goes_together_with_prefect_cloud(secret_route, prefect_cloud):
    """The workspace takes over blocks and variables, and a worker reads from it."""
    assert read(secret_route, "token") == "first"
    assert public_flow_environment().settings["PREFECT_API_KEY"] == prefect_cloud.api_key


# -- flow_environment --------------------------------------------------------------------------------------------------

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "env": {"type": "object", "default": {"OF_POOL": "pool", "BOTH": "pool"}},
        },
    },
}


def test_every_variable_has_its_origin(flow_environment, monkeypatch):
    """The origins are those of the installed worker, in which the order of pool and deployment has changed once."""
    monkeypatch.setenv("OF_WORKER", "worker")
    monkeypatch.setenv("OVER", "worker")
    env = flow_environment(
        "process",
        job_template=TEMPLATE,
        job_variables={"env": {"BOTH": "deployment", "OF_DEPLOYMENT": "deployment", "OVER": "deployment"}},
        run_job_variables={"env": {"OF_RUN": "run", "OVER": "run"}},
    )
    winner = "template" if (3, 0, 0) <= RELEASE < (3, 1, 0) else "deployment"
    expected = {
        "OF_WORKER": ("worker", "worker"),
        "OF_POOL": ("pool", "template"),
        "OF_DEPLOYMENT": ("deployment", "deployment"),
        "OF_RUN": ("run", "run"),
        "OVER": ("run", "run"),
        "BOTH": ({"template": "pool"}.get(winner, winner), winner),
    }
    assert {name: (env[name], env.origin(name)) for name in expected} == expected
    assert env.origin("PREFECT__FLOW_RUN_ID") == "flow_run"
    assert env.origin("PREFECT_API_URL") == "settings"
    assert env.settings["PREFECT_API_URL"] == os.environ["PREFECT_API_URL"]
    assert "OF_WORKER" in env.leaked
    assert "OF_RUN" not in env.leaked
    lost = {(each.entry.name, each.entry.origin, each.winner.origin) for each in env.lost}
    loser = {"template": "deployment", "deployment": "template"}[winner]
    assert lost == {("OVER", "worker", "run"), ("OVER", "deployment", "run"), ("BOTH", loser, winner)}


@pytest.mark.secrets(token="s3cret-of-a-block", document='{"hidden-key": "hidden-value"}')
@pytest.mark.variables(region="hidden-region")
def test_typos_in_templates_are_notes_without_values(flow_environment, monkeypatch):
    """Each note names the variable, the template and what happens. Neither notes nor explain nor repr hold a value."""
    monkeypatch.delenv("STAGE", raising=False)
    env = flow_environment(
        job_variables={
            "env": {
                "GOOD": "{{ prefect.blocks.secret.token }}",
                "REGION": "in {{ prefect.variables.region }}",
                "NOPE": "{{ prefect.variables.nope }}",
                "STAGE": "{{ $STAGE }}",
                "TYPO": "{{prefect.block.secret.token}}",
            },
            "imge": "x",
            "command": "python {{ $SCRIPT }} {{ prefect.variables.nope }} {{ prefect.variables.region }}",
        }
    )
    assert env["GOOD"] == "s3cret-of-a-block"
    assert env["REGION"] == "in hidden-region"
    assert (env["NOPE"], env["STAGE"]) == ("", "{{ $STAGE }}")
    assert list(env.notes) == [
        "NOPE: {{ prefect.variables.nope }} becomes an empty text: there is no such variable; correct its name or create it",
        "STAGE: {{ $STAGE }} reaches the flow run unresolved: only `prefect deploy` resolves it; use a block or a variable",
        (
            "TYPO: {{ prefect.block.secret.token }} reaches the flow run unresolved: nothing resolves it; use a block or a "
            "variable"
        ),
        "job_variables command: {{ $SCRIPT }} reaches the flow run unresolved: only `prefect deploy` resolves it; use a block or a variable",
        "job_variables command: {{ prefect.variables.nope }} becomes an empty text: there is no such variable; correct its name or create it",
        "job_variables: 'imge' has no effect: the base job template has no {{ imge }}",
    ]
    text = env.explain() + repr(env) + repr(env.variables)
    assert re.search(
        r"GOOD: str of length 17 .*, job_variables of the deployment: {{ prefect.blocks.secret.token }}", text
    )
    assert f"flow run of a process worker (Prefect {VERSION}, by the real worker)" in text
    assert "s3cret" not in text
    assert "hidden" not in text


@pytest.mark.skipif(not IS_TYPED, reason="Prefect 2.20 stores text only")
@pytest.mark.secrets(document={"k": [1]}, flag=True)
def test_data_becomes_the_text_that_python_prints(flow_environment):
    """Prefect inserts the repr of a document, not its JSON. A note says so."""
    templates = {name: f"{{{{ prefect.blocks.secret.{name.lower()} }}}}" for name in ("DOCUMENT", "FLAG")}
    env = flow_environment(job_variables={"env": templates})
    assert (env["DOCUMENT"], env["FLAG"]) == ("{'k': [1]}", "True")
    assert [note.partition(" }} ")[2] for note in env.notes] == [
        f"is a {kind}, and the flow run gets the text that Python prints; store json.dumps(value)"
        for kind in ("dict", "bool")
    ]


def test_a_template_in_the_pool_is_resolved_from_the_environment_of_the_worker(flow_environment, monkeypatch):
    """In the base job template the worker does resolve ``{{ $NAME }}``. A missing variable is noted."""
    monkeypatch.setenv("STAGE", "prod")
    monkeypatch.delenv("NOPE", raising=False)
    template = {**TEMPLATE, "job_configuration": {"env": {"A": "{{ $STAGE }}", "B": "{{ $NOPE }}"}}, "variables": {}}
    env = flow_environment(job_template=template)
    assert (env["A"], env["B"]) == ("prod", "")
    assert list(env.notes) == [
        "B: {{ $NOPE }} becomes an empty text: the environment of the worker has no such variable"
    ]


@pytest.mark.parametrize("name", ["nope", "under_score"])
def test_a_missing_block_is_one_clear_line(flow_environment, name):
    """The worker cannot start the flow run. The error names the variable and the block."""
    with pytest.raises(UsageError) as caught:
        flow_environment(run_job_variables={"env": {"TOKEN": f"{{{{ prefect.blocks.secret.{name} }}}}"}})
    assert str(caught.value) == (
        f"the process worker cannot prepare the flow run: TOKEN of the run: {{{{ prefect.blocks.secret.{name} }}}}: "
        "there is no such Secret block"
    )


@pytest.mark.secrets(token="s3cret")
def test_text_around_a_block(flow_environment):
    """Recent releases join the text and the value. For older ones, the error names the variable."""
    variables = {"env": {"HEADER": "Bearer {{ prefect.blocks.secret.token }}"}}
    try:
        env = flow_environment(job_variables=variables)
    except UsageError as error:
        assert RELEASE < (3, 9, 0)
        assert "HEADER of the deployment: {{ prefect.blocks.secret.token }} must be the whole value" in str(error)
    else:
        assert env["HEADER"] == "Bearer s3cret"


@pytest.mark.secrets(token="s3cret")
def test_a_deployment_of_the_api(flow_environment):
    """Its job variables and the base job template of its work pool are read from the API, by the real client."""
    import asyncio

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    async def deploy():
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name="pool", type="process", base_job_template=TEMPLATE))
            flow_id = await client.create_flow_from_name("report")
            variables = {"env": {"TOKEN": "{{ prefect.blocks.secret.token }}"}}
            await client.create_deployment(
                flow_id=flow_id, name="nightly", work_pool_name="pool", job_variables=variables
            )
            await client.create_deployment(flow_id=flow_id, name="served")

    asyncio.run(deploy())
    env = flow_environment(deployment="report/nightly", run_job_variables={"env": {"OF_RUN": "x"}})
    origins = {name: env.origin(name) for name in ("TOKEN", "OF_POOL", "OF_RUN")}
    assert origins == {"TOKEN": "deployment", "OF_POOL": "template", "OF_RUN": "run"}
    assert env["TOKEN"] == "s3cret"
    for name, message in {
        "report/nope": "there is no deployment",
        "nope": "there is no",
        "report/served": "no work pool",
    }.items():
        with pytest.raises(UsageError, match=message):
            flow_environment(deployment=name)
    with pytest.raises(UsageError, match="not both"):
        flow_environment(deployment="report/nightly", job_variables={})


def test_the_environment_of_the_worker(flow_environment, monkeypatch):
    """``host_env`` replaces the environment and the settings of the worker for this call only."""
    monkeypatch.setenv("OF_TEST", "x")
    before = dict(os.environ)
    env = flow_environment(host_env={"OF_HOST": "y", "PREFECT_LOGGING_LEVEL": "ERROR"})
    assert "OF_TEST" not in env
    assert env["OF_HOST"] == "y"
    assert (env.settings["PREFECT_LOGGING_LEVEL"], env.origin("PREFECT_LOGGING_LEVEL")) == ("ERROR", "settings")
    assert dict(os.environ) == before
    assert "PREFECT_LOGGING_LEVEL" not in flow_environment().settings
    with pytest.raises(UsageError, match="host_env: PREFECT_API_URL is that of the API of this test: leave it out"):
        flow_environment(host_env={"PREFECT_API_URL": "http://127.0.0.1/api"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"run_config": {}}, "run_config is for Prefect 0.5.5 to 1.4.1: use run_job_variables"),
        ({"agent_env": {}}, "agent_env is for Prefect 0.5.5 to 1.4.1: use job_variables"),
        ({"worker": "local"}, "'local' is an agent of Prefect 0.5.5 to 1.4.1: use the process worker"),
        ({"worker": "vertex"}, "'vertex' is not a supported worker: choose from process, kubernetes, docker"),
        ({"worker": "ecs"}, "'ecs' is not a supported worker: choose from process, kubernetes, docker"),
        ({"worker": ["process"]}, "is not a supported worker"),
        ({"job_variables": "env"}, "job_variables must be a mapping, not a str"),
        ({"job_variables": {"env": "TOKEN"}}, "env must be a table of names and values, not str"),
        ({"run_job_variables": {1: 2}}, "every key must be a string"),
        ({"job_variables": {"env": {"A": object()}}}, "a value is not JSON"),
        ({"job_template": {}}, "the base job template lacks job_configuration"),
        ({"job_template": "nope.json"}, "nope.json: no such file"),
        ({"image_env": {"A": "x"}}, "image_env is for workers that start an image"),
        ({"host_env": {"A": 1}}, "host_env: 'A' is an int"),
        ({"cluster_secrets": {}}, "cluster_secrets must be a ClusterSecrets, not a dict"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_one_clear_line(local_secrets, arguments, message):
    """The line names the argument and what to use."""
    with pytest.raises(UsageError, match=message) as caught:
        public_flow_environment(**arguments)
    assert "\n" not in str(caught.value)


def test_an_unknown_argument_is_a_type_error():
    """As for every other function."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'nope'"):
        public_flow_environment(nope=1)


def test_the_legacy_line_by_its_version():
    """With ``prefect_version`` the model of an agent still answers, for a project that migrates."""
    env = public_flow_environment("docker", run_config={"A": "x"}, prefect_version="1.0.0")
    assert (env["A"], env.origin("A"), env.real) == ("x", "run_config", False)


def test_outside_of_an_isolation():
    """Without an isolation, the call has one of its own, and nothing of the developer decides."""
    before = dict(os.environ)
    env = public_flow_environment(job_variables={"env": {"A": "x"}})
    assert env["A"] == "x"
    assert env.settings["PREFECT_API_URL"].startswith("http://127.0.0.1:")
    assert dict(os.environ) == before


@pytest.mark.secrets(token="s3cret")
def test_the_docker_worker(flow_environment, monkeypatch):
    """The real worker prepares the environment of a container without Docker, and keeps its own environment."""
    pytest.importorskip("prefect_docker.worker", reason="needs prefect-docker")
    monkeypatch.setenv("OF_WORKER", "worker")
    env = flow_environment(
        "docker",
        job_variables={"env": {"TOKEN": "{{ prefect.blocks.secret.token }}", "OVER": "deployment"}},
        image_env={"OF_IMAGE": "image", "OVER": "image"},
    )
    assert (env["TOKEN"], env.origin("TOKEN")) == ("s3cret", "deployment")
    assert (env["OF_IMAGE"], env.origin("OF_IMAGE")) == ("image", "image")
    assert "OF_WORKER" not in env
    assert [(each.entry.name, each.entry.origin, each.winner.origin) for each in env.lost] == [
        ("OVER", "image", "deployment")
    ]
    assert "flow run of a docker worker" in env.explain()


# -- Kubernetes --------------------------------------------------------------------------------------------------------


def kubernetes_template(*env, **container):
    from pytest_flowsecrets.workers.real_workers import default_template

    template = default_template("kubernetes")
    containers = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"]
    containers[0].update(container, **({"env": list(env)} if env else {}))
    return template


def reference(name):
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "github", "key": "token"}}}


@needs_kubernetes
def test_a_reference_in_the_base_job_template(flow_environment, cluster_secrets):
    """The real prefect-kubernetes renders the job. A variable of the deployment and the reference meet as it decides."""
    cluster_secrets["github"] = {"token": "from-cluster"}
    template = kubernetes_template(reference("TOKEN"), reference("BOTH"), {"name": "PLAIN", "value": "x"})
    env = flow_environment(
        "kubernetes",
        job_template=template,
        job_variables={"env": {"BOTH": "from-deployment", "OF_DEPLOYMENT": "y"}},
        image_env={"OF_IMAGE": "z", "PLAIN": "image"},
        host_env={"OF_WORKER": "kept"},
    )
    assert (env["TOKEN"], env.origin("TOKEN")) == ("from-cluster", "template")
    assert (env["OF_DEPLOYMENT"], env.origin("OF_DEPLOYMENT")) == ("y", "deployment")
    assert (env["OF_IMAGE"], env.origin("OF_IMAGE")) == ("z", "image")
    assert (env["PLAIN"], env.origin("PLAIN")) == ("x", "template")
    assert {env.origin("BOTH"), *(each.entry.origin for each in env.lost if each.entry.name == "BOTH")} == {
        "deployment",
        "template",
    }
    assert env["BOTH"] == {"deployment": "from-deployment", "template": "from-cluster"}[env.origin("BOTH")]
    assert [each.entry.name for each in env.dropped] == (["BOTH"] if env.origin("BOTH") == "deployment" else [])
    assert "OF_WORKER" not in env
    assert [note for note in env.notes if note.startswith("OF_WORKER of the worker's own environment does not reach")]
    assert "flow run of a kubernetes worker" in env.explain()
    assert "from-cluster" not in env.explain()


@needs_kubernetes
def test_a_reference_without_its_secret(flow_environment):
    """In a cluster without the Secret the pod does not start. Without a cluster the value is not known."""
    template = kubernetes_template(reference("TOKEN"))
    with pytest.raises(CreateContainerConfigError, match="github"):
        flow_environment("kubernetes", job_template=template)
    env = public_flow_environment("kubernetes", job_template=template)
    assert env.unresolved == ("TOKEN",)
    cluster = ClusterSecrets()
    cluster["github"] = {"token": "of-another-cluster"}
    assert public_flow_environment("kubernetes", job_template=template, cluster_secrets=cluster)["TOKEN"] == (
        "of-another-cluster"
    )


@needs_kubernetes
@pytest.mark.secrets(token="s3cret")
def test_job_variables_of_kubernetes(flow_environment):
    """A template of a block arrives as a plain value in the manifest of the job."""
    env = flow_environment("kubernetes", job_variables={"env": {"TOKEN": "{{ prefect.blocks.secret.token }}"}})
    assert (env["TOKEN"], env.origin("TOKEN")) == ("s3cret", "deployment")
    assert env.origin("PREFECT_API_URL") == "settings"
    assert env.leaked == ()


@pytest.mark.skipif(bool(find_spec("prefect_kubernetes")), reason="prefect-kubernetes is installed")
def test_a_missing_package_skips_the_route():
    """The reason names the package."""
    from pytest_flowsecrets import RouteUnavailable

    with pytest.raises(RouteUnavailable, match="the kubernetes worker needs prefect-kubernetes: pip install"):
        public_flow_environment("kubernetes")


def test_no_warning_of_prefect_reaches_the_test(flow_environment):
    """Imports and models of Prefect warn; a test with ``-W error`` still passes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert flow_environment()


def test_leaks_are_masked_and_changed_values_are_reported(run_tests):
    """Every route registers its values, and warns about a value that the flow reads as another type."""
    result = run_tests(
        """
import os
import pytest
from pathlib import Path
from prefect.variables import Variable

@pytest.mark.secrets(token="s3cret-of-the-route", number=42)
@pytest.mark.secret_routes("variable", "env", "job_variables:block", "job_variables:env", "pull_step:variable")
def test_leak(secret_route):
    if secret_route == "variable":
        value = Variable.get("token")
        text = getattr(value, "value", value)
    elif secret_route.startswith("pull"):
        text = Path("TOKEN").read_text()
    else:
        text = os.environ["TOKEN"]
    assert len(text) == 19
    pytest.fail(text)

@pytest.mark.secret_routes("env")
def test_without_secrets(secret_route):
    pass
""",
        "--flowsecrets-leaks=mask",
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(failed=5, passed=1)
    output = result.stdout.str()
    assert "s3cret-of-the-route" not in output
    for place in ("os.environ['NUMBER']", "the file NUMBER"):
        assert f"Secret 'number' under Prefect {VERSION}: the test set int, {place} is str; set text, and" in output


def test_a_wrong_route_fails_its_test(run_tests):
    """A route of the other line is an error at the setup of its test, in one line."""
    result = run_tests(
        """
import pytest

@pytest.mark.secrets(token="x")
@pytest.mark.secret_routes("run_config", "block")
def test_route(): pass
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'run_config' is a route of Prefect 0.5.5 to 1.4.1, and Prefect *"])
