"""The Python examples of README.md and of docs/ are run, each as a file of its own, by a real pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
WITH_EXAMPLES = [document for document in DOCUMENTS if EXAMPLE.search(document.read_text("utf-8"))]

needs_prefect = pytest.mark.skipif(
    not any(found.metadata["Name"] == "prefect" for found in metadata.distributions()),
    reason="the examples need Prefect: pip install 'pytest-flowsecrets[prefect]'",
)


def _pytest(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "pytest_flowsecrets.plugin", "-v", "-rs", *arguments],
        cwd=folder,
        env={**os.environ, **environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@needs_prefect
@pytest.mark.parametrize("document", WITH_EXAMPLES, ids=lambda document: str(document.relative_to(ROOT)))
def test_examples_run(document: Path, tmp_path: Path) -> None:
    """Every example passes, without a warning of ours that it does not expect."""
    text = document.read_text("utf-8")
    for example in EXAMPLE.finditer(text):
        line = text[: example.start()].count("\n") + 2
        (tmp_path / f"test_line_{line}.py").write_text(example.group(1), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    ours = [f"-Werror::pytest_flowsecrets.{name}" for name in ("SecretChangedWarning", "TomlDialectWarning")]
    done = _pytest(tmp_path, *ours)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@needs_prefect
def test_the_ini_example_isolates_every_test(tmp_path: Path) -> None:
    """With the ini file of the README, what the developer has exported is hidden from an unmarked test too."""
    ini = re.search(r"^```ini\n(.*?)^```$", DOCUMENTS[0].read_text("utf-8"), re.MULTILINE | re.DOTALL).group(1)
    (tmp_path / "test_unmarked.py").write_text(
        "import os\ndef test_it():\n    assert 'PREFECT__CONTEXT__SECRETS__EXPORTED' not in os.environ\n"
    )
    exported = {"PREFECT__CONTEXT__SECRETS__EXPORTED": "mine"}
    assert _pytest(tmp_path, **exported).returncode == 1
    (tmp_path / "pytest.ini").write_text(ini)
    assert _pytest(tmp_path, **exported).returncode == 0


def test_the_readme_says_two_commands() -> None:
    """The first runs the demo, the second the tests, and CI runs the second."""
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.search(r"^## Two commands$.*?^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL).group(1)
    first, second = commands.splitlines()
    assert first.endswith("flowsecrets demo")
    assert second.endswith("tox run-parallel")
    assert readme.count("tox run-parallel") == 1
