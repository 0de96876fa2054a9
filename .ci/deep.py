"""Compares the model with any number of Prefects on the same generated examples.

Hypothesis takes ten times as long to generate an example as the comparison takes, and the examples do not depend on
Prefect. So one Prefect runs the properties of ``tests/resolution/test_against_prefect.py`` and writes down their
examples, and the others read them::

    python .ci/deep.py draw FOLDER --examples 200000     # generates, compares with the installed Prefect, writes
    python .ci/deep.py replay FOLDER                     # reads, compares with the installed Prefect

For the settings of Prefect 2.20 and 3, a third command generates cases and compares. The cases depend on the settings
that a release has, and generating one takes less time than loading it. The number of a case determines the case, so a
long run can be split, and a difference can be repeated::

    python .ci/deep.py settings --values 100000 [--first CASE]

All print one line of JSON for each property: what ran on what, and the first examples on which the model and Prefect
disagree. The exit status is 1 if there are any.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import random
import sys
import tempfile
import time
import warnings
from itertools import count, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
PROPERTIES = (
    "test_env_text",
    "test_env_names_and_order",
    "test_toml",
    "test_layers",
    "test_flags",
    "test_shapes",
    "test_varied_cases",
)
SHOWN = 20  # differences printed for each property
WHOLE = 10  # of so many cases with settings of Prefect 3, one loads all settings, which takes ten times as long


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for command in (draw, replay):
        options = commands.add_parser(command.__name__, help=command.__doc__)
        options.add_argument("folder", type=Path)
        options.add_argument("--property", action="append", choices=PROPERTIES, help="all of them by default")
        options.set_defaults(run=command)
        if command is draw:
            options.add_argument("--examples", type=int, default=200_000)
        else:
            options.add_argument("--first", type=int, default=0, help="number of the first example")
            options.add_argument("--last", type=int, default=None, help="number of the example after the last one")
    options = commands.add_parser("settings", help=compare_settings.__doc__)
    options.add_argument("--values", type=int, default=100_000, help="compare at least so many accepted values")
    options.add_argument("--first", type=int, default=0, help="number of the first case")
    options.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    options.set_defaults(run=compare_settings, property=["settings"])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # Prefect parses texts with unknown escapes
    failures = [arguments.run(arguments, name) for name in arguments.property or PROPERTIES]
    return int(any(failures))


def draw(arguments: argparse.Namespace, name: str) -> bool:
    """Run a property and write its examples to a file of the folder."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    module = _module(arguments.examples)
    comparison = Comparison(module)
    compare_for_real = module.check
    with (arguments.folder / name).open("w", encoding="ascii") as file:

        def check(_: Any, *example: Any) -> bool:
            file.write(json.dumps(example) + "\n")
            return comparison.compare(example)

        module.check = check
        try:
            getattr(module, name)(comparison.real)
        finally:
            module.check = compare_for_real
    return comparison.report(name)


def replay(arguments: argparse.Namespace, name: str) -> bool:
    """Compare the installed Prefect with the model on the examples of a file of the folder."""
    comparison = Comparison(_module(1))
    with (arguments.folder / name).open(encoding="ascii") as file:
        for line in islice(file, arguments.first, arguments.last):
            comparison.compare(json.loads(line))
    return comparison.report(name)


def compare_settings(arguments: argparse.Namespace, name: str) -> bool:
    """Compare the settings of the installed Prefect 2.20 or 3 with the model."""
    cases = importlib.import_module("tests.prefect3.settings_cases")
    version = importlib.import_module("pytest_flowsecrets.versions").installed_version()
    same, rejected, differences, end = 0, 0, [], time.monotonic() + arguments.seconds
    with tempfile.TemporaryDirectory() as folder:
        real = cases.RealSettings(sys.executable, version, Path(folder).resolve())
        for number in count(arguments.first):
            if same >= arguments.values or time.monotonic() > end:
                break
            whole = not cases.is_new(version) or number % WHOLE == 0
            rng = random.Random(f"{version} {number}")  # noqa: S311
            case = cases.large_case(rng, version, whole=whole)
            try:
                values, refused = real.check(case, whole=whole)
            except Exception as error:  # noqa: BLE001 - a crash of either side is a difference
                differences.append([number, f"{type(error).__name__}: {error}"])
            else:
                same, rejected = same + values, rejected + refused
        real.close()
    result = {"property": name, "prefect": version, "python": platform.python_version()}
    counts = {"cases": [arguments.first, number], "same": same, "both_reject": rejected}
    shown = {"different": len(differences), "shown": differences[:SHOWN]}
    print(json.dumps({**result, **counts, **shown}), flush=True)
    return bool(differences)


class Comparison:
    """Compares the model with the installed Prefect, and keeps the differences.

    Args:
        module: the test module with the properties.
    """

    def __init__(self, module: Any) -> None:
        self._check = module.check
        self.real = importlib.import_module("tests.resolution.conftest").Real(Path(tempfile.mkdtemp()))
        self._compared = self._not_comparable = 0
        self._differences = []

    def compare(self, example: Any) -> bool:
        """Compare one example. A difference does not raise, so that the others are compared, too."""
        try:
            comparable = self._check(self.real, *example)
        except Exception as error:  # noqa: BLE001 - a crash of either side is a difference
            self._differences.append([example, f"{type(error).__name__}: {error}"])
            comparable = True
        self._compared += comparable
        self._not_comparable += not comparable
        return comparable

    def report(self, name: str) -> bool:
        """Print the result as one line of JSON; True if there are differences."""
        result = {"property": name, "prefect": self.real.version, "python": platform.python_version()}
        counts = {"compared": self._compared, "not_comparable": self._not_comparable}
        differences = {"different": len(self._differences), "shown": self._differences[:SHOWN]}
        print(json.dumps({**result, **counts, **differences}), flush=True)
        return bool(self._differences)


def _module(examples: int) -> Any:
    from hypothesis import settings

    importlib.import_module("tests.conftest")
    settings.register_profile("drawn", settings.get_profile("ci"), max_examples=examples)
    settings.load_profile("drawn")
    return importlib.import_module("tests.resolution.test_against_prefect")


if __name__ == "__main__":
    sys.exit(main())
