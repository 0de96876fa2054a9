"""False alarms: the tests of other projects, run with structured secrets that none of them prints.

    python benchmarks/false_alarms.py

The script downloads the source distributions of the projects below from PyPI, installs them and the dependencies of
their tests into a separate virtual environment, and runs each suite in mode ``warn``. It also searches every file of
the source distributions: sources, documentation, test data. Every finding is a false alarm. If there is one, the exit
status is 1. Some tests can fail, with or without secrets; the table shows how many ran.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pytest_flowsecrets.leaks.search.finder import Finder  # noqa: E402
from tests.leaks.structured import KINDS, structured  # noqa: E402


class Suite(NamedTuple):
    """The tests of a project.

    Attributes:
        project: its name and version on PyPI.
        tests: the path of the tests in the source distribution.
        needs: dependencies of the tests in addition to the project.
        arguments: additional arguments for pytest.
    """

    project: str
    tests: str = "tests"
    needs: Tuple[str, ...] = ()
    arguments: Tuple[str, ...] = ()


# Projects that deal with keys, tokens, URLs, connection strings, configuration files and JSON.
SUITES = (
    Suite("PyJWT==2.10.1", needs=("cryptography",)),
    Suite("itsdangerous==2.2.0", needs=("freezegun",)),
    Suite("oauthlib==3.2.2", needs=("cryptography", "PyJWT", "blinker")),
    Suite("python-dotenv==1.0.1", needs=("sh", "click", "ipython")),
    Suite("dj-database-url==2.3.0", needs=("django",)),
    Suite("furl==2.1.3", needs=("six", "orderedmultidict")),
    Suite("tomlkit==0.13.2", needs=("pyyaml",)),
    Suite("rfc3986==2.0.0", needs=("idna",)),
    Suite("jinja2==3.1.4", needs=("trio",)),
    Suite(
        "werkzeug==3.1.3",
        needs=("cryptography", "ephemeral-port-reserve", "watchdog"),
        arguments=("--ignore=tests/live_apps",),
    ),
    Suite("environs==11.2.1", needs=("dj-database-url", "dj-email-url", "django-cache-url", "packaging")),
    Suite("requests-oauthlib==2.0.0", needs=("mock", "requests-mock"), arguments=("--ignore=tests/examples",)),
    Suite("python-decouple==3.8", needs=("mock",)),
    Suite("jsonschema==4.23.0", "jsonschema/tests", ("pyrsistent", "rpds-py", "jsonpath-ng", "pip")),
)
SECRETS = 40


def secrets() -> Dict[str, str]:
    """Return structured secrets of all kinds by the names of their variables."""
    kinds = [*KINDS]
    return {
        f"DECLARED_{number}": structured(kinds[number % len(kinds)], 1000 + number).value for number in range(SECRETS)
    }


def main() -> int:
    """Print a table. Return 1 if there is a false alarm."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("project", nargs="*", help="names of projects (default: all)")
    parser.add_argument("--keep", type=Path, help="folder that keeps downloads and the environment")
    arguments = parser.parse_args()
    suites = [suite for suite in SUITES if not arguments.project or suite.project.split("==")[0] in arguments.project]
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        python = environment(folder / "environment")
        print(f"{SECRETS} structured secrets of {min(SECRETS, len(KINDS))} kinds\n")
        print("| tests of | outcome | false alarms | files | false alarms |\n| --- | --- | ---: | ---: | ---: |")
        finder = Finder({value: (name,) for name, value in secrets().items()})
        alarms = 0
        for suite in suites:
            outcome, findings = run(suite, folder, python)
            size, matches = search_files(unpacked(suite, folder, python), finder)
            alarms += len(findings) + len(matches)
            row = suite.project, outcome, len(findings), f"{size / 1e6:.1f} MB", len(matches)
            print(f"| {' | '.join(map(str, row))} |", flush=True)
            print("".join(f"    {match}\n" for match in matches), end="")
            for finding in findings:
                print(f"    {finding['name']} ({finding['form']}) in {finding['place']}: {finding['excerpt']}")
    return int(alarms > 0)


def search_files(folder: Path, finder: Finder) -> Tuple[int, List[str]]:
    """Return the size of all files of a source distribution, and what is found in them."""
    contents = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    matches = [
        f"{match.names[0]} ({match.form}) in {path.relative_to(folder)}: {content[match.start : match.end][:40]!r}"
        for path, content in contents.items()
        for match in finder.each(content)
    ]
    return sum(map(len, contents.values())), matches


def environment(folder: Path) -> str:
    """Return the interpreter of a virtual environment that contains this package."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        install(str(python), "-e", str(ROOT), "pytest<9")
    return str(python)


def install(python: str, *packages: str) -> None:
    """Install packages into a virtual environment."""
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)


def run(suite: Suite, folder: Path, python: str) -> Tuple[str, List[Dict[str, str]]]:
    """Run a suite. Return the last line of pytest's output, and the findings."""
    source = unpacked(suite, folder, python)
    install(python, suite.project, *suite.needs)
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    (source / "declared.ini").write_text("[pytest]\nflowsecrets_secret_env_vars = DECLARED_*\n")
    command = [python, "-m", "pytest", "-c", "declared.ini", "--rootdir=.", "-q", "-rA", "-p", "no:cacheprovider"]
    command += ["--flowsecrets-leaks=warn", f"--flowsecrets-leak-report={report}", suite.tests, *suite.arguments]
    process = subprocess.run(
        command,
        cwd=source,
        env={**os.environ, **secrets(), "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines: Sequence[str] = re.findall(r"^=*\s*(\d+ .* in [\d.]+s.*?)\s*=*$", process.stdout, re.MULTILINE)
    if not lines or not report.exists():
        return f"did not run: {(process.stdout + process.stderr)[-2000:]}", []
    return lines[-1], json.loads(report.read_text())


def unpacked(suite: Suite, folder: Path, python: str) -> Path:
    """Return the folder of an unpacked source distribution."""
    project = suite.project.replace("==", "-").replace("-", "_").lower()
    target = folder / project
    if not target.exists():
        command = [python, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--no-binary", ":all:", "-d", str(target), suite.project], check=True)
        with tarfile.open(next(target.glob("*.tar.gz"))) as archive:
            archive.extractall(target)
    return next(path for path in target.iterdir() if path.is_dir())


if __name__ == "__main__":
    sys.exit(main())
