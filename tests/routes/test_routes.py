"""Each route delivers secrets, in new pytest processes and with the installed Prefect."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import ClusterSecrets, UsageError, routes
from tests.compat import VERSION, needs_prefect
from tests.routes import conftest as here

EVERY = [
    f"{route}:{variant}" if variant else route for route, variants in routes.ROUTES.items() for variant in variants
]
ALL = """
import os

import prefect
import pytest
from prefect import Flow, task
from prefect.client import Secret

S = "PREFECT__CONTEXT__SECRETS__"


@task
def read():
    return Secret("token").get()


@pytest.mark.secrets(token="a$b", number=42)
@pytest.mark.secret_routes(*{routes})
def test_every(secret_route, request):
    assert request.node.name == f"test_every[{{secret_route}}]"
    assert Secret("token").get() == "a$b"
    assert Secret("number").get() == 42
    with Flow("f") as flow:
        result = read()
    state = flow.run()
    assert state.is_successful()
    assert state.result[result].result == "a$b"
    route = secret_route.partition(":")[0]
    assert (S + "token" in os.environ) == (route not in ("context", "config_file", "cloud"))
    assert ("token" in prefect.context.get("secrets", {{}})) == (route != "cloud")


def test_nothing_is_left():
    assert [name for name in os.environ if name.startswith(("PREFECT__", "FLOWSECRETS_TEXT"))] == []
    assert "token" not in prefect.context.get("secrets", {{}})
"""


def can_take(route):
    """Return whether the installed Prefect and its packages support a route."""
    route, _, variant = route.partition(":")
    if route == "job_template":
        return here.can_run("kubernetes")
    if route not in ("agent", "run_config"):
        return True
    if route == "run_config":
        oldest = (0, 14, 0) if variant == "universal" else (0, 13, 12)
        return here.can_run({"universal": "local"}.get(variant, variant)) and oldest <= VERSION
    return here.can_run({"host": "local"}.get(variant, variant))


@needs_prefect
def test_every_road_and_variant(run_tests):
    """Each route delivers the same secrets in its own way; unavailable routes skip with a reason."""
    result = run_tests(ALL.format(routes=EVERY), "-rs", "-v")
    taken = [route for route in EVERY if can_take(route)]
    result.assert_outcomes(passed=len(taken) + 1, skipped=len(EVERY) - len(taken))
    for route in taken:
        result.stdout.fnmatch_lines([f"*::test_every[[]{route}[]] PASSED*"])
    reasons = result.stdout.str()
    if not here.can_run("ecs"):
        assert "the ecs agent needs boto3" in reasons or "the ecs agent needs Prefect 0.15.0 or later" in reasons


@needs_prefect
def test_all_stands_for_each_road_once(run_tests):
    """``all`` means each route once, and combines with parametrize and marks of parameters."""
    result = run_tests(
        """
import pytest
from prefect.client import Secret


@pytest.mark.secrets(a="of the test")
@pytest.mark.secret_routes("all")
@pytest.mark.parametrize(
    "expected", ["of the test", pytest.param("of 2", marks=pytest.mark.secrets(a="of 2"))], ids=["one", "two"]
)
def test_it(expected):
    assert Secret("a").get() == expected
""",
        "--collect-only",
        "-q",
    )
    names = [line.partition("::")[2] for line in result.stdout.lines if "::" in line]
    assert names == [f"test_it[{route}-{expected}]" for route in routes.ROUTES for expected in ("one", "two")]


@needs_prefect
@pytest.mark.skipif(VERSION is not None and VERSION >= (0, 6, 7), reason="names are kept from 0.6.7 on")
def test_old_releases_change_names_on_the_way(run_tests):
    """Up to 0.6.6 names in variables are lower-cased, with a warning; a file keeps them."""
    result = run_tests(
        """
import pytest
from prefect.client import Secret


@pytest.mark.secrets(TOKEN="x")
@pytest.mark.secret_routes("env", "config_file")
def test_it(secret_route):
    assert Secret("token" if secret_route == "env" else "TOKEN").get() == "x"
"""
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*Secret 'TOKEN' under Prefect *: there is no secret of that name, because this version changes*"]
    )


DETAILS = """
import os

import prefect
import pytest
from packaging.version import Version
from prefect.client import Secret
from pytest_flowsecrets import CloudUnreachable

pytestmark = pytest.mark.filterwarnings("ignore::pytest_flowsecrets.SecretChangedWarning")
VERSION = Version(prefect.__version__).release


@pytest.mark.skipif(VERSION < (0, 11, 2), reason="variables and files are typed alike from 0.11.2 on")
@pytest.mark.secrets(PIN="0000")
@pytest.mark.secret_routes("context", "env", "config_file", "cloud")
def test_values(secret_route):
    # becomes a number in a variable and in a file, and stays a text in the context and in Cloud
    assert Secret("PIN").get() == ("0000" if secret_route in ("context", "cloud") else 0)


@pytest.mark.secrets(a="x")
@pytest.mark.secret_routes("agent")
def test_agents_switch_local_secrets_off_and_leave_them_visible(local_secrets):
    assert os.environ["PREFECT__CLOUD__USE_LOCAL_SECRETS"] == "false"
    assert not local_secrets.use_local_secrets
    assert prefect.context.flow_run_id
    assert Secret("a").get() == local_secrets["a"] == "x"
    with pytest.raises(CloudUnreachable):
        Secret("gone").get()
    local_secrets["b"] = "y"
    assert Secret("b").get() == "y"


@pytest.mark.secrets(TOKEN="x")
@pytest.mark.secret_routes("cloud")
def test_the_cloud_of_the_route_is_the_fixture(prefect_cloud):
    assert prefect_cloud.secrets.holds("TOKEN", "x")
    Secret("TOKEN").get()
    assert prefect_cloud.requests[-1].kind == "query"


