"""Prefect with marshmallow 4: one line that names the fix replaces an AttributeError."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import IncompatibleMarshmallow
from pytest_flowsecrets.isolation.prefect1.prefect_errors import conflict_of, marshmallow_explained
from tests.compat import VERSION, needs_prefect

pytestmark = needs_prefect
HINT = "does not work with the installed marshmallow 4.0.1: pip install 'marshmallow<4'"


@pytest.fixture
def marshmallow_4(monkeypatch, tmp_path):
    """Give the installed marshmallow the version and the missing ``Field.context`` of marshmallow 4."""
    import marshmallow
    import prefect  # noqa: F401 - before the change, as Prefect 0.13 and 0.14 would not get through their import

    info = tmp_path / "marshmallow-4.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: marshmallow\nVersion: 4.0.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delattr(marshmallow.fields.Field, "context", raising=False)


def raised_by(statement):
    """Return the error of a statement."""
    with pytest.raises(Exception) as caught:
        exec(statement, {})
    return caught.value


@pytest.mark.parametrize(
    "statement",
    [
        "from marshmallow import nothing_of_this_name",
        "from marshmallow.class_registry import get_class; get_class([])",
    ],
)
@pytest.mark.usefixtures("marshmallow_4")
def test_errors_of_marshmallow_4_are_explained(statement):
    """Missing names and rejected calls are explained."""
    error = raised_by(statement)
    assert str(conflict_of(error)).endswith(HINT)
    with pytest.raises(IncompatibleMarshmallow, match="pip install"), marshmallow_explained():
        raise error


@pytest.mark.usefixtures("marshmallow_4")
@pytest.mark.parametrize("statement", ["1 / 0", "None.nothing", "import nothing_of_this_name"])
def test_other_errors_stay(statement):
    """Errors that do not come from marshmallow do not change."""
    error = raised_by(statement)
    with pytest.raises(type(error)) as caught, marshmallow_explained():
        raise error
    assert caught.value is error


def test_marshmallow_3_is_not_blamed():
    """Errors of marshmallow 3 do not change."""
    assert conflict_of(raised_by("from marshmallow import nothing_of_this_name")) is None


@pytest.mark.skipif(VERSION is None or VERSION < (0, 15), reason="run() and run configs need Prefect 0.15")
@pytest.mark.usefixtures("marshmallow_4")
@pytest.mark.parametrize("in_process", [False, True])
def test_a_flow_run_says_what_to_install(prefect_cloud, in_process):
    """``run()`` raises an error of one line."""
    from prefect import Flow, Parameter

    with Flow("flow") as flow:
        Parameter("x", default=1)
    with pytest.raises(IncompatibleMarshmallow) as caught:
        prefect_cloud.run(flow, in_process=in_process)
    assert str(caught.value).endswith(HINT)


@pytest.mark.skipif(VERSION is None or VERSION < (0, 15), reason="run() and run configs need Prefect 0.15")
@pytest.mark.usefixtures("marshmallow_4")
def test_an_agent_says_what_to_install(flow_environment, monkeypatch):
    """An error in the agent's own serialization is explained."""
    import prefect.agent.local.agent as module

    def refuse(*_, **__):
        from marshmallow import nothing_of_this_name  # noqa: F401

    monkeypatch.setattr(module.LocalAgent, "populate_env_vars", refuse)
    with pytest.raises(IncompatibleMarshmallow):
        flow_environment("local", run_config={"A": "b"})


@pytest.mark.usefixtures("marshmallow_4")
def test_an_error_of_the_test_gets_a_section(pytester, monkeypatch):
    """The report has a hint if the test itself calls Prefect or marshmallow."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # plugins of others may not load a second time
    pytester.makepyfile("def test_it():\n    from marshmallow import nothing_of_this_name\n")
    result = pytester.runpytest_inprocess("-p", "pytest_flowsecrets.plugin")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*flowsecrets*", f"Prefect * {HINT}"])
