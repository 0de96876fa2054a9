"""Descriptors 1 and 2 without pytest's capture: output that bypasses Python's streams is masked and reported."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from pytest_flowsecrets.leaks.mask.descriptors import Descriptors
from pytest_flowsecrets.leaks.mask.finding_log import Faults

TOKEN = "k9TzWq4mLrV7"
HEAD = f"""
import os, subprocess, sys
import pytest
TOKEN = "{TOKEN[:8]}" + "{TOKEN[8:]}"
pytestmark = pytest.mark.secrets(TOKEN=TOKEN)
def run(*commands): subprocess.run(["sh", "-c", "; ".join(commands)], check=True)
"""
WRITING = """
    os.write(1, f"one {TOKEN}\\n".encode())
    run(f"echo two {TOKEN}", f"echo three {TOKEN} >&2")
"""
DISABLED = """
def test_it(capfd):
    with capfd.disabled():
        print("zero", TOKEN, flush=True)
        os.write(1, f"one {TOKEN}\\n".encode())
        print("half", TOKEN, flush=True)
        run(f"echo two {TOKEN}", f"echo three {TOKEN} >&2")
        print("last")
    run("echo captured")
    assert capfd.readouterr().out == "captured\\n"
    os.write(1, b"hidden")
"""
THROUGH_MANAGER = """
def test_it(request):
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
"""


def run_command(pytester, source, **more):
    """Run pytest on a module with ``--capture=sys``. ``more`` sets its descriptors."""
    pytester.makepyfile(test_it=HEAD + source)
    command = [sys.executable, "-m", "pytest", "-p", "pytest_flowsecrets.plugin", "--capture=sys"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=pytester.path, env=environment, timeout=60, check=False, **more)


def indented(source):
    return "".join(f"    {line}\n" for line in source.splitlines())


LEAKS = {
    "sys": (f"def test_it():{WRITING}", ["--capture=sys"]),
    "tee-sys": (f"def test_it():{WRITING}", ["--capture=tee-sys"]),
    "in setup": (f"@pytest.fixture\ndef it():{WRITING}\ndef test_it(it): pass\n", ["--capture=sys"]),
    "in teardown": (f"@pytest.fixture\ndef it():\n    yield{WRITING}\ndef test_it(it): pass\n", ["--capture=sys"]),
    "disabled": (DISABLED, []),
    "disabled with sys": (DISABLED, ["--capture=sys"]),
    "disabled with -s": (DISABLED, ["-s"]),
    "disabled capsys": (f"def test_it(capsys):\n    with capsys.disabled():{indented(WRITING)}", []),
    "disabled manager": (THROUGH_MANAGER + indented(WRITING), []),
}


@pytest.mark.parametrize("what", LEAKS)
def test_masked_and_reported(run_tests, what):
    """In every phase and with disabled capture, output is complete, in order and masked, and the test fails."""
    source, arguments = LEAKS[what]
    result = run_tests(HEAD + source, "--flowsecrets-leaks=fail", *arguments)
    assert result.ret == 1
    shown, errors = result.stdout.str(), result.stderr.str()
    assert TOKEN not in shown + errors
    live = re.split("= FAILURES =|= ERRORS =", shown)[0]
    assert re.findall(r"(zero|one|half|two) \[secret TOKEN\]$", live, re.MULTILINE) == (
        ["zero", "one", "half", "two"] if "half" in source else ["one", "two"]
    )
    assert errors.count("three [secret TOKEN]") == 1
    assert "hidden" not in errors
    result.stdout.fnmatch_lines(["secret TOKEN, raw, in live stdout:", "secret TOKEN, raw, in live stderr:"])


def test_a_module_that_is_imported(run_tests, monkeypatch):
    """Output of processes that a module starts on import is masked."""
    monkeypatch.setenv("DEPLOY_KEY", TOKEN)
    source = HEAD + 'run(f"echo one {TOKEN}")\ndef test_it(): pass\n'
    ini = "[pytest]\nflowsecrets_secret_env_vars = DEPLOY_KEY\n"
    result = run_tests(source, "--capture=sys", "--flowsecrets-leaks=warn", ini=ini)
    result.stdout.fnmatch_lines(["*one [[]secret DEPLOY_KEY[]]", "DEPLOY_KEY in live stdout: 1"])


def test_in_a_worker(run_tests):
    """In an xdist worker, descriptor 2 leads to the standard error of the controller, masked."""
    pytest.importorskip("xdist")
    source, arguments = LEAKS["sys"]
    result = run_tests(HEAD + source, "--flowsecrets-leaks=fail", "-n1", *arguments, plugins=["xdist"])
    assert result.ret == 1
    assert TOKEN not in result.stdout.str() + result.stderr.str()
    result.stderr.fnmatch_lines(["three [[]secret TOKEN[]]"])


def test_other_bytes(pytester):
    """Many bytes that are not text pass unchanged."""
    source = "def test_it(): os.write(1, b'<' + bytes(range(256)) * 4000 + b'>')\n"
    result = run_command(pytester, source, stdout=subprocess.PIPE)
    assert result.returncode == 0
    assert b"<" + bytes(range(256)) * 4000 + b">" in result.stdout


def test_one_stream(pytester):
    """With ``2>&1``, the order of both streams is kept."""
    commands = "".join(f"    run('echo out {n}', 'echo err {n} >&2')\n" for n in range(3))
    source = f"def test_it():\n{commands}"
    result = run_command(pytester, source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert re.findall("(out|err) ([0-9])", result.stdout) == [(s, n) for n in "012" for s in ("out", "err")]


def test_a_child_that_outlives_its_test(run_tests):
    """Output that a child writes after its test, while the run continues, is masked and shown."""
    source = """
