"""``python -m pytest_flowsecrets``: the command line ``flowsecrets``."""

import sys

from pytest_flowsecrets.cli import main

if __name__ == "__main__":  # pragma: no cover - run in a process of its own by the tests
    sys.exit(main())
