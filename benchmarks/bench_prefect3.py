"""How fast a test with a secret is on Prefect 3, beside Prefect's own test harness and its server in this process.

    python benchmarks/bench_prefect3.py

Prefect 3.9.1 and this package are needed. Each way runs in a process of its own, one after another, and the figures
are those of one run: compare them with one another only. All modules have cached bytecode, because the memory of a
process that compiles modules depends on which ones it compiles.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Callable, Dict, Iterator, List

OURS, SERVER, HARNESS, NOTHING = "pytest-flowsecrets", "server in this process", "prefect_test_harness", "no API"
CLIENT = "an API in another process"
FURTHER = {OURS: 50, SERVER: 20, HARNESS: 2}  # how often the next test is measured
DATABASE = "PREFECT_API_DATABASE_CONNECTION_URL"
QUIET = {
    "PREFECT_API_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
}
HARNESS_FIXTURE = """
import pytest
from prefect.testing.utilities import prefect_test_harness

@pytest.fixture(autouse=True)
def harness():
    with prefect_test_harness():
        Secret(value="x").save("benchmark")
        yield
"""
TEST_FILE = "from prefect.blocks.system import Secret\n{head}\n" + "".join(
    f"\n{{mark}}\ndef test_{number}():\n    {{body}}\n" for number in range(10)
)


# -- one way, measured in a process of its own -------------------------------------------------------------------------


def measure(way: str) -> Dict[str, float]:
    """Return the milliseconds of each step and the megabytes of one way."""
    from prefect import flow, task
    from prefect.blocks.system import Secret

    @task
    def read() -> str:
        return Secret.load("benchmark").get()

    @flow
    def report() -> str:
        return read()

    before = _resident_mb()
    with ExitStack() as stack:
        start = perf_counter()
        renew = {OURS: _ours, SERVER: _server, HARNESS: _harness, CLIENT: _client}[way](stack)
        first = perf_counter() - start
        load = median(_time(lambda: Secret.load("benchmark").get()) for _ in range(20))
        run = median(_time(report) for _ in range(10))
        further = median(_time(renew) for _ in range(FURTHER.get(way, 1)))
        memory = _resident_mb() - before
    return {"enter": first * 1e3, "next test": further * 1e3, "load": load * 1e3, "run": run * 1e3, "memory": memory}


def _ours(stack: ExitStack) -> Callable[[], Any]:
    from pytest_flowsecrets import isolated_prefect

    secrets = {"benchmark": "x"}
    current = [stack.enter_context(isolated_prefect(secrets))]
    inner = stack.enter_context(ExitStack())

    def renew() -> None:
        inner.close()
        current[0] = inner.enter_context(isolated_prefect(secrets))

    return renew


def _client(stack: ExitStack) -> Callable[[], Any]:
    """Use the fake API of another process, so that this process contains Prefect's client only."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = stack.enter_context(subprocess.Popen([sys.executable, __file__, "--serve"], text=True, **pipes))
    address = process.stdout.readline().strip()
    stack.enter_context(temporary_settings({PREFECT_API_URL: address}))
    return lambda: None


def serve() -> None:
    """Print the address of a fake API, and end with the standard input."""
    from prefect.settings import PREFECT_API_URL

    from pytest_flowsecrets import isolated_prefect

    with isolated_prefect({"benchmark": "x"}):
        print(PREFECT_API_URL.value(), flush=True)
        sys.stdin.read()


def _harness(stack: ExitStack) -> Callable[[], Any]:
    from prefect.blocks.system import Secret
    from prefect.testing.utilities import prefect_test_harness

    inner = stack.enter_context(ExitStack())

    def renew() -> None:
        inner.close()
        inner.enter_context(prefect_test_harness())
        Secret(value="x").save("benchmark")

    renew()
    return renew


def _server(stack: ExitStack) -> Callable[[], Any]:
    """Start the real server in a thread, and renew its database by SQLite's backup of a template."""
    from prefect.blocks.system import Secret
    from prefect.settings import PREFECT_API_URL, temporary_settings

    live = os.environ[DATABASE].split("///")[1]
    address = stack.enter_context(_served())
    stack.enter_context(temporary_settings({PREFECT_API_URL: address}))
    template = sqlite3.connect(f"{live}.template")

    def renew() -> None:
        with sqlite3.connect(live) as database:
            template.backup(database)
        Secret(value="x").save("benchmark")

    renew()
    return renew


