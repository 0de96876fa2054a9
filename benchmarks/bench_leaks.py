"""Measure how fast secrets are found and masked. Prints Markdown tables with peers in the same run.

    python benchmarks/bench_leaks.py

The peers pyahocorasick and pytest-mask-secrets are left out if they are not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import string
import subprocess
import sys
import tempfile
import tracemalloc
import zlib
from base64 import b64encode
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import process_time

from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.search.decoders import _ENCODED
from pytest_flowsecrets.leaks.search.encodings import forms_of

ALPHABET = string.ascii_letters + string.digits
LINE = "[2026-01-01 00:%02d:%02d,%03d] INFO - prefect.TaskRunner | Task 'task_%d': Finished with 'Success' id=%032x\n"


def secrets(count):
    chance = random.Random(count)
    return ["".join(chance.choice(ALPHABET) for _ in range(32)) for _ in range(count)]


def captured(megabytes, values):
    """Return log lines with one form of one secret in every 100 kB."""
    chance = random.Random(1)
    lines = "".join(LINE % tuple(chance.randrange(n) for n in (60, 60, 1000, 99, 1 << 128)) for _ in range(900))
    forms = [form.text.decode() for value in values for form in forms_of(value)]
    return "".join(part for _ in range(megabytes * 10) for part in (lines[:100_000], chance.choice(forms), "\n"))


def timed(work):
    start = process_time()
    result = work()
    return process_time() - start, result


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


PLUGINS = {
    "no plugin": ["-c", os.devnull],
    "**flowsecrets**": ["-p", "pytest_flowsecrets.plugin"],
    **{
        f"**flowsecrets**, {mode}": ["-p", "pytest_flowsecrets.plugin", f"--flowsecrets-leaks={mode}"]
        for mode in ("warn", "fail", "off")
    },
}
if find_spec("pytest_mask_secrets"):
    PLUGINS["pytest-mask-secrets"] = ["-c", os.devnull, "-p", "pytest_mask_secrets.plugin"]


def suites(tests, count, body, rounds):
    """Measure a suite of tests with each plugin.

    Returns:
        The CPU seconds of the whole run, the minimum of all rounds; and those of one test without start and collection,
        the lowest quintile of all tests, so that a busy machine has little effect.
    """
    values = secrets(count)
    environ = {f"KNOWN_{number}": value for number, value in enumerate(values)}
    environ.update(MASK_SECRETS=",".join(environ), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", MEASURE_RESULT="result.json")
    environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    whole, one = ({name: float("inf") for name in PLUGINS} for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        source = f"import pytest\n@pytest.mark.parametrize('n', range({tests}))\ndef test_it(n): {body}\n"
        Path(folder, "test_it.py").write_text(source)
        Path(folder, "pytest.ini").write_text("[pytest]\nflowsecrets_secret_env_vars = KNOWN_*\n")
        for _ in range(rounds):
            for name, arguments in PLUGINS.items():
                run = partial(_cpu, [*arguments, "test_it.py"], folder, {**os.environ, **environ})
                whole[name] = min(whole[name], run(["-m", "pytest"]))
                run([str(Path(__file__).with_name("measure.py"))])
                times = sorted(json.loads(Path(folder, "result.json").read_text())["times"])
                one[name] = min(one[name], times[len(times) // 5])
    return whole, one


def _cpu(arguments, folder, environ, script):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *script, "-q", *arguments]
    subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def registering():
    """Yield a number of values, the milliseconds to register them, and those for the first text with a line break."""
    for count in (100, 500, 10_000):
        values = dict.fromkeys(secrets(count), ("NAME",))
        start = process_time()
        redactor = Redactor(values)
        registered = process_time()
        redactor.redact("two\nlines\n")
        yield count, (registered - start) * 1000, (process_time() - registered) * 1000


ADVERSARIAL = {
    "one letter": lambda _: "a" * 1_000_000,
    "line breaks": lambda _: "\n" * 1_000_000,
    "line breaks, escaped": lambda _: "\\n" * 500_000,
    "base64 of random bytes": lambda _: b64encode(
        random.Random(1).getrandbits(6_000_000).to_bytes(750_000, "big")
    ).decode(),
    "ellipses": lambda _: "." * 1_000_000,
    "beginnings of payloads": lambda _: "eJwr" * 250_000,
    "consecutive payloads": lambda _: b64encode(zlib.compress(b"x" * 30)).decode() * 40_000,
    "near misses: seven characters of each value": lambda values: " ".join(v[:7] for v in values) * 1_250,
    "only secrets": lambda values: " ".join(values) * 300,
}


def adversaries():
    """Yield the MB/s for texts that are designed to be slow, and for texts of four times the size."""
    values = secrets(100)
    redactor = Redactor(dict.fromkeys(values, ("NAME",)))
    for name, make in ADVERSARIAL.items():
        text = make(values)
        speeds = []
        for each in (text, text * 4):
            start = process_time()
            redactor.redact(each)
            speeds.append(len(each) / 1e6 / (process_time() - start))
        yield name, speeds


def large_texts(size):
    """Yield the MB/s of ``redact``, of the one pattern of pytest-mask-secrets, and of one pass of the decoders."""
    chance = random.Random(1)
    words = "INFO", "prefect", "Task", "finished", "ok", "\\n", "\\x1b[0m", "\\u00e9", "%20", "&amp;"
    colored = (f"\x1b[{chance.randrange(30, 38)}m{chance.choice(words)}\x1b[0m " for _ in range(size // 18))
    texts = {"random bytes": chance.randbytes(size).decode("utf-8", "replace"), "colors and escapes": "".join(colored)}
    for count in (1, 10, 100, 500):
        values = secrets(count)
        redactor = Redactor(dict.fromkeys(values, ("NAME",)))
        redactor.redact("two\nlines\n")
        pattern = re.compile("(" + "|".join(map(re.escape, values)) + ")")
        for name, text in texts.items():
            works = (
                partial(redactor.redact, text),
                partial(pattern.sub, "*****", text),
                partial(_ENCODED.sub, b"", text.encode()),
            )
            yield f"{name}, {count} secrets", [len(text) / 1e6 / timed(work)[0] for work in works]


UNITS = [
    *map(chr, range(256)),
    "\\n",
    "\\x",
    "&#",
    "%2",
    "\x1b[",
    "\x1b]8;;",
    "\nE ",
    "eJw",
    "H4sI",
    "=\n",
    "0x4",
    "\u200b",
]


def runs(size):
    """Return the units whose runs are slowest: the time of a run, and the factor for a run of four times the size."""
    values = [*secrets(20), "\\" * 12, "x" * 16, "-" * 20 + "Q", "pa$$ 'w\"o\\rd&<%>", "correct-horse-battery-staple"]
    redactor = Redactor(dict.fromkeys(values, ("NAME",)))
    rows = []
    for unit in UNITS:
        text = unit * (size // len(unit))
        short, long = (timed(partial(redactor.redact, each))[0] for each in (text, text * 4))
        rows.append((repr(unit), short, long / max(short, 1e-4)))
    return sorted(rows, key=lambda row: -row[1])[:10]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print("| searching | MB/s |\n| --- | ---: |")
    for name, speed in searching(arguments.megabytes):
        print(f"| {name} | {speed:,.1f} |", flush=True)
    print(f"\nMemory in addition to the text: {memory(min(arguments.megabytes, 20)):.2f} times the text.\n")
    print("| slow texts, 100 secrets | MB/s | four times the size |\n| --- | ---: | ---: |")
    for name, speeds in adversaries():
        print(f"| {name} | {speeds[0]:,.1f} | {speeds[1]:,.1f} |", flush=True)
    print("\n| large texts | `redact` | pattern of pytest-mask-secrets | one pass of the decoders |")
    print("| --- | ---: | ---: | ---: |")
    for name, speeds in large_texts(2_000_000):
        print(f"| {name} | {' | '.join(f'{speed:,.1f} MB/s' for speed in speeds)} |", flush=True)
    print("\n| runs of one unit, 40,000 characters | ms | four times the size |\n| --- | ---: | ---: |")
    for name, took, growth in runs(40_000):
        print(f"| `{name}` | {took * 1000:,.0f} | {growth:.1f} times |", flush=True)
    print("\n| registering | CPU time | first line break |\n| --- | ---: | ---: |")
    for count, duration, first_break in registering():
        print(f"| {count:,} secrets | {duration:.0f} ms | {first_break:.0f} ms |", flush=True)
    for activity, body in (("print a line", "print('line', n)"), ("do nothing", "pass")):
        whole, one = suites(arguments.tests, 500, body, arguments.rounds)
        base, least = whole["no plugin"], one["no plugin"]
        head = f"{arguments.tests:,} tests that {activity}, 500 registered secrets"
        print(f"\n| {head} | CPU time | relative to no plugin | one test |\n| --- | ---: | ---: | ---: |")
        for name, took in whole.items():
            print(f"| {name} | {took:.2f} s | {took / base:.2f} | {(one[name] - least) * 1e6:+.0f} µs |", flush=True)


if __name__ == "__main__":
    main()
