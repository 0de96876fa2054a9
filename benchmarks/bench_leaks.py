"""How fast secrets are found and masked: tables in Markdown, each figure beside its peers in the same run.

    python benchmarks/bench_leaks.py

pyahocorasick and pytest-mask-secrets are peers that are left out where they are not installed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import string
import subprocess
import sys
import tempfile
import tracemalloc
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from pytest_flowsecrets.leaks.forms import forms_of
from pytest_flowsecrets.leaks.redact import Redactor

ALPHABET = string.ascii_letters + string.digits
LINE = "[2026-01-01 00:%02d:%02d,%03d] INFO - prefect.TaskRunner | Task 'task_%d': Finished with 'Success' id=%032x\n"


def secrets(count):
    chance = random.Random(count)
    return ["".join(chance.choice(ALPHABET) for _ in range(32)) for _ in range(count)]


def captured(megabytes, values):
    """Log lines, with one form of one secret in every 100 kB."""
    chance = random.Random(1)
    lines = "".join(LINE % tuple(chance.randrange(n) for n in (60, 60, 1000, 99, 1 << 128)) for _ in range(900))
    forms = [form.text.decode() for value in values for form in forms_of(value)]
    return "".join(part for _ in range(megabytes * 10) for part in (lines[:100_000], chance.choice(forms), "\n"))


def timed(work):
    start = perf_counter()
    result = work()
    return perf_counter() - start, result


def searching(megabytes):
    rows = []
    for count in (100, 500):
        values = secrets(count)
        text = captured(megabytes, values)
        texts = [form.text.decode() for value in values for form in forms_of(value)]
        size = len(text) / 1e6
        redactor = Redactor(dict.fromkeys(values, ("NAME",)))
        rows.append((f"**`redact`**, {count} secrets, all forms", size / timed(lambda: redactor.redact(text))[0]))
        small = text[: 1 << 20]
        pattern = re.compile("|".join(map(re.escape, texts)))
        rows.append(
            (
                f"`re`, one alternation of their {len(texts)} texts",
                len(small) / 1e6 / timed(lambda: pattern.sub("", small))[0],
            )
        )
        chunks = [re.compile("|".join(map(re.escape, texts[at : at + 50]))) for at in range(0, len(texts), 50)]
        rows.append(
            ("`re`, alternations of 50", len(small) / 1e6 / timed(lambda: [each.findall(small) for each in chunks])[0])
        )
        rows.append(
            (
                "`str.replace` for each text",
                len(small) / 1e6 / timed(lambda: [small.replace(each, "") for each in texts])[0],
            )
        )
        if find_spec("ahocorasick"):
            import ahocorasick

            automaton = ahocorasick.Automaton()
            for number, each in enumerate(texts):
                automaton.add_word(each, number)
            automaton.make_automaton()
            rows.append(
                ("pyahocorasick, whole texts only", size / timed(lambda: sum(1 for _ in automaton.iter(text)))[0])
            )
    return rows


def memory(megabytes):
    values = secrets(100)
    text = captured(megabytes, values)
    redactor = Redactor(dict.fromkeys(values, ("NAME",)))
    redactor.redact(text[:1000])
    tracemalloc.start()
    redactor.redact(text)
    return tracemalloc.get_traced_memory()[1] / len(text)


def suites(tests, count):
    """Seconds for a suite of quiet tests with so many known secrets, for each plugin."""
    values = secrets(count)
    source = f"import pytest\n@pytest.mark.parametrize('n', range({tests}))\ndef test_it(n): print('line', n)\n"
    runs = {"no plugin": [], "**flowsecrets**": ["-p", "pytest_flowsecrets.plugin"]}
    if find_spec("pytest_mask_secrets"):
        runs["pytest-mask-secrets"] = ["-p", "pytest_mask_secrets.plugin"]
    environ = {f"KNOWN_{number}": value for number, value in enumerate(values)}
    environ.update(MASK_SECRETS=",".join(environ), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    times = {name: [] for name in runs}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(source)
        Path(folder, "pytest.ini").write_text("[pytest]\nflowsecrets_known = KNOWN_*\n")
        for _ in range(3):
            for name, arguments in runs.items():
                command = [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-q",
                    *(["-c", os.devnull] if name != "**flowsecrets**" else []),
                    *arguments,
                    "test_it.py",
                ]
                took, _done = timed(
                    lambda: subprocess.run(
                        command, cwd=folder, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, check=False
                    )
                )
                times[name].append(took)
    return {name: min(took) for name, took in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--tests", type=int, default=2000)
    arguments = parser.parse_args()
    print("| searching | MB/s |\n| --- | ---: |")
    for name, speed in searching(arguments.megabytes):
        print(f"| {name} | {speed:,.1f} |", flush=True)
    print(f"\nMemory beside the text: {memory(min(arguments.megabytes, 20)):.2f} times the text.\n")
    found = suites(arguments.tests, 500)
    base = found["no plugin"]
    print(f"| {arguments.tests} quiet tests, 500 known secrets | time | against no plugin | per test |")
    print("| --- | ---: | ---: | ---: |")
    for name, took in found.items():
        print(f"| {name} | {took:.2f} s | {took / base:.2f} | {(took - base) / arguments.tests * 1e6:+.0f} µs |")


if __name__ == "__main__":
    main()
