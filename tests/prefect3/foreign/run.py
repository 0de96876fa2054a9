"""Run Prefect's own tests with this plugin in place of their server and database, and report the pass rate.

    python tests/prefect3/foreign/run.py [--source REPOSITORY] [MODULE ...]

The tests are those of the installed release of Prefect 3. Source distributions of Prefect contain no tests, so git gets
them from a repository of Prefect, at the tag of the release. They are deleted afterwards, and nothing of them is a part
of this package. Besides Prefect, this needs ``pytest-asyncio``, ``pytest-env``, ``pytest-timeout`` and ``respx``.

``replacement_conftest.py`` replaces the fixtures of Prefect's ``conftest.py``. ``explanations.toml`` contains the reason
of each failure. The exit status is 1 if a test fails without a reason there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import tomli

HERE = Path(__file__).parent
REPOSITORY = "https://github.com/PrefectHQ/prefect"
MODULES = (
    "blocks/test_abstract.py",
    "blocks/test_block_reference.py",
    "blocks/test_core.py",
    "blocks/test_system.py",
    "test_variables.py",
    "test_flows.py",
    "test_tasks.py",
)
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


def main():
    """Run the modules one after another, print the tables, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="below tests/, such as test_variables.py")
    parser.add_argument("--source", default=REPOSITORY, help="a git repository of Prefect: an address or a folder")
    parser.add_argument("--minutes", type=float, default=10, help="the longest time for each module")
    parser.add_argument("-k", dest="keyword", default="", help="the expression that selects tests, as for pytest")
    arguments = parser.parse_args()
    release, failures, counts = version("prefect"), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        check_out(arguments.source, release, Path(folder))
        for module in arguments.modules or MODULES:
            start = time.monotonic()
            outcomes, messages = run(Path(folder), module, arguments)
            counts[module] = Counter(outcomes.values())
            failures.update(messages)
            print(f"{module}: {dict(counts[module])}, {time.monotonic() - start:.0f} s", flush=True)
    return report(release, counts, failures)


def check_out(source, tag, folder):
    """Get the tests of a release, with the pytest configuration of Prefect and the ``conftest.py`` of this package."""
    repository = Path(source)
    if not repository.is_dir():
        repository = folder / "prefect.git"
        options = ["-q", "--bare", "--depth", "1", "--filter", "blob:none", "--branch", tag]
        subprocess.run(["git", "clone", *options, source, str(repository)], check=True)
    archive = folder / "tests.tar"
    paths = ["tests", "pyproject.toml"]
    subprocess.run(["git", "-C", str(repository), "archive", "-o", str(archive), tag, *paths], check=True)
    shutil.unpack_archive(archive, folder)
    shutil.copy(HERE / "replacement_conftest.py", folder / "tests" / "conftest.py")


def run(folder, module, arguments):
    """Run one module and return the outcome of each test, and the message of each failure."""
    log = folder / "report.jsonl"
    log.unlink(missing_ok=True)
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", f"--report-log={log}", "-k", arguments.keyword]
    command = [sys.executable, "-m", "pytest", *options, f"tests/{module}"]
    ambient = {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT", "PYTEST"))}
    with (folder / "output.txt").open("w") as output:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={**ambient, "PYTHONPATH": str(folder)},
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=arguments.minutes * 60,
                check=False,
            )
        except subprocess.TimeoutExpired:
            print(f"{module}: stopped after {arguments.minutes:g} minutes")
        else:
            if done.returncode not in (0, 1):
                sys.exit(
                    f"{module}: pytest exited with {done.returncode}\n{(folder / 'output.txt').read_text()[-4000:]}"
                )
    return outcomes_of(log.read_text("utf-8"))


def outcomes_of(text):
    """Return the outcome of each test of a report log, and the message of each failure."""
    outcomes, messages = {}, {}
    for line in text.splitlines():
        entry = json.loads(line)
        if entry.get("$report_type") != "TestReport":
            continue
        name, outcome = entry["nodeid"].partition("tests/")[2], entry["outcome"]
        if outcome == FAILED:
            messages.setdefault(name, f"{entry['when']}: {_message(entry['longrepr'])}")
        if outcomes.get(name) not in (FAILED, SKIPPED):
            outcomes[name] = outcome
    return outcomes, messages


def _message(longrepr):
    crash = longrepr.get("reprcrash") if isinstance(longrepr, dict) else None
    return crash["message"] if crash else str(longrepr)


def report(release, counts, failures):
    """Print the pass rate and the reasons of all failures."""
    total = sum(counts.values(), Counter())
    ran = total[PASSED] + total[FAILED]
    print(f"\nPrefect {release}: {total[PASSED]} of {ran} tests passed ({total[PASSED] / max(ran, 1):.1%}), ", end="")
    print(f"{total[SKIPPED]} skipped\n")
    print("| module | passed | failed | skipped |\n| --- | ---: | ---: | ---: |")
    for module, each in counts.items():
        print(f"| `{module}` | {each[PASSED]} | {each[FAILED]} | {each[SKIPPED]} |")
    reasons = tomli.loads((HERE / "explanations.toml").read_text("utf-8"))["failures"]
    explained, unexplained = Counter(), []
    for name, message in failures.items():
        reason = next((each["reason"] for each in reasons if re.search(each["tests"], name)), None)
        if reason is None:
            unexplained.append(f"{name}\n    {message[:1500]}")
        else:
            explained[reason] += 1
    print("\n| failures | reason |\n| ---: | --- |")
    for reason, number in explained.most_common():
        print(f"| {number} | {reason} |")
    if unexplained:
        print(f"\n{len(unexplained)} without a reason:\n\n" + "\n".join(unexplained))
    return int(bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
