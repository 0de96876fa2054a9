"""Run pytest for a cell of the matrix, and run its failed tests once more, alone, if they are few.

Two cells run at a time on two cores, and some tests start dozens of processes, so about one in 100,000 fails only
because the machine is busy. A test that passes alone does not fail the matrix, but ``tell_results.py`` prints it with
its error. A run that a signal ends, such as a crash of the interpreter, is repeated once and printed, too.

    python .ci/run_tests.py RESULTS.xml [--measure] PYTEST_ARGUMENT...
"""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

FEW = 10
TESTS_FAILED = 1


def main(arguments: "list[str]") -> int:
    """Return the exit status of pytest, of the second run if there is one."""
    results, *arguments = arguments
    measure = arguments[:1] == ["--measure"]
    arguments = arguments[measure:]
    Path(results).parent.mkdir(parents=True, exist_ok=True)
    cache = str(Path(results).with_suffix(".cache"))
    pytest = ["-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
    first = [*(["-m", "coverage", "run"] if measure else []), *pytest, f"--junit-xml={results}"]
    status = subprocess.run([sys.executable, *first], check=False).returncode
    if status < 0:
        Path(results).with_suffix(".crash").write_text(f"signal {-status}\n", "utf-8")
        status = subprocess.run([sys.executable, *first], check=False).returncode
    if status != TESTS_FAILED or _failures(results) > FEW:
        return status
    alone = Path(results).with_suffix(".alone.xml")
    return subprocess.run([sys.executable, *pytest, "--last-failed", f"--junit-xml={alone}"], check=False).returncode


def _failures(results: str) -> int:
    cases = ET.parse(results).getroot().iter("testcase")  # noqa: S314 - written by our own run
    return sum(case.find("failure") is not None or case.find("error") is not None for case in cases)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
