"""Install the built wheel and the built sdist, each in a new environment, and use them as a user does.

The folder holds what ``python -m build`` wrote::

    python .ci/check_package.py dist         # `flowsecrets --help` and an import, without Prefect
    python .ci/check_package.py dist --demo  # then `flowsecrets demo` from the wheel with the extra `prefect`

It needs uv, which creates the environments.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CITATION = Path(__file__).parent.parent / "CITATION.cff"
IMPORT = "import pytest_flowsecrets; print(pytest_flowsecrets.__file__)"
SCHEMAS = "from pytest_flowsecrets.backend.rest.openapi import schemas_of; schemas_of((3, 9, 1))"  # reads openapi.json


def main() -> int:
    """Check both distributions in the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--demo", action="store_true", help="run `flowsecrets demo` on the newest supported Prefect")
    arguments = parser.parse_args()
    wheel, sdist = (_only_file(arguments.folder.resolve(), pattern) for pattern in ("*.whl", "*.tar.gz"))
    version = wheel.name.split("-")[1]
    if f"\nversion: {version}\n" not in CITATION.read_text("utf-8"):
        sys.exit(f"CITATION.cff: the version differs from {version} in pyproject.toml")
    for distribution in (wheel, sdist):
        with tempfile.TemporaryDirectory(prefix="check-package-") as folder:
            _check(distribution, Path(folder))
    if arguments.demo:
        with tempfile.TemporaryDirectory(prefix="check-package-") as folder:
            _run(_install(f"{wheel}[prefect]", Path(folder)) / "flowsecrets", "demo", folder=folder)
    return 0


def _only_file(folder: Path, pattern: str) -> Path:
    files = list(folder.glob(pattern))
    if len(files) != 1:
        sys.exit(f"{folder}: {len(files)} files match {pattern}, expected one; empty the folder and build again")
    return files[0]


def _check(distribution: Path, folder: Path) -> None:
    """Run the command and import the package. ``folder`` is the working directory, so no checkout is importable."""
    scripts = _install(str(distribution), folder)
    _run(scripts / "flowsecrets", "--help", folder=folder)
    _run(scripts / "python", "-c", SCHEMAS, folder=folder)
    module = Path(_run(scripts / "python", "-c", IMPORT, folder=folder).strip())
    if folder.resolve() not in module.resolve().parents:
        sys.exit(f"{distribution.name}: imported {module}, expected a file below {folder}")
    if not module.with_name("py.typed").exists():
        sys.exit(f"{distribution.name}: py.typed is missing; type checkers would ignore the annotations")


def _install(requirement: str, folder: Path) -> Path:
    """Return the folder of scripts of a new environment with the requirement in it."""
    environment = folder / "environment"
    _run("uv", "venv", "--quiet", "--python", sys.executable, environment, folder=folder)
    _run("uv", "pip", "install", "--quiet", "--python", environment, requirement, folder=folder)
    return environment / ("Scripts" if os.name == "nt" else "bin")


def _run(*command: "str | Path", folder: "str | Path") -> str:
    """Run a command, print its output and return it; exit if the command fails."""
    print("$", *command, flush=True)
    variables = {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    result = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=False)
    print(result.stdout, end="", flush=True)
    if result.returncode:
        sys.exit(f"exit status {result.returncode}: {' '.join(map(str, command))}")
    return result.stdout


if __name__ == "__main__":
    sys.exit(main())