@pytest.fixture
def mine(monkeypatch):
    return 5


@pytest.mark.secrets(a="x")
@pytest.mark.secret_routes("job_template", "env")
@pytest.mark.parametrize("n", [1, 2])
def test_a_skip_in_setup_leaves_the_fixtures_of_the_next_test_alone(mine, n, tmp_path, monkeypatch):
    assert mine == 5
"""


@needs_prefect
def test_what_each_road_does(run_tests):
    """Routes type values, set the variables of agents and provide the Cloud API, and fixtures work after a skip."""
    values = 4 if VERSION >= (0, 11, 2) else 0
    agent = 1 if here.can_run("local") else 0
    job = 2 if here.can_run("kubernetes") else 0
    result = run_tests(DETAILS)
    result.assert_outcomes(passed=values + agent + job + 3, skipped=4 - values + 1 - agent + 2 - job)


@here.needs_kubernetes
def test_the_job_template_uses_the_secrets_of_the_test(run_tests):
    """``cluster_secrets`` is the cluster of the job template, and two dollars in a plain value become one."""
    result = run_tests(
        """
import pytest
from prefect.client import Secret


@pytest.mark.filterwarnings("ignore::pytest_flowsecrets.SecretChangedWarning")
@pytest.mark.secrets(TOKEN="pa$$word")
@pytest.mark.secret_routes("job_template:value", "job_template:secretKeyRef", "job_template:envFrom")
def test_it(secret_route, cluster_secrets):
    assert Secret("TOKEN").get() == ("pa$word" if secret_route.endswith("value") else "pa$$word")
    assert list(cluster_secrets) == ([] if secret_route.endswith("value") else ["flowsecrets"])


def test_of_its_own(cluster_secrets, flow_environment):
    assert not cluster_secrets
    cluster_secrets["github"] = {"token": "x"}
    entry = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "github", "key": "token"}}}
    job = {"spec": {"template": {"spec": {"containers": [{"name": "flow", "env": [entry]}]}}}}
    assert flow_environment("kubernetes", job_template=job)["TOKEN"] == "x"
"""
    )
    result.assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["kubernetes"],
            "'kubernetes' is not a route; did you mean agent:kubernetes or run_config:kubernetes? Otherwise choose from all",
        ),
        (["job_templates"], "'job_templates' is not a route; did you mean job_template? Otherwise choose from all, "),
        (["nowhere"], "'nowhere' is not a route; choose from all, context, config_file (:raw, :interpolated), env, "),
        (["env:raw"], "'env:raw' is not a route; did you mean env? Otherwise choose from all, "),
        ([], "the secret_routes marker needs routes: all, context, "),
        ([5], "5 is not a route; choose from all, "),
    ],
)
def test_wrong_names(names, message):
    """The error about an unknown route lists all routes."""
    with pytest.raises(UsageError) as caught:
        routes.validate_routes(names)
    assert str(caught.value).startswith(message)


def test_wrong_marks(run_tests):
    """Wrong marks, the fixture without a mark and the mark on a TestCase are errors of their tests; others run."""
    result = run_tests(
        "import pytest, unittest\n\n@pytest.mark.secret_routes(route=1)\ndef test_name():\n    pass\n\n"
        "def test_fixture(secret_route):\n    pass\n\n@pytest.mark.secret_routes('env')\n"
        "class TestIt(unittest.TestCase):\n    def test_it(self):\n        pass\n\ndef test_right():\n    pass\n"
    )
    result.assert_outcomes(passed=1, errors=3)
    assert "Warning: A plugin" not in result.stdout.str()
    result.stdout.fnmatch_lines_random(
        [
            "*test_wrong_marks.py::test_name: 'route=' is not a route; choose from all, *",
            "*the fixture secret_route needs a test with a secret_routes marker*",
            "*::TestIt::test_it: secret_routes needs a test function that pytest can parametrize*",
        ]
    )


@pytest.mark.secrets(connection="Driver=x;host=db")
@pytest.mark.secret_routes("agent", "agent:host")
def test_the_option_of_old_agents_takes_no_equals_sign(secret_route):
    """The route skips if ``--env`` does not accept a ``=``, and the host's environment delivers the value."""
    from prefect.client import Secret

    assert not ((0, 9) <= VERSION <= (0, 14, 9) and secret_route == "agent")
    assert Secret("connection").get() == "Driver=x;host=db"


def test_without_prefect_most_roads_skip(run_tests):
    """Without Prefect, only routes by variables and files are available."""
    if VERSION is not None:
        pytest.skip("there is a Prefect here")
    result = run_tests(
        """
import pytest


@pytest.mark.secrets(TOKEN="x")
@pytest.mark.secret_routes("all")
def test_it(local_secrets):
    assert local_secrets["TOKEN"] == "x"
""",
        "-rs",
    )
    result.assert_outcomes(passed=2, skipped=5)
    result.stdout.fnmatch_lines(["*the route context needs Prefect 0.5.5 to 1.4.1, which is not installed here*"])


def test_the_roads_of_a_mark():
    """Each route is used once; ``all`` adds the missing ones."""
    assert routes.validate_routes(["env", "env"]) == ["env"]
    assert routes.validate_routes(["env", "all"])[0] == "env"
    assert sorted(routes.validate_routes(["env", "all"])) == sorted(routes.ROUTES)
    with pytest.raises(UsageError):
        routes.validate_routes(["context:raw"])


def test_a_cluster_is_empty_at_first():
    """Each test has its own, empty cluster."""
    assert len(ClusterSecrets()) == 0
