"""The Python examples of README.md and docs/."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterable

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("**/*.md"))]
EXAMPLE = re.compile(r"^```python(?: (?P<line>prefect3))?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\w+\.py)$", re.MULTILINE)  # the first line may name the file


def run_python(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, without the plugins of pytest that are installed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def run_tests(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with this plugin in a folder."""
    return run_python(folder, "-m", "pytest", "-p", "pytest_flowsecrets.plugin", "-v", "-rs", *arguments, **environ)


def write_examples(
    folder: Path, *, tests: bool, line: str | None = None, documents: Iterable[Path] = tuple(DOCUMENTS)
) -> int:
    """Write the examples that are tests, or those that are scripts, as files named after their position.

    Args:
        folder: where the files are written.
        tests: whether to write the examples that are tests.
        line: ``prefect3`` for the examples of Prefect 3, None for those of Prefect 0.5 to 1.4.
        documents: the documents whose examples are written; by default all.
    """
    count = 0
    for document in documents:
        text = document.read_text("utf-8")
        for example in EXAMPLE.finditer(text):
            code = example["code"]
            named = NAMED.match(code)
            if example["line"] == line and bool("def test_" in code or named) == tests:
                number = text[: example.start()].count("\n") + 2
                place = f"test_{document.stem.replace('-', '_')}_line_{number}.py"
                (folder / (named.group(1) if named else place)).write_text(code, "utf-8")
                count += 1
    return count
