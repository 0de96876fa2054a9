"""``flowsecrets demo``: a small real project, its tests run by a real pytest on the real Prefect, and what happened.

The project is the folder ``demo_project``, copied. What is told comes from the run itself: the docstring of each test,
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
# As if the developer had exported it in a shell; one of the tests shows that it is hidden.
EXPORTED = {f"{SECRETS_PREFIX}EXPORTED_IN_A_SHELL": "mine"}

_OUTCOME = re.compile(r"\S+::(\w+) (PASSED|FAILED|ERROR|SKIPPED)(?: \((.*)\))?")
_WARNING = re.compile(r".*SecretChangedWarning: (.*)")


def demo(keep: Optional[str] = None) -> bool:
    """Write the project, run its tests, print what happened; whether all of them passed.

    Args:
        keep: a folder that does not exist yet, for the project to stay in; without it a temporary one is used.

    Raises:
        UsageError: the folder to keep exists.
        PrefectNotInstalled: there is no Prefect.
        UnsupportedPrefect: the installed Prefect is not of the 0.5.5 to 1.4.1 line.
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
            _tell_next(keep)
        else:
            print(f"\nSomething is wrong. All that pytest said: {_saved_log(folder, keep)}")
    return passed


@contextmanager
def _folder(keep: Optional[str]) -> Iterator[Path]:
    if keep is not None:
        if os.path.exists(keep):
            raise UsageError(f"--keep: {keep} exists already; give the name of a new folder")
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
    claims = _claims(folder)
    print("\n2. Its tests, run by pytest\n")
    last = ""
    home = tempfile.TemporaryDirectory(prefix="flowsecrets-home-")
    with home, (folder / LOG).open("w", encoding="utf-8") as log, _pytest(folder, home.name) as run:
        output: TextIO = run.stdout  # type: ignore[assignment]
        for line in output:
            log.write(line)
            _tell(line, claims)
            last = line.strip() or last
    print(f"\n3. pytest says: {last.strip('= ')}")
    return run.returncode == 0


def _environ(home: str) -> Dict[str, str]:
    """The shell's, without what the demo must not depend on: with a broken config `import prefect` fails."""
    dropped = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONWARNINGS")
    kept = {name: text for name, text in os.environ.items() if name not in dropped and not name.startswith(PREFIX)}
    return {
        **kept,
        **EXPORTED,
        "HOME": home,
        "PYTHONUSERBASE": site.getuserbase(),  # what is installed in the real home is still found
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the demo is about this plugin, whatever else is installed
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


def _tell(line: str, claims: Dict[str, str]) -> None:
    outcome, warning = _OUTCOME.match(line), _WARNING.match(line)
    if outcome:
        name, word, reason = outcome.groups()
        print(f"   {word.lower():<9}{claims[name]}{f' ({reason})' if reason else ''}", flush=True)
    elif warning:
        print(f"\n   warning  {warning.group(1)}")


def _claims(folder: Path) -> Dict[str, str]:
    """What each test says of itself, by its name."""
    tests: List[ast.stmt] = ast.parse((folder / "test_report.py").read_text("utf-8")).body
    return {test.name: _first_line(test) for test in tests if isinstance(test, ast.FunctionDef)}


def _first_line(node: ast.AST) -> str:
    return (ast.get_docstring(node) or "").split("\n")[0]  # type: ignore[arg-type]


def _saved_log(folder: Path, keep: Optional[str]) -> Path:
    """Where the log stays once the folder is gone."""
    if keep is not None:
        return folder / LOG
    descriptor, saved = tempfile.mkstemp(prefix="flowsecrets-demo-", suffix=".log")
    os.close(descriptor)
    shutil.copyfile(folder / LOG, saved)
    return Path(saved)


def _tell_next(keep: Optional[str]) -> None:
    print("\nYour own ~/.prefect and PREFECT__ variables did not count, and are as they were.")
    print("To read the project: " + ("flowsecrets demo --keep DIR" if keep is None else keep))
    print('In a test of your own: @pytest.mark.secrets(NAME="value")')
