"""How fast the model is: run it, and it prints one line for each promise, and exits 1 if one is broken.

Promises: 100 secrets resolve in 2 ms; 10,000 take no more than a hundredfold of that (with a margin of two); the
commands start in 150 ms; a thousand files of 20 secrets are checked in 5 s. Where Prefect 0.15 or later is installed,
the ratio to its own ``load_default_config()`` is printed too. All times are CPU times.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_flowsecrets.resolution.resolve import resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

VERSION = "1.4.1"


def best(action, rounds=7, clock=time.process_time):
    """Shortest of some runs, in seconds of CPU: what else the machine does shall not count."""
    times = []
    for _ in range(rounds):
        start = clock()
        action()
        times.append(clock() - start)
    return min(times)


def of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def environ_of(count):
    values = ("hunter2", "ghp_0123456789abcdef", "12345", '{"user": "u"}', "s3cr3t-token")
    secrets = {f"PREFECT__CONTEXT__SECRETS__NAME_{number}": values[number % 5] for number in range(count)}
    return {"HOME": "/home/someone", "PATH": "/usr/bin", **secrets}


def text_of(count):
    return "[context.secrets]\n" + "".join(f'NAME_{number} = "token-{number}x"\n' for number in range(count))


def resolving(count):
    environ = environ_of(count)
    return best(lambda: resolve([], environ, VERSION))


def starting(*arguments):
    command = [sys.executable, "-m", "pytest_flowsecrets.cli", *arguments]
    return best(lambda: subprocess.run(command, check=False, capture_output=True), clock=of_children)


def checking(folder, count):
    paths = [folder / f"{number}.toml" for number in range(count)]
    for path in paths:
        path.write_text(text_of(20))
    from contextlib import redirect_stdout
    from io import StringIO

    from pytest_flowsecrets.cli import main

    with redirect_stdout(StringIO()):
        return best(lambda: main(["check", *map(str, paths)]), rounds=1)


def real_loader():
    """Seconds of ``load_default_config()`` over the same environment, or None without it."""
    try:
        from prefect.configuration import load_default_config
    except ImportError:
        return None
    os.environ.update(environ_of(100))
    return best(load_default_config)


def report(what, seconds, limit=None):
    kept = limit is None or seconds <= limit
    promise = "" if limit is None else f"  (limit {limit * 1000:.0f} ms: {'kept' if kept else 'BROKEN'})"
    print(f"{what:<52}{seconds * 1000:10.2f} ms{promise}")
    return kept


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(text_of(20))
        hundred, many = resolving(100), resolving(10_000)
        layer_time = best(lambda: read_layer(text_of(1_000)))
        kept = [
            report("resolve, 100 secrets", hundred, 0.002),
            report("resolve, 10,000 secrets", many, 200 * hundred),
            report("read a TOML file of 1,000 secrets", layer_time),
            report("start of explain", starting("explain", "--config", str(path)), 0.150),
            report("start of check", starting("check", str(path)), 0.150),
            report("check, 1,000 files of 20 secrets", checking(Path(folder), 1_000), 5.0),
        ]
    real = real_loader()
    if real is not None:
        report("load_default_config() of the real Prefect, 100 secrets", real)
        print(f"the model takes {hundred / real:.2f} of the real one's time")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
