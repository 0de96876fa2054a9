"""Run operations of the catalogue against ``PREFECT_API_URL`` and write each outcome as a line of JSON.

Started as a child process, with the Python that has the Prefect to be tested::

    python run_operations.py OUTCOMES.jsonl [NAME...]
"""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

SECONDS = 300  # a busy machine imports Prefect for ten seconds, and some operations start it four times


class Expired(BaseException):
    """An operation took too long."""


def _expire(*_):
    raise Expired


def outcome(operation):
    """Return what an operation returns, or the type and text of its error."""
    from catalogue import describe

    signal.alarm(SECONDS)
    try:
        return {"value": operation.run()}
    except Expired:
        return {"error": f"took more than {SECONDS} seconds"}
    except BaseException as error:  # noqa: BLE001 - any error is an outcome
        return {"error": describe(error)}
    finally:
        signal.alarm(0)


def main():
    """Run all operations, or the named ones."""
    warnings.simplefilter("ignore")
    import prefect
    from catalogue import load

    signal.signal(signal.SIGALRM, _expire)
    output, names = Path(sys.argv[1]), sys.argv[2:]
    operations = load(prefect.__version__)
    with output.open("w", encoding="utf-8") as stream:
        for name in (name for name in operations if not names or name in names):  # in the order of the catalogue
            line = {"name": name, **outcome(operations[name])}
            stream.write(json.dumps(line, sort_keys=True) + "\n")
            stream.flush()


if __name__ == "__main__":
    main()
