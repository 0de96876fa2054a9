"""Record the outcomes of the catalogue at the real server, or compare them with those of the fake.

Run it with the Python of the environment that holds the Prefect to be recorded::

    python tests/backend/rest/record.py real OUTCOMES.json            # start the real server and record it
    python tests/backend/rest/record.py at URL OUTCOMES.json          # record the API at a URL
    python tests/backend/rest/record.py fake OUTCOMES.json [NAME...]  # record the fake
    python tests/backend/rest/record.py compare REAL.json FAKE.json   # list the differences
    python tests/backend/rest/record.py merge FOLDER                  # join its files VERSION.json into recordings.json
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path

from pytest_flowsecrets.isolation.prefect3.home import certificate_file

HERE = Path(__file__).parent
RECORDINGS = HERE / "recordings.json"
QUIET_SERVICES = ("SCHEDULER", "LATE_RUNS", "PAUSE_EXPIRATIONS", "CANCELLATION_CLEANUP", "FOREMAN", "TELEMETRY")


def environment(home, **more):
    """Return the environment of a child: the developer's Prefect settings are hidden."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    home.mkdir(parents=True, exist_ok=True)
    return {
        **kept,
        "PREFECT_API_SSL_CERT_FILE": certificate_file(home),  # a client loads all certificates of the machine otherwise
        "HOME": str(home),  # some releases store results there, whatever PREFECT_HOME says
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **more,
    }


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def real_server(home):
    """Run the real server of the installed Prefect and yield the URL of its API."""
    port = _free_port()
    quiet = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in QUIET_SERVICES}
    quiet.update({f"PREFECT_API_SERVICES_{name}_ENABLED": "false" for name in QUIET_SERVICES})
    command = [
        str(Path(sys.executable).with_name("prefect")),
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    log = (home.parent / "server.log").open("wb")
    server = subprocess.Popen(command, env=environment(home, **quiet), stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}/api"
        _wait_for(f"{url}/health", server)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def _wait_for(url, server):
    end = time.monotonic() + 600
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
            if response.status == 200:
                return
        time.sleep(0.3)
    sys.exit(f"the server did not answer at {url}")


@contextlib.contextmanager
def fake_server(_home):
    """Serve the fake from this process and yield the URL of a view."""
    from pytest_flowsecrets.backend.rest import RestApi

    with RestApi(version("prefect")) as api:
        yield api.new_view().url


def outcomes_at(url, names=()):
    """Return the outcomes of operations at the API at a URL, by name."""
    with tempfile.TemporaryDirectory(prefix="rest-client-") as folder:
        lines = Path(folder) / "outcomes.jsonl"
        command = [sys.executable, str(HERE / "run_operations.py"), str(lines), *names]
        client = environment(Path(folder) / "home", PREFECT_API_URL=url, PYTHONPATH=str(HERE))
        subprocess.run(command, env=client, cwd=folder, check=False)
        read = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    return {line.pop("name"): line for line in read}


def run(url, output, names):
    """Run operations against the API at a URL, and write their outcomes to a file."""
    outcomes = outcomes_at(url, names)
    Path(output).write_text(json.dumps(outcomes, indent=0, sort_keys=True) + "\n", "utf-8")
    print(len(outcomes), "outcomes in", output)


def merge(folder):
    """Join the files ``VERSION.json`` of a folder: for each operation the outcomes, each with its versions."""
    merged = {}
    for path in sorted(Path(folder).glob("*.json")):
        for name, outcome in json.loads(path.read_text("utf-8")).items():
            known = merged.setdefault(name, [])
            same = next((each for each in known if each["outcome"] == outcome), None)
            if same is None:
                known.append({"versions": [path.stem], "outcome": outcome})
            else:
                same["versions"].append(path.stem)
    lines = [f"{json.dumps(name)}: {json.dumps(merged[name])}" for name in sorted(merged)]
    RECORDINGS.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(len(merged), "operations in", RECORDINGS)


def recorded(prefect_version):
    """Return the recorded outcomes of a version of Prefect, by operation; empty if it was not recorded."""
    merged = json.loads(RECORDINGS.read_text("utf-8"))
    return {
        name: each["outcome"] for name, known in merged.items() for each in known if prefect_version in each["versions"]
    }


def compare(real, fake):
    """Print the operations whose outcomes differ, and return how many do."""
    expected, actual = (json.loads(Path(path).read_text("utf-8")) for path in (real, fake))
    different = [name for name in expected if name in actual and expected[name] != actual[name]]
    for name in different:
        print(f"{name}\n  real: {json.dumps(expected[name])}\n  fake: {json.dumps(actual[name])}")
    compared = sum(name in actual for name in expected)
    print(f"{compared - len(different)} of {compared} outcomes are equal")
    return len(different)


def main():
    """Do what the command line says."""
    what, *arguments = sys.argv[1:]
    if what == "compare":
        sys.exit(bool(compare(*arguments)))
    if what == "merge":
        merge(*arguments)
        return
    if what == "at":
        run(arguments[0], arguments[1], arguments[2:])
        return
    with tempfile.TemporaryDirectory(prefix="rest-server-") as folder:
        serve = real_server if what == "real" else fake_server
        with serve(Path(folder) / "home") as url:
            run(url, arguments[0], arguments[1:])


if __name__ == "__main__":
    main()
