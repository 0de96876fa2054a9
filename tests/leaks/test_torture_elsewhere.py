"""Places that need their own run: live output, other styles and options, broken runs.

The tests work like those in ``test_torture``.
"""

from __future__ import annotations

import os

import pytest

from .disguises import FORMS, name_of, traces_of, value_of
from .test_torture import CHOSEN, Written, run_pytest

pytestmark = pytest.mark.skipif(
    not os.environ.get("FLOWSECRETS_TORTURE"), reason="runs in one tox cell, with FLOWSECRETS_TORTURE=few or =all"
)

HEAD = """
import json, os, sys, logging, warnings
import os

import pytest
TEXTS = json.load(open("texts.json"))
ALL = "\\n--\\n".join(TEXTS)
"""
DOCTEST = '''
"""
>>> print(open("texts.txt").read())
nothing
"""
'''
HYPOTHESIS = """
from hypothesis import given, settings, strategies as st
@settings(max_examples=20)
@given(st.sampled_from(TEXTS), st.text())
def test_it(text, other):
    assert text == other
@given(st.text())
def test_literal(text):
    assert text == ALL
"""
# name -> (files, arguments)
RUNS = {
    "live": (
        {
            "test_it.py": "def test_it():\n    print(ALL); sys.stderr.write(ALL); sys.stdout.buffer.write(ALL.encode())\n"
        },
        ["-s"],
    ),
    "live_lines": (
        {"test_it.py": "def test_it():\n    sys.stdout.writelines([ALL, '\\n'])\n"},
        ["-s", "-p", "no:terminal"],
    ),
    "log_cli": (
        {"test_it.py": "def test_it():\n    logging.warning(ALL)\n"},
        ["-o", "log_cli=true", "--log-cli-level=0"],
    ),
    "log_file": ({"test_it.py": "def test_it():\n    logging.warning(ALL)\n"}, ["--log-file=log.txt"]),
    "tee": ({"test_it.py": "def test_it():\n    print(ALL)\n"}, ["--capture=tee-sys"]),
    "capture_sys": ({"test_it.py": "def test_it():\n    print(ALL); assert 0\n"}, ["--capture=sys"]),
    **{
        f"tb_{style}": (
            {"test_it.py": "def test_it():\n    raise ValueError(ALL)\n"},
            [f"--tb={style}", "-rA", "--color=yes"],
        )
        for style in ("long", "short", "line", "native", "auto", "no")
    },
    "full_trace": (
        {"test_it.py": "def test_it():\n    here = ALL\n    assert here == 1\n"},
        ["--full-trace", "-l", "-vv"],
    ),
    "colors": ({"test_it.py": "def test_it():\n    assert {'a': ALL} == {'a': 1}\n"}, ["--color=yes", "-vv"]),
    "collect_only": (
        {"test_it.py": "@pytest.mark.parametrize('x', TEXTS)\ndef test_it(x): pass\n"},
        ["--collect-only"],
    ),
    "collect_quiet": (
        {"test_it.py": "@pytest.mark.parametrize('x', TEXTS)\ndef test_it(x): pass\n"},
        ["--collect-only", "-q"],
    ),
    "setup_plan": (
        {"test_it.py": "@pytest.fixture(params=TEXTS)\ndef one(request): pass\ndef test_it(one): pass\n"},
        ["--setup-plan"],
    ),
    "broken_module": ({"test_it.py": "raise RuntimeError(ALL)\n"}, []),
    "module_skip": ({"test_it.py": "pytest.skip(ALL, allow_module_level=True)\n"}, ["-rs"]),
    "module_prints": ({"test_it.py": "print(ALL)\nraise RuntimeError\n"}, []),
    "module_warns": ({"test_it.py": "warnings.warn(ALL)\ndef test_it(): pass\n"}, []),
    "conftest_breaks": ({"conftest.py": "raise RuntimeError(ALL)\n"}, []),
    "conftest_warns": ({"conftest.py": "warnings.warn(ALL)\n", "test_it.py": "def test_it(): pass\n"}, []),
    "usage_error": ({"conftest.py": "def pytest_configure():\n    raise pytest.UsageError(ALL)\n"}, []),
    "exit": ({"test_it.py": "def test_it():\n    pytest.exit(ALL)\n"}, []),
    "exit_early": ({"conftest.py": "def pytest_sessionstart():\n    pytest.exit(ALL)\n"}, []),
    "interrupt": ({"test_it.py": "def test_it():\n    raise KeyboardInterrupt(ALL)\n"}, ["--full-trace"]),
    "internal_error": (
        {
            "conftest.py": "def pytest_runtest_logstart():\n    raise RuntimeError(ALL)\n",
            "test_it.py": "def test_it(): pass\n",
        },
        [],
    ),
    "internal_error_xdist": (
        {
            "conftest.py": "def pytest_runtest_logstart():\n    raise RuntimeError(ALL)\n",
            "test_it.py": "def test_it(): pass\n",
        },
        ["-p", "xdist", "-n1"],
    ),
    "exit_xdist": ({"test_it.py": "def test_it():\n    pytest.exit(ALL)\n"}, ["-p", "xdist", "-n1"]),
    "header": (
        {
            "conftest.py": "def pytest_report_header():\n    return ALL\n"
            "def pytest_terminal_summary(terminalreporter):\n    terminalreporter.write_line(ALL)\n",
            "test_it.py": "def test_it(): pass\n",
        },
        [],
    ),
    "fixtures": (
        {
            "conftest.py": "def one(): pass\none.__doc__ = ALL\none = pytest.fixture(one)\n",
            "test_it.py": "def test_it(one): pass\n",
        },
        ["--fixtures", "-v"],
    ),
    "doctest": ({"test_it.py": DOCTEST}, ["--doctest-modules"]),
    "unittest": (
        {
            "test_it.py": "import unittest\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(ALL, 1)\n"
        },
        ["--junit-xml=junit.xml"],
    ),
    "hypothesis": ({"test_it.py": HYPOTHESIS}, ["-p", "_hypothesis_pytestplugin", "--hypothesis-verbosity=verbose"]),
    "debug": ({"test_it.py": "@pytest.mark.parametrize('x', TEXTS)\ndef test_it(x): pass\n"}, ["--debug"]),
    "unknown_fixture": (
        {
            "test_it.py": "@pytest.fixture(params=TEXTS)\ndef one(request): request.getfixturevalue(request.param)\ndef test_it(one): pass\n"
        },
        [],
    ),
    "stdout_of_module": (
        {"conftest.py": "import atexit\nout = sys.stdout\n", "test_it.py": "def test_it(): print(ALL)\n"},
        ["-rP"],
    ),
}


