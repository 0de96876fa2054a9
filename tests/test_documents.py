"""The Python examples of README.md and docs/ run: those with tests in pytest, the others as scripts."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest

import pytest_flowsecrets
from pytest_flowsecrets.findings.rules import LEAK, RULES
from pytest_flowsecrets.leaks.findings import PLACES
from pytest_flowsecrets.versions import installed_version, uses_rest_api
from tests.document_examples import README, ROOT, run_python, run_tests, write_examples

PACKAGE = Path(pytest_flowsecrets.__file__).parent

needs_prefect = pytest.mark.skipif(
    installed_version() is None or uses_rest_api(),
    reason="the examples need Prefect: pip install 'pytest-flowsecrets[prefect]'",
)


@pytest.mark.slow
@needs_prefect
def test_examples_with_tests_pass(tmp_path: Path) -> None:
    """Every example passes without an unexpected warning of this package."""
    assert write_examples(tmp_path, tests=True) > 20
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    ours = [f"-Werror::pytest_flowsecrets.{name}" for name in ("SecretChangedWarning", "TomlDialectWarning")]
    result = run_tests(tmp_path, *ours)
    assert result.returncode == 0, result.stdout


@pytest.mark.slow
@needs_prefect
def test_examples_without_pytestrun_python(tmp_path: Path) -> None:
    """Examples that are scripts run one after another in one process."""
    assert write_examples(tmp_path, tests=False) > 3
    code = "import glob, runpy; [runpy.run_path(f) for f in glob.glob('*.py')]"
    result = run_python(tmp_path, "-Wignore", "-c", code)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.slow
@needs_prefect
def test_the_ini_example_isolates_every_test(tmp_path: Path) -> None:
    """With the ini file of the README, an unmarked test does not see the developer's variables."""
    ini = re.search(r"^```ini\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL).group(1)
    (tmp_path / "test_unmarked.py").write_text(
        "import os\ndef test_it():\n    assert 'PREFECT__CONTEXT__SECRETS__EXPORTED' not in os.environ\n"
    )
    exported = {"PREFECT__CONTEXT__SECRETS__EXPORTED": "mine"}
    assert run_tests(tmp_path, **exported).returncode == 1
    (tmp_path / "pytest.ini").write_text(ini)
    assert run_tests(tmp_path, **exported).returncode == 0


SESSION = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _sessions() -> list[tuple[str, str, str]]:
    """Return the file name, the text of the file, and the session for each session in the README."""
    readme = README.read_text("utf-8")
    found = []
    for session in SESSION.finditer(readme):
        fence = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", readme[: session.start()], re.MULTILINE | re.DOTALL)[-1]
        found.append((fence[0], f"# {fence[0]}\n{fence[1]}", session.group(1)))
    return found


@pytest.mark.parametrize(("name", "text", "session"), _sessions(), ids=lambda part: part.split("\n")[0])
def test_sessions_in_the_readme(tmp_path: Path, name: str, text: str, session: str) -> None:
    """Commands print the output in the README, except for random fingerprints."""
    (tmp_path / name).write_text(text, "utf-8")
    command, _, expected = session.partition("\n")
    dollar, program, *arguments = shlex.split(command)
    assert (dollar, program) == ("$", "flowsecrets")
    result = run_python(tmp_path, "-m", "pytest_flowsecrets.cli", *arguments)
    hidden = re.compile("#[0-9a-f]{8}")
    assert hidden.sub("#", result.stdout).split() == hidden.sub("#", expected).split()


@pytest.mark.slow
def test_the_page_of_findings_is_up_to_date() -> None:
    """The page equals the output of docs/findings.py. The page and the table of rules have every finding of the code."""
    pytest.importorskip("yaml")
    written = runpy.run_path(str(ROOT / "docs" / "findings.py"))
    assert written["PAGE"].read_text("utf-8") == written["page"](), "run: python docs/findings.py"
    package = Path(pytest_flowsecrets.__file__).parent
    known = {rule for path in package.rglob("*.py") for rule in re.findall(r"\bFS\d{3}\b", path.read_text("utf-8"))}
    assert set(written["EXAMPLES"]) == known == set(RULES) - {LEAK}


def test_the_readme_says_two_commands() -> None:
    """The first command runs the demo, the second runs the tests, and CI runs the second."""
    readme = README.read_text("utf-8")
    commands = re.search(r"^## Two commands$.*?^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL).group(1)
    first, second = commands.splitlines()
    assert first.endswith("flowsecrets demo")
    assert second.endswith("tox run -e fast")
    assert "grep 'tox run -e fast' README.md" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_picture_of_the_architecture_shows_every_layer() -> None:
    """The rows of the picture are the layers of tests/test_imports.py, in order."""
    script = runpy.run_path(str(ROOT / "docs" / "architecture.py"))
    rows = re.findall(r'<text class="room"[^>]*>(.*?)</text>', script["PICTURE"].read_text("utf-8"))
    assert rows == [", ".join(rooms) for rooms in script["layers"]()], "run: python docs/architecture.py"


def test_the_pictures_of_the_landing_page_are_up_to_date() -> None:
    """The pictures equal the output of docs/pictures.py, and the terminals show its tests and a masked token."""
    script = runpy.run_path(str(ROOT / "docs" / "pictures.py"))
    folder = script["FOLDER"]
    assert {name: (folder / name).read_text("utf-8") for name in script["pictures"]()} == script["pictures"]()
    for name in ("terminal.svg", "terminal-narrow.svg"):
        text = re.sub(r"<[^>]*>", "", (folder / name).read_text("utf-8"))
        assert script["COMMAND"] in text
        assert "[secret GITHUB_" in text


def test_the_example_of_a_report_is_up_to_date() -> None:
    """The example has the current styles and script, and neither a value nor a path of a machine."""
    report = (ROOT / "docs" / "_extra" / "report.html").read_text("utf-8")
    for name in ("page.css", "page.js"):
        assert (PACKAGE / "report" / name).read_text("utf-8") in report, "run: python docs/example_report.py"
    script = runpy.run_path(str(ROOT / "docs" / "example_report.py"))
    values = re.findall(r'"(ghp_\w+|token-of-\S+|password-of-\S+)"|\'(from-the-config-file)', script["MORE"])
    assert len(values) > 1
    assert [value for pair in values for value in pair if value and value in report] == []
    assert not re.search(r"/(tmp|home|root|work|var)/", report)


def test_the_architecture_names_files_that_exist() -> None:
    """Each path on the page exists in the package or in the repository."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    paths = re.findall(r"`([a-z_1]+/[a-z_/]*(?:\.py)?|[a-z_]+\.py)`", page)
    names = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*")}
    shown = {path.rstrip("/") for path in paths}
    assert len(shown) > 20
    assert {path for path in shown if not any(name == path or name.endswith(f"/{path}") for name in names)} <= {
        path for path in shown if (ROOT / path).exists()
    }


def test_the_table_of_leaks_in_the_api_is_up_to_date() -> None:
    """The guide has a row for each place, in the order in which the advice is chosen."""
    guide = (ROOT / "docs" / "how-to" / "leaks.md").read_text("utf-8")
    rows = [row for row in guide.splitlines() if row.startswith("| `api ")]
    assert rows == [f"| `{place.name}` | `{place.example}` | {place.cause} | {place.advice} |" for place in PLACES]