def test_starts(tmp_path_factory):
    global child
    code = f"import sys; sys.stdin.read(1); print('late {TOKEN}'); sys.exit()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)

def test_ends():
    child.communicate(b"x")
"""
    result = run_tests(HEAD + source, "--capture=sys", "--flowsecrets-leaks=warn", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*late [[]secret TOKEN[]]", "TOKEN in live stdout: 1"])


def test_a_child_after_the_last_test(run_tests, pytester):
    """Output that a child writes after the last test, before the run ends, is masked, shown and reported."""
    pytester.makeconftest("def pytest_unconfigure():\n    import test_it\n    test_it.child.communicate(b'x')\n")
    source = """
child = None
def test_starts():
    global child
    code = f"import sys; sys.stdin.read(1); print('late {TOKEN}')"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
"""
    pytester.makepyfile(test_it=HEAD + source)
    result = run_tests(None, "--capture=sys", "--flowsecrets-leaks=fail")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*late [[]secret TOKEN[]]"])
    result.stderr.fnmatch_lines(["TOKEN in live stdout: 1"])


def test_redirected_by_the_test(run_tests, pytester):
    """A test may open ``/dev/stdout`` and redirect a descriptor permanently."""
    source = """
def test_opens():
    run(f"echo first {TOKEN}", f"echo then {TOKEN} > /dev/stdout")

def test_redirects():
    run("echo before")
    with open("out", "w") as file:
        os.dup2(file.fileno(), 1)

def test_after():
    run(f"echo after {TOKEN}")
"""
    result = run_tests(HEAD + source, "--capture=sys")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*then [[]secret TOKEN[]]", ".before"])
    written = (pytester.path / "out").read_text()
    assert "after [secret TOKEN]" in written
    assert TOKEN not in result.stdout.str() + written


@pytest.mark.parametrize("arguments", [["--capture=sys"], ["-s"], ["-p", "no:capture"]], ids=" ".join)
def test_not_redirected(run_tests, pytester, arguments):
    """The descriptors are the real ones if no secret is registered, with ``-s``, and without pytest's capture."""
    pytester.makeconftest("import os, pytest\ndef pytest_configure(): pytest.real = os.fstat(1)\n")
    source = """
import contextlib, os, pytest
def test_it(request):
    manager = request.config.pluginmanager.getplugin("capturemanager")
    with manager.global_and_fixture_disabled() if manager else contextlib.nullcontext():
        assert os.path.samestat(os.fstat(1), pytest.real)
        os.write(1, b"written")
"""
    mark = "pytestmark = pytest.mark.secrets(TOKEN='k9TzWq4mLrV7')\n" * ("--capture=sys" not in arguments)
    result = run_tests(source + mark, *arguments)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*written*"])


