"""``flowsecrets demo``: a small example project, whose tests run with a real pytest on the real Prefect.

The project is a copy of the folder ``demo_project``. The report comes from the run itself: the docstring of each test,
its outcome, the warnings and pytest's last line. No value of a secret is printed.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import site
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Optional, TextIO

from pytest_flowsecrets.errors import PrefectNotInstalled, UsageError
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX
from pytest_flowsecrets.versions import installed_version, require_supported

PROJECT = Path(__file__).with_name("demo_project")
LOG = "pytest.log"
# Stands for a variable that the developer exports in a shell. One of the tests shows that it is hidden.
EXPORTED = {f"{SECRETS_PREFIX}EXPORTED_IN_A_SHELL": "mine"}

_OUTCOME = re.compile(r"\S+::(\w+) (PASSED|FAILED|ERROR|SKIPPED)(?: \((.*)\))?")
_WARNING = re.compile(r".*SecretChangedWarning: (.*)")


def demo(keep: Optional[str] = None) -> bool:
    """Write the project, run its tests, print the results, and return whether all tests passed.

    Args:
        keep: a new folder for the project. By default the project is in a temporary folder.

    Raises:
        UsageError: the folder to keep already exists.
        PrefectNotInstalled: Prefect is not installed.
        UnsupportedPrefect: the installed Prefect is not one of 0.5.5 to 1.4.1.
    """
    version = installed_version()
    if version is None:
        raise PrefectNotInstalled("the demo")
    require_supported(version)
    print(f"A flow and its secrets, tested on the real Prefect {version}")
    with _folder(keep) as folder:
        _write(folder)
        passed = _test(folder)
        if passed:
            _print_next_steps(keep)
        else:
            print(f"\nNot all tests passed. The output of pytest is in {_saved_log(folder, keep)}")
    return passed


@contextmanager
def _folder(keep: Optional[str]) -> Iterator[Path]:
    if keep is not None:
        if os.path.exists(keep):
            raise UsageError(f"--keep: {keep} already exists; give the name of a new folder")
        yield Path(keep).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="flowsecrets-demo-") as parent:
        yield Path(parent, "project")


def _write(folder: Path) -> None:
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    print(f"\n1. A small project, written to {folder}\n")
    for file in sorted(folder.glob("*.py")):
        print(f"   {file.name:<18}{_first_line(ast.parse(file.read_text('utf-8')))}")


def _test(folder: Path) -> bool:
    claims = claims_of(folder)
    print("\n2. Its tests, run by pytest\n")
    last = ""
    home = tempfile.TemporaryDirectory(prefix="flowsecrets-home-")
    with home, (folder / LOG).open("w", encoding="utf-8") as log, _pytest(folder, home.name) as run:
        output: TextIO = run.stdout  # type: ignore[assignment]
        for line in output:
            log.write(line)
            _print_result(line, claims)
            last = line.strip() or last
    print(f"\n3. pytest says: {last.strip('= ')}")
    return run.returncode == 0


def _environ(home: str) -> Dict[str, str]:
    """Return the environment of the shell without variables that can affect the demo, such as Prefect's."""
    dropped = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONWARNINGS")
    kept = {name: text for name, text in os.environ.items() if name not in dropped and not name.startswith(PREFIX)}
    return {
        **kept,
        **EXPORTED,
        "HOME": home,
        "PYTHONUSERBASE": site.getuserbase(),  # packages in the real home stay importable
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # other installed plugins cannot affect the demo
        "COLUMNS": "200",
        "PYTHONIOENCODING": "utf-8",
    }


def _pytest(folder: Path, home: str) -> subprocess.Popen[str]:
    plugin = ["-p", "pytest_flowsecrets.plugin", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *plugin, "-v", "--color=no", "--tb=short"],
        cwd=folder,
        env=_environ(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def _print_result(line: str, claims: Dict[str, str]) -> None:
    outcome, warning = _OUTCOME.match(line), _WARNING.match(line)
    if outcome:
        name, word, reason = outcome.groups()
        print(f"   {word.lower():<9}{claims[name]}{f' ({reason})' if reason else ''}", flush=True)
    elif warning:
        print(f"\n   warning  {warning.group(1)}")


def claims_of(folder: Path) -> Dict[str, str]:
    """Return the first line of each test's docstring, by the name of the test."""
    tests: List[ast.stmt] = ast.parse((folder / "test_report.py").read_text("utf-8")).body
    return {test.name: _first_line(test) for test in tests if isinstance(test, ast.FunctionDef)}


def _first_line(node: ast.AST) -> str:
    return (ast.get_docstring(node) or "").split("\n")[0]  # type: ignore[arg-type]


def _saved_log(folder: Path, keep: Optional[str]) -> Path:
    """Return the path of the log, copied out of a temporary folder."""
    if keep is not None:
        return folder / LOG
    descriptor, saved = tempfile.mkstemp(prefix="flowsecrets-demo-", suffix=".log")
    os.close(descriptor)
    shutil.copyfile(folder / LOG, saved)
    return Path(saved)


def _print_next_steps(keep: Optional[str]) -> None:
    print("\nYour own ~/.prefect and PREFECT__ variables were ignored, and have not changed.")
    print("To read the project: " + ("flowsecrets demo --keep DIR" if keep is None else keep))
    print('To set a secret in your own test: @pytest.mark.secrets(NAME="value")')