def _run(folder, name):
    import json

    files, arguments = RUNS[name]
    texts = [FORMS[form][1](value_of(name, form)) for form in CHOSEN]
    for file, text in files.items():
        (folder / file).write_text((HEAD if file != "test_it.py" or "doctest" not in name else "") + text)
    (folder / "texts.json").write_text(json.dumps(texts))
    (folder / "texts.txt").write_text("\n--\n".join(texts))
    secrets = {f"PREFECT__CONTEXT__SECRETS__{name_of(name, form)}": value_of(name, form) for form in CHOSEN}
    output = run_pytest(folder, *arguments, **secrets)
    return Written(folder, output, inputs={*files, "texts.json", "texts.txt"})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return what a run wrote. Each run happens once."""
    results = {}

    def of(name):
        if name not in results:
            results[name] = None
            results[name] = _run(tmp_path_factory.mktemp(name), name)
        assert results[name] is not None, "the run has failed"
        return results[name]

    return of


NOT_SHOWN = {"tb_no", "exit_xdist"}


@pytest.mark.parametrize("form", CHOSEN)
@pytest.mark.parametrize("name", RUNS)
def test_no_trace(written, name, form):
    """No trace of the secret remains, and a mask shows that the place was reached."""
    if "xdist" in name:
        pytest.importorskip("xdist")
    traces = [trace for trace in traces_of(name, form) if len(trace) > 5 and written(name).holds(trace)]
    assert not traces, f"{len(traces)} traces"
    assert name in NOT_SHOWN or written(name).holds("[secret "), "no mask"
