"""Combine the coverage of the measured cells and report it; pyproject.toml says which figure is required.

Some branches are for one old Prefect or one Python only, so on a machine that lacks some Pythons the figure is printed
and does not decide.
"""

import subprocess
import sys
from pathlib import Path


def main(folder: Path) -> int:
    """Report on the data files in ``folder``, which are named after their cells."""
    wanted = [cell for cell in _tox("list", "--no-desc", "-q") if cell.endswith("-cov")]
    missing = [cell for cell in wanted if not list(folder.glob(f"{cell}.*"))]
    data = [str(file) for cell in wanted for file in folder.glob(f"{cell}.*")]
    if not data:
        print("No cell has run, so there is nothing to report.")
        return 0
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--keep", "-q", *data], check=True)
    if missing:
        print(f"The figure does not decide here: no data of {', '.join(missing)}.")
    return subprocess.run([*coverage, "report", *(["--fail-under=0"] if missing else [])], check=False).returncode


def _tox(*arguments: str) -> list:
    done = subprocess.run([sys.executable, "-m", "tox", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.split()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
