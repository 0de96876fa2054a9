"""The properties of ``tests/resolution/test_against_prefect.py``, drawn once and given to any number of Prefects.

Drawing takes most of the time of ``--hypothesis-profile=deep``, and what is drawn does not depend on Prefect. So one
Prefect runs the properties and writes down what they drew, and the others are given the same::

    python .ci/deep.py draw test_toml drawn/test_toml --examples 200000   # runs the property on the installed Prefect
    python .ci/deep.py replay drawn/test_toml --first 0 --last 200000     # on another one

Each prints one line of JSON: what ran on what, and the first inputs on which model and Prefect disagreed.
"""

import argparse
import importlib
import json
import platform
import sys
import tempfile
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
SHOWN = 20


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("draw")
    one.add_argument("property")
    one.add_argument("file", type=Path)
    one.add_argument("--examples", type=int, default=200_000)
    one.set_defaults(run=draw)
    other = commands.add_parser("replay")
    other.add_argument("file", type=Path)
    other.add_argument("--first", type=int, default=0)
    other.add_argument("--last", type=int, default=200_000)
    other.set_defaults(run=replay)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # texts with unknown escapes, which Prefect parses
    return arguments.run(arguments)


def draw(arguments: argparse.Namespace) -> int:
    """Run a property, and write down what it was given."""
    module = _module(arguments.examples)
    told = Told(module)
    with arguments.file.open("w", encoding="ascii") as file:

        def check(real: Any, *drawn: Any) -> bool:
            file.write(json.dumps(drawn) + "\n")
            return told.compare(real, drawn)

        module.check, told.check = check, module.check
        getattr(module, arguments.property)(told.real)
    return told.tell(arguments.property)


def replay(arguments: argparse.Namespace) -> int:
    """Give what was written down to the installed Prefect."""
    told = Told(_module(1))
    with arguments.file.open(encoding="ascii") as file:
        for line in islice(file, arguments.first, arguments.last):
            told.compare(told.real, json.loads(line))
    return told.tell(arguments.file.stem, lines=f"{arguments.first}-{arguments.last}")


class Told:
    """Compares, counts and tells."""

    def __init__(self, module: Any) -> None:
        self.check = module.check
        self.real = importlib.import_module("tests.resolution.conftest").Real(Path(tempfile.mkdtemp()))
        self.compared = self.aside = 0
        self.different = []

    def compare(self, real: Any, drawn: Any) -> bool:
        """Compare model and Prefect; a difference is kept, not raised, so that all others are found too."""
        try:
            compared = self.check(real, *drawn)
        except Exception as error:  # noqa: BLE001 (a crash of either is a difference)
            self.different.append([drawn, f"{type(error).__name__}: {error}"])
            compared = True
        self.compared += compared
        self.aside += not compared
        return compared

    def tell(self, name: str, **more: Any) -> int:
        """Print what came of it."""
        what = {"property": name, "prefect": self.real.version, "python": platform.python_version(), **more}
        counts = {"compared": self.compared, "aside": self.aside, "different": len(self.different)}
        print(json.dumps({**what, **counts, "shown": self.different[:SHOWN]}))
        return int(bool(self.different))


def _module(examples: int) -> Any:
    from hypothesis import settings

    importlib.import_module("tests.conftest")
    settings.register_profile("drawn", settings.get_profile("deep"), max_examples=examples)
    settings.load_profile("drawn")
    return importlib.import_module("tests.resolution.test_against_prefect")


if __name__ == "__main__":
    sys.exit(main())
