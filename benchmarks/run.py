"""How fast the plugin is: tables in Markdown, every figure beside its peers in the same run.

    tox run -e benchmarks

It measures with the interpreter that runs it, whatever is installed there: Prefect and this package are needed, peers
that are missing are left out. Nothing here is a test; on a busy machine the figures are worse.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import site
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

HERE = Path(__file__).parent


class Case(NamedTuple):
    """A kind of test. ``{n}`` in the text of the test is its number."""

    name: str
    test: str
    head: str = ""
    needs: str = ""  # the pytest plugin whose fixture it uses
    count: int = 300


BARE = Case("bare test", "def test_{n}():\n    pass\n")
UNMARKED = BARE._replace(name="unmarked test, the plugin active", needs="flowsecrets")
MARKED = Case(
    "**marked, secrets only**",
    '@pytest.mark.secrets(TOKEN="value{n}")\ndef test_{n}():\n    pass\n',
    "import pytest\n",
    "flowsecrets",
)
FIXTURE = Case(
    "test with an empty fixture",
    '@pytest.mark.usefixtures("nothing")\ndef test_{n}():\n    pass\n',
    "import pytest\n\n@pytest.fixture\ndef nothing():\n    yield\n\n",
)
FILE = Case(
    "**a file changes** (`local_secrets.write_config`)",
    "def test_{n}(local_secrets):\n    local_secrets.write_config(\"[context.secrets]\\nTOKEN = 'value{n}'\\n\")\n",
    needs="flowsecrets",
)
CLOUD = Case("**fake Cloud** (`prefect_cloud`)", "def test_{n}(prefect_cloud):\n    pass\n", needs="flowsecrets")
MASKED = Case(
    "**another secret in each test, masked**",
    "def test_{n}(local_secrets):\n"
    '    local_secrets["TOKEN"] = hashlib.sha256(b"{n}").hexdigest()[:32]\n'
    '    print(local_secrets["TOKEN"])\n',
    "import hashlib\n",
    "flowsecrets",
)
COSTS = [
    BARE,
    FIXTURE,
    UNMARKED,
    MARKED,
    Case(
        "**marked, and read by `Secret.get`**",
        '@pytest.mark.secrets(TOKEN="value{n}")\ndef test_{n}():\n    assert Secret("TOKEN").get()\n',
        "import pytest\nfrom prefect.client import Secret\n",
        "flowsecrets",
    ),
    Case(
        "**environment changes** (`local_secrets.setenv`)",
        'def test_{n}(local_secrets):\n    local_secrets.setenv("TOKEN", "value{n}")\n',
        needs="flowsecrets",
    ),
    FILE,
    Case(
        "Prefect's `set_temporary_config`",
        'def test_{n}():\n    with set_temporary_config({{"context.secrets.TOKEN": "value{n}"}}):\n        pass\n',
        "from prefect.utilities.configuration import set_temporary_config\n",
    ),
    Case(
        "reloading three modules of Prefect",
        "def test_{n}(monkeypatch):\n"
        '    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__TOKEN", "value{n}")\n'
        "    for name in MODULES:\n        importlib.reload(sys.modules[name])\n",
        "import importlib, sys\nimport prefect\n"
        'MODULES = ["prefect.configuration", "prefect.utilities.context", "prefect.client.secrets"]\n',
    ),
    Case(
        "pytest-httpserver, one request",
        "def test_{n}(httpserver):\n"
        '    httpserver.expect_request("/").respond_with_data("{n}")\n'
        '    urllib.request.urlopen(httpserver.url_for("/")).read()\n',
        "import urllib.request\n",
        "pytest_httpserver",
    ),
    Case("pytest-freezer (`freezer`)", "def test_{n}(freezer):\n    pass\n", "import prefect\n", "freezer"),
    Case(
        "a fresh process that imports Prefect",
        'def test_{n}():\n    subprocess.run([sys.executable, "-c", "import prefect"], check=True)\n',
        "import subprocess, sys\n",
        count=7,
    ),
]


def main() -> None:
    """Print the tables that were asked for."""
    tables = {"start-up": start_up, "cost": cost, "growth": growth}
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("table", nargs="*", help=f"which of {', '.join(tables)}; all without any")
    parser.add_argument("--rounds", type=int, default=30, help="how often start-up is measured")
    parser.add_argument("--tests", type=int, default=10_000, help="how many tests a long run has")
    arguments = parser.parse_args()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("prefect", "pytest", "pytest-flowsecrets"))
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} CPUs\n", flush=True)
    for name in arguments.table or tables:
        print("\n".join(tables[name](arguments)) + "\n", flush=True)


# -- the tables --------------------------------------------------------------------------------------------------------


def start_up(arguments: argparse.Namespace) -> List[str]:
    """What each installed plugin adds to `pytest --collect-only` of one empty test, with and without cached bytecode.

    ``PYTHONDONTWRITEBYTECODE``, usual in container images, keeps pytest from caching the plugins that it rewrites.
    """
    for folder in site.getsitepackages():  # as pip does when it installs
        compileall.compile_dir(folder, quiet=2, workers=2)
    names = [None, "flowsecrets", *sorted({*PEERS} & _plugins())]
    modes = {"": "bytecode is cached", "1": "`PYTHONDONTWRITEBYTECODE=1`"}
    times: Dict[Tuple[Optional[str], str], List[float]] = {(name, mode): [] for name in names for mode in modes}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_empty.py").write_text("def test_it():\n    pass\n")
        for _ in range(arguments.rounds + 1):  # in turn, so that a busy moment hits all of them
            for (name, mode), series in times.items():
                series.append(_run(folder, name, "--collect-only", PYTHONDONTWRITEBYTECODE=mode)["total"])
    head = [f"{text}: added to {median(times[None, mode][1:]) * 1000:.0f} ms" for mode, text in modes.items()]
    rows = []
    for name in names[1:]:
        cells = [median(a - b for a, b in zip(times[name, mode][1:], times[None, mode][1:])) for mode in modes]
        rows.append([f"**{name}**" if name == "flowsecrets" else name, *(f"{added * 1000:.1f} ms" for added in cells)])
    return _table(["start-up with the plugin", *head], rows)


def cost(_: argparse.Namespace) -> List[str]:
    """What a test of each kind costs, setup and teardown and all."""
    rows, base = [], 0.0
    for case in COSTS:
        if case.needs and case.needs not in _plugins():
            continue
        times = [time * 1000 for time in _measure(case, case.count)["times"]][min(5, case.count // 3) :]
        middle = median(times)
        base = base or middle
        rows.append([case.name, f"{middle:.2f} ms", f"{middle - base:+.2f} ms", f"{quantiles(times, n=20)[-1]:.2f} ms"])
    return _table(["one test", "median", "against bare", "95 % are below"], rows)


def growth(arguments: argparse.Namespace) -> List[str]:
    """Time of a test and memory of the process, early and late in a long run."""
    rows = []
    for case in (BARE, FIXTURE, MARKED, FILE, CLOUD, MASKED):
        run = _measure(case, arguments.tests)
        part = max(1, arguments.tests // 10)
        first, last = run["times"][:part], run["times"][-part:]
        early, late = run["memory"][part], run["memory"][-1]
        rows.append(
            [
                case.name,
                f"{median(first) * 1000:.2f} ms",
                f"{median(last) * 1000:.2f} ms",
                f"{early / 1024:.0f} MB",
                f"{late / 1024:.0f} MB",
                f"{(late - early) / (arguments.tests - part):.2f} kB",
            ]
        )
    head = [
        f"{arguments.tests:,} tests",
        "time, first tenth",
        "last tenth",
        "memory after it",
        "at the end",
        "per test",
    ]
    return _table(head, rows)


# -- measuring ---------------------------------------------------------------------------------------------------------

PEERS = ("django", "xdist", "hypothesispytest", "pytest_httpserver", "freezer", "asyncio", "randomly")


def _plugins() -> set[str]:
    found = (point for one in metadata.distributions() for point in one.entry_points)
    return {point.name for point in found if point.group == "pytest11"}


def _measure(case: Case, count: int) -> Dict[str, List[float]]:
    with tempfile.TemporaryDirectory() as folder:
        tests = "".join(case.test.format(n=n) for n in range(count))
        Path(folder, "test_it.py").write_text(case.head + tests)
        return _run(folder, case.needs or None)


def _run(folder: str, plugin: Optional[str], *arguments: str, **variables: str) -> Dict[str, List[float]]:
    """Run pytest with no other installed plugin than ``plugin``; ``measure.py`` says how long everything took."""
    blocked = [argument for name in sorted(_plugins() - {plugin}) for argument in ("-p", f"no:{name}")]
    command: Sequence[str] = [sys.executable, str(HERE / "measure.py"), "-q", "-p", "no:cacheprovider", *blocked]
    result = Path(folder, "result.json")
    environ = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**environ, "MEASURE_RESULT": str(result), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout)
    found: Dict[str, List[float]] = json.loads(result.read_text())
    return found


def _table(head: List[str], rows: List[List[str]]) -> List[str]:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


if __name__ == "__main__":
    main()
