"""Print the results of each cell and of all together, and each failed test with the end of its error.

Fails if a test failed or fewer than six Pythons ran. A test that failed and then passed alone (``run_tests.py``) is
printed and does not count as failed.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

PYTHONS = 6
LINES_OF_AN_ERROR = 25


def main(folder: Path) -> int:
    """Read the JUnit files in ``folder``, which are named after their cells."""
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    pythons = set()
    failures = []
    print()
    for file in sorted(set(folder.glob("*.xml")) - set(folder.glob("*.alone.xml"))):
        cell = _counts(file)
        failures += _failures(file)
        alone = file.with_suffix(".alone.xml")
        if alone.exists() and cell["failed"] == _counts(alone)["passed"]:
            failures.append("They passed when they ran alone.")
            cell = {**cell, "passed": cell["passed"] + cell["failed"], "failed": 0}
        if file.name.startswith("py"):
            pythons.add(file.name.split("-")[0])
        print(f"{file.name[: -len('.xml')]:<32}{_summary(cell)}")
        totals = {word: count + cell[word] for word, count in totals.items()}
    print(f"\n{len(pythons)} Pythons: {' '.join(sorted(pythons))}")
    print(_summary(totals))
    failures += [
        f"\nCRASHED {file.stem} ({file.read_text('utf-8').strip()}), then run again" for file in folder.glob("*.crash")
    ]
    print("\n".join(failures))
    if len(pythons) < PYTHONS:
        print(f"Too few Pythons ran: {len(pythons)} of at least {PYTHONS}.")
    return int(totals["failed"] > 0 or len(pythons) < PYTHONS)


def _counts(file: Path) -> "dict[str, int]":
    root = ET.parse(file).getroot()  # noqa: S314 - written by our own run
    suite = root if root.tag == "testsuite" else root[0]
    tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    return {"passed": tests - skipped - failed, "failed": failed, "skipped": skipped}


def _failures(file: Path) -> "list[str]":
    """Return a text for each failed test: its cell, its name, and the last lines of its error."""
    texts = []
    for case in ET.parse(file).getroot().iter("testcase"):  # noqa: S314 - written by our own run
        for result in (*case.iter("failure"), *case.iter("error")):
            error = (result.text or result.get("message", "")).splitlines()[-LINES_OF_AN_ERROR:]
            test = f"{file.name[: -len('.xml')]} {case.get('classname')}::{case.get('name')}"
            texts.append("\n    ".join([f"\n{result.tag.upper()} {test}", *error]))
    return texts


def _summary(counts: "dict[str, int]") -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