def test_a_debugger(pytester):
    """A debugger gets the real descriptors until the phase of the test ends."""
    source = """
def test_it():
    run(f"echo before {TOKEN}")
    redirected = os.fstat(1)
    breakpoint()
    assert not os.path.samestat(os.fstat(1), redirected)

def test_after():
    run(f"echo after {TOKEN}")

def test_with_capfd(capfd):
    breakpoint()
    run("echo captured")
    assert capfd.readouterr().out == "captured\\n"

def test_at_last():
    run(f"echo last {TOKEN}")
"""
    result = run_command(pytester, source, input="p 'he' + 're'\nc\nc\n", stdout=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stdout
    assert "here" in result.stdout
    assert TOKEN not in result.stdout
    assert re.findall("(before|after|last) .secret TOKEN", result.stdout) == ["before", "after", "last"]


def test_a_person_at_the_terminal(pytester):
    """On an interactive terminal, the descriptors lead to the terminal itself."""
    main, terminal = pty.openpty()
    source = "def test_it():\n    assert os.isatty(1)\n"
    result = run_command(pytester, source, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    os.close(main)
    assert result.returncode == 0


def test_under_pyfakefs(run_tests):
    """The temporary files are real ones while a test has replaced the file system."""
    pytest.importorskip("pyfakefs")
    source = """
from pyfakefs.fake_filesystem_unittest import Pause
def test_it(fs):
    with Pause(fs):
        run(f"echo one {TOKEN}")
    print("fake", TOKEN, file=sys.__stdout__, flush=True)
"""
    result = run_tests(HEAD + source, "--capture=sys", "--flowsecrets-leaks=fail", plugins=["pyfakefs.pytest_plugin"])
    result.stdout.fnmatch_lines(["*one [[]secret TOKEN[]]", "*fake [[]secret TOKEN[]]", "*in live stdout:"])
    assert "could not be masked" not in result.stdout.str() + result.stderr.str()
    assert TOKEN not in result.stdout.str() + result.stderr.str()


@contextlib.contextmanager
def piped():
    """Lead descriptor 1 to a pipe, and yield its end for reading."""
    reading, writing = os.pipe()
    saved = os.dup(1)
    os.dup2(writing, 1)
    os.close(writing)
    try:
        yield reading
    finally:
        os.dup2(saved, 1)
        os.close(saved)


@pytest.fixture
def descriptors():
    """Descriptors that are always redirected and forward bytes in upper case."""
    faults = Faults()
    mine = Descriptors(lambda data, _: data.upper(), lambda: True, faults)
    yield mine
    mine.end()
    assert faults.unreported_lines() == []


def test_a_pipe_that_is_full(descriptors):
    """No output is lost if descriptor 1 is a full, non-blocking pipe."""
    much = b"x" * 1_000_000
    read = []
    with piped() as pipe:
        os.set_blocking(1, False)
        reader = threading.Thread(target=lambda: read.extend(iter(lambda: os.read(pipe, 1 << 16), b"")))
        with descriptors.redirected():
            os.write(1, much)
            assert repr(descriptors) == "<Descriptors redirected>"
            reader.start()
        assert repr(descriptors) == "<Descriptors untouched>"
    reader.join()
    os.close(pipe)
    assert b"".join(read) == much.upper()


def test_a_forked_child(descriptors):
    """A forked child leaves forwarding to its parent, so nothing is written twice."""
    with piped() as pipe, descriptors.redirected():
        os.write(1, b"parent ")
        descriptors.forward()
        os.write(1, b"again ")
        child = os.fork()
        if not child:
            with descriptors.redirected():
                os.write(1, b"child")
            descriptors.forward()
            os._exit(0)
        os.waitpid(child, 0)
    assert os.read(pipe, 1000) == b"PARENT AGAIN CHILD"
    os.close(pipe)


def test_another_process(descriptors):
    """``redirected()`` does nothing in a process other than the one that created the object."""
    child = os.fork()
    if not child:
        before = os.fstat(1)
        with descriptors.redirected():
            os._exit(0 if os.path.samestat(os.fstat(1), before) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_stream_that_is_opened_anew(descriptors):
    """Opening ``/dev/stdout`` truncates the file, but output that was already forwarded is not repeated."""
    with piped() as pipe, descriptors.redirected():
        os.write(1, b"a long line ")
        descriptors.forward()
        with open("/dev/stdout", "w") as stream:
            stream.write("short ")
        os.write(1, b"again")
    assert os.read(pipe, 1000) == b"A LONG LINE SHORT AGAIN"
    os.close(pipe)