@contextmanager
def _served() -> Iterator[str]:
    import contextvars

    import uvicorn
    from prefect.server.api.server import create_app

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(ephemeral=True), log_level="error", lifespan="on"))
    thread = threading.Thread(target=contextvars.Context().run, args=(server.run, [listening]), daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/api"
    server.should_exit = True
    thread.join()


def _time(action: Callable[[], Any]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


# -- all ways ----------------------------------------------------------------------------------------------------------


def main() -> None:
    """Print the tables, or, with ``--measure``, the figures of one way as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--measure", choices=[*FURTHER, CLIENT], help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
    elif arguments.serve:
        serve()
    else:
        _print_tables(arguments.rounds)


def _print_tables(rounds: int) -> None:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("prefect", "pytest"))
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} CPUs\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        packages = [sysconfig.get_path("purelib"), str(Path(__file__).parents[1] / "pytest_flowsecrets")]
        subprocess.run([sys.executable, "-m", "compileall", "-q", "-j", "0", *packages], check=False)
        print("\n".join(_steps(rounds)) + "\n", flush=True)
        print("\n".join(_files(rounds)), flush=True)


def _steps(rounds: int) -> List[str]:
    figures: Dict[str, List[Dict[str, float]]] = {way: [] for way in (*FURTHER, CLIENT)}
    for _ in range(rounds):  # in turn, so that a busy moment hits all of them
        for way, results in figures.items():
            results.append(_measure_alone(way))
    middle = {
        way: {step: median(result[step] for result in results) for step in results[0]}
        for way, results in figures.items()
    }
    rows = [
        [step, *(f"{middle[way][step]:,.1f} {'MB' if step == 'memory' else 'ms'}" for way in FURTHER)]
        + [f"1/{middle[way][step] / max(middle[OURS][step], 0.1):,.0f}" for way in (SERVER, HARNESS)]
        for step in middle[OURS]
    ]
    client = f"Prefect's client and the same flow, with {CLIENT}: {middle[CLIENT]['memory']:.1f} MB."
    return [*_table(["step", *FURTHER, "of the server's", "of the harness's"], rows), "", client]


def _measure_alone(way: str) -> Dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        variables = _environment(folder)
        if way == SERVER:
            variables = {**variables, **QUIET, DATABASE: f"sqlite+aiosqlite:///{folder}/server.db"}
            upgrade = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
            subprocess.run(upgrade, env=variables, check=True, capture_output=True)
            shutil.copy(f"{folder}/server.db", f"{folder}/server.db.template")
        command = [sys.executable, __file__, "--measure", way]
        output = subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout
        result: Dict[str, float] = json.loads(output.splitlines()[-1])
        return result


def _files(rounds: int) -> List[str]:
    """Whole runs of pytest over ten tests, each with an isolation of its own."""
    load = 'assert Secret.load("benchmark").get() == "x"'
    texts = {
        NOTHING: TEST_FILE.format(head="", mark="", body="pass"),
        OURS: TEST_FILE.format(head="import pytest", mark='@pytest.mark.secrets(benchmark="x")', body=load),
        HARNESS: TEST_FILE.format(head=HARNESS_FIXTURE, mark="", body=load),
    }
    times: Dict[str, List[float]] = {way: [] for way in texts}
    for number in range(rounds):
        for way, text in texts.items():
            if way != HARNESS or number == 0:  # minutes
                times[way].append(_run_file(text, plugin=way == OURS))
    times[f"{OURS}, `-n 4`"] = [_run_file(texts[OURS], "-n", "4", plugin=True) for _ in range(rounds)]
    rows = [
        [way, f"{median(series):,.2f} s", f"{median(series) / median(times[NOTHING]):,.2f}"]
        for way, series in times.items()
    ]
    return _table(["ten tests, each with its own isolation", "whole run", "of the same file without an API"], rows)


def _run_file(text: str, *options: str, plugin: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_ten.py").write_text(text)
        plugins = ["-p", "xdist"] * bool(options) + ["-p", "pytest_flowsecrets.plugin"] * plugin
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, *options, folder]
        variables = {**_environment(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        start = perf_counter()
        done = subprocess.run(
            command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stdout)
        return perf_counter() - start


def _environment(folder: str) -> Dict[str, str]:
    ambient = {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT", "COVERAGE"))}
    return {
        **ambient,
        "PREFECT_HOME": folder,
        "PREFECT_PROFILES_PATH": f"{folder}/profiles.toml",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # on a busy machine, 20 are too few
    }


def _table(head: List[str], rows: List[List[str]]) -> List[str]:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


if __name__ == "__main__":
    main()
