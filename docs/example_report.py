"""Write _extra/report.html, an example of the HTML report, from a run of examples/github_report.

    python docs/example_report.py

It needs Prefect 1.4.1 and PyGithub.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "_extra" / "report.html"
MORE = '''\
"""More tests, for the report."""

import pytest
from prefect import Flow, task
from prefect.client import Secret


@task
def length(name):
    return len(Secret(name).get())


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="ghp_16C7e42F292c69C2E7")
@pytest.mark.secret_routes("context", "config_file", "env", "agent", "run_config", "cloud")
def test_every_route(secret_route):
    with Flow("report") as flow:
        result = length("GITHUB_ACCESS_TOKEN")
    assert flow.run().result[result].result == 22


@pytest.mark.secrets(PIN="0000")
def test_pin():
    assert Secret("PIN").get() == "0000"


def test_variable_and_file(local_secrets):
    local_secrets.write_config("[context.secrets]\\nGITHUB_ACCESS_TOKEN = 'from-the-config-file'\\n")
    local_secrets.setenv("GITHUB_ACCESS_TOKEN", "from-the-environment")
    print("using", Secret("GITHUB_ACCESS_TOKEN").get())


def test_cloud_gives_secrets_to_flow_runs_only(prefect_cloud):
    prefect_cloud.client.set_secret(name="GITHUB_ACCESS_TOKEN", value="ghp_16C7e42F292c69C2E7")
    with prefect_cloud.flow_run():
        assert Secret("GITHUB_ACCESS_TOKEN").get()
    with pytest.raises(Exception, match="Forbidden"):
        prefect_cloud.client.graphql('query { secret_value(name: "GITHUB_ACCESS_TOKEN") }')
'''
OPTIONS = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-Wignore", "--flowsecrets-leaks=warn"]


def main() -> None:
    """Run the tests in a copy of the example."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        shutil.copytree(ROOT / "examples" / "github_report", project, ignore=shutil.ignore_patterns("__pycache__"))
        (project / "test_more.py").write_text(MORE, "utf-8")
        command = [sys.executable, "-m", "pytest", *OPTIONS, "--flowsecrets-html=report.html"]
        subprocess.run(command, cwd=project, check=False)  # noqa: S603 - our own pytest; two tests fail
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text((project / "report.html").read_text("utf-8"), "utf-8")


if __name__ == "__main__":
    main()
