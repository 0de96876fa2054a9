"""``flowsecrets migrate`` shows the plan and the diff, and rewrites files; it never shows a value."""

from __future__ import annotations

import json
import os
import stat
from importlib import metadata

import pytest

from tests.compat import needs_libcst

CONFIG = "[context]\nbucket = 'the-bucket'\n[context.secrets]\nGITHUB_TOKEN = 'hunter2'\nPIN = '73519073'\n"
CODE = "from prefect.client import Secret\nPASSWORD = 'hunter2'\nx = Secret('GITHUB_TOKEN').get()\n"
V = ("--prefect-version", "0.6.6", "--config")


@pytest.fixture
def migrate(run, write, monkeypatch):
    """Run the command on a configuration file, with an empty environment, and check that it shows no value."""
    write("empty.env", "")

    def migrate(*arguments, config=CONFIG):
        done = run("migrate", *V, write("config.toml", config), "--env-file", "empty.env", *arguments)
        assert not [value for value in ("hunter2", "73519073", "the-bucket") if value in done.out + done.err]
        return done

    return migrate


def test_a_clean_plan(migrate):
    """Without anything to decide, the plan lists each item with its source, and the exit status is 0."""
    done = migrate()
    assert done.code == 0
    assert "Prefect 0.6.6 -> 3\n" in done.out
    assert "GITHUB_TOKEN -> Secret block github-token: str of length 7 #" in done.out
    assert "(config.toml:4:1)" in done.out
    assert "PIN -> Secret block pin: int #" in done.out
    assert "context.bucket -> Variable bucket: str of length 10 #" in done.out
    assert done.out.endswith("Nothing was created. To create 3 of 3 items, add --apply.\n")


def test_a_plan_that_needs_decisions(migrate):
    """Changed types, collisions and Cloud secrets are in the plan, and the exit status is 1."""
    config = "[context.secrets]\nA_B = 'hunter2'\na-b = 'x'\nday = 2020-01-02\n"
    done = migrate("--cloud-secret", "REMOTE", config=config)
    assert done.code == 1
    assert "problem: gets the same name as a-b: choose another one with --rename" in done.out
    assert "changes: date becomes text in ISO 8601" in done.out
    assert "REMOTE -> Secret block remote: a secret of Prefect Cloud cannot be read back" in done.out
    assert migrate("--rename", "A_B=other", config=config.partition("day")[0]).code == 0


def test_json(migrate):
    """`--json` prints the whole plan as one document."""
    data = json.loads(migrate("--json", "--target", "2").out)
    assert (data["source"], data["target"], data["applied"]) == ("0.6.6", 2, None)
    assert {each["old"]: each["new"] for each in data["items"]} == {
        "GITHUB_TOKEN": "github-token",
        "PIN": "pin",
        "context.bucket": "bucket",
    }
    assert data["items"][1]["changes"] == [
        "int becomes its JSON text, because Prefect 2 stores text only: use json.loads"
    ]


def test_the_environment(run, write):
    """Variables of a .env file are read with the names and types of the legacy release."""
    write("x.env", "PREFECT__CONTEXT__SECRETS__MY_KEY=42\n")
    out = run("migrate", "--prefect-version", "0.6.6", "--env-file", "x.env").out
    assert "my_key -> Secret block my-key: int" in out
    assert "(x.env:1:1 PREFECT__CONTEXT__SECRETS__MY_KEY)" in out


@needs_libcst
def test_diff_and_write(migrate, write, tmp_path):
    """`--diff` shows the change of the code, with masked values; `--write` makes it and keeps the permissions."""
    path = tmp_path / write("src/flow.py", CODE)
    path.chmod(0o755)
    write("src/other.py", "x = 1\n")
    done = migrate("src", "--diff")
    assert done.code == 0
    assert "src/flow.py:3:5: Secret('GITHUB_TOKEN').get() -> Secret.load('github-token').get()\n" in done.out
    assert (
        "-from prefect.client import Secret\n+from prefect.blocks.system import Secret\n PASSWORD = '•••'\n" in done.out
    )
    assert path.read_text() == CODE
    assert migrate("src", "--write").code == 0
    assert "Secret.load('github-token').get()" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert os.listdir(path.parent) == ["flow.py", "other.py"] or sorted(os.listdir(path.parent)) == [
        "flow.py",
        "other.py",
    ]
    assert migrate("src", "--diff").out.count("flow.py") == 0


@needs_libcst
def test_code_is_shown_without_values(migrate, write):
    """Neither plan, diff nor JSON shows a value that the code repeats, in a part or a spelling of any kind."""
    config = (
        CONFIG + "SUB = 'prefect'\nLINES = 'hunter2\\n'\nDB = {login = {password = 'hunter2'}, ports = [73519073]}\n"
    )
    code = (
        "import prefect  # hunter2\nfrom prefect.client import Secret\nfrom prefect.tasks.secrets import EnvVarSecret\n"
        "x = (Secret('SUB')  # hunter2\n     .get())\nPIN, KEY = 73519073, '{\"password\": \"hunter2\"}'\n"
        "y = EnvVarSecret('hunter2' + str(73519073)).run()\nz = '\\x68unter2', 'prefect'\n"
    )
    write("flow.py", code)
    for arguments in (["--diff"], ["--diff", "--json"]):
        out = migrate("flow.py", *arguments, config=config).out
        assert "x68" not in out
        assert "import prefect" in out


@needs_libcst
def test_secrets_that_only_the_code_names(migrate, write):
    """A secret that the configuration does not define is listed with the places that use it."""
    write("flow.py", CODE.replace("GITHUB_TOKEN", "REMOTE") + "y = Secret(name).get()\n")
    done = migrate("flow.py")
    assert done.code == 1
    assert "REMOTE -> Secret block remote: this configuration does not define it" in done.out
    assert "(used at flow.py:3)" in done.out
    assert "flow.py:4:5: Secret by hand: the name is not a constant" in done.out


@needs_libcst
def test_files_that_cannot_be_read(migrate, write):
    """A file that is not Python is an error of its own, without its text; the others are read."""
    write("src/a.py", "import prefect\nx = 'hunter2 secrets\n")
    write("src/b.py", b"import prefect  # secrets \xff\n")
    write("src/c.py", CODE)
    done = migrate("src")
    assert done.code == 1
    assert "flowsecrets: src/a.py:1: libcst cannot read this file: change it by hand" in done.err
    assert "flowsecrets: src/b.py:1: SyntaxError: change this file by hand" in done.err
    assert "src/c.py:3:5" in done.out


@needs_libcst
def test_folders_of_others_are_left(migrate, write):
    """Hidden folders and installed packages are not read."""
    for folder in (".venv", "venv/lib/site-packages", "node_modules"):
        write(f"src/{folder}/flow.py", CODE)
    assert "flow.py" not in migrate("src").out


@needs_libcst
def test_files_that_are_not_searched_are_named(migrate, write):
    """Notebooks with secrets are errors; folders with generated files and environments are notes."""
    write("src/nightly.ipynb", json.dumps({"cells": [{"source": [CODE]}]}))
    write("src/plot.ipynb", "{}")
    write("src/build/flow.py", CODE)
    write("src/env/pyvenv.cfg", "")
    done = migrate("src")
    assert done.code == 1
    assert "flowsecrets: src/nightly.ipynb: a notebook that mentions Prefect and secrets: change it by hand" in done.err
    assert "plot" not in done.out + done.err
    assert "note: src/build: not searched; to search it, pass it as a source" in done.out
    assert "note: src/env: not searched" in done.out
    assert "src/build/flow.py:3:5" in migrate("src/build").out


@needs_libcst
def test_secrets_that_modules_import_from_each_other(migrate, write, tmp_path):
    """A class that a module of the tree imports from Prefect is followed to the modules that import it from there."""
    write("src/pkg/shared.py", "from prefect.client import Secret  # for all flows\n")
    write("src/pkg/__init__.py", "from .shared import Secret as PrefectSecret\n")
    write("src/pkg/flows/a.py", "from ..shared import Secret\nx = Secret('GITHUB_TOKEN').get()\n")
    write("src/pkg/flows/b.py", "from pkg import PrefectSecret as S\nx = S('PIN').get()\n")
    write("src/pkg/flows/c.py", "import pkg.shared\nx = pkg.shared.Secret('PIN').get()\n")
    write("src/other/d.py", "from shared import Secret\nx = Secret('PIN').get()\n")
    done = migrate("src", "--write")
    assert "src/pkg/shared.py:1:1: import of Secret by hand: it is imported, but not used in this file" in done.out
    assert "src/pkg/__init__.py:1:1: import of Secret by hand" in done.out
    new = {name: (tmp_path / f"src/{name}.py").read_text() for name in ("pkg/flows/a", "pkg/flows/b", "pkg/flows/c")}
    block = "from prefect.blocks.system import Secret\n"
    assert new["pkg/flows/a"] == f"{block}x = Secret.load('github-token').get()\n"
    assert new["pkg/flows/b"] == f"{block}x = Secret.load('pin').get()\n"
    assert new["pkg/flows/c"] == f"import pkg.shared\n{block}x = Secret.load('pin').get()\n"
    assert "other" not in done.out  # this `shared` is another module


def test_an_import_that_fails(migrate):
    """A configuration with which Prefect cannot be imported is an error without its text."""
    done = migrate(config="[context.secrets]\nA = hunter2\n")
    assert done.code == 1
    assert "flowsecrets: import prefect fails on this configuration: " in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rename", "x"], "--rename x: write OLD=new"),
        (["--rename", "PIN=A_B"], "lower-case letters, digits and dashes only"),
        (["--rename", "NOPE=a"], "the plan has no secret or setting of this name"),
        pytest.param(["nowhere"], "nowhere: no such file or folder", marks=needs_libcst),
        (["--prefect-version", "9.9"], "9.9"),
    ],
)
def test_misuse(migrate, arguments, message):
    """A wrong option is one line and the exit status 2."""
    done = migrate(*arguments)
    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize("installed", [None, "0.3.0"])
def test_without_libcst(migrate, write, monkeypatch, installed):
    """Without libcst, or with an old one, the error says what to install, and a plan without sources works."""

    def version(name):
        if installed is None:
            raise metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr("pytest_flowsecrets.commands.migrate.metadata.version", version)
    done = migrate(write("flow.py", CODE))
    assert done.code == 2
    assert f"installed: {installed or 'none'}; pip install 'pytest-flowsecrets[migrate]'" in done.err
    assert migrate().code == 0


@pytest.mark.parametrize("installed", [None, "1.4.1", "2.19.0"])
def test_apply_needs_the_new_prefect(migrate, monkeypatch, installed):
    """Without the client of Prefect 2.20 or 3 `--apply` is an error that says which one is missing."""
    monkeypatch.setattr("pytest_flowsecrets.migration.apply.installed_version", lambda: installed)
    done = migrate("--apply")
    assert done.code == 2
    assert f"--apply needs the client of Prefect 3 in this environment; installed: {installed or 'none'}" in done.err


@needs_libcst
def test_nothing_is_written_without_a_client(migrate, write, monkeypatch, tmp_path):
    """If `--apply` is not possible, the plan is shown, and no file is rewritten before the error."""
    monkeypatch.setattr("pytest_flowsecrets.migration.apply.installed_version", lambda: "1.4.1")
    write("flow.py", CODE)
    done = migrate("flow.py", "--write", "--apply")
    assert done.code == 2
    assert "GITHUB_TOKEN -> Secret block github-token" in done.out
    assert (tmp_path / "flow.py").read_text() == CODE


@needs_libcst
def test_files_that_cannot_be_written(migrate, write, tmp_path):
    """A file that cannot be written is one line, the others are written, and the plan is shown."""
    path = tmp_path / write("src/a.py", CODE)
    write("src/b.py", CODE)
    path.chmod(0o444)
    done = migrate("src", "--write")
    assert done.code == 1
    assert done.err == "flowsecrets: src/a.py: not written: it is read-only\n"
    assert "src/a.py:3:5" in done.out
    assert path.read_text() == CODE
    assert "Secret.load" in (tmp_path / "src" / "b.py").read_text()


@needs_libcst
def test_a_second_run_knows_the_secrets(migrate, write):
    """After `--write`, the plan has the same secrets for the same options, with the places that load the blocks."""
    code = CODE + "".join(f"{name} = Secret({name!r}).get()\n" for name in ("REMOTE", "OTHER"))
    write("flow.py", code)
    options = ("flow.py", "--rename", "OTHER=new-name", "--rename", "GITHUB_TOKEN=gh")
    migrate(*options, "--write")
    for done in (migrate(*options), migrate(*options, "--write")):
        assert "flow.py:3:" not in done.out  # nothing to change
        assert "GITHUB_TOKEN -> Secret block gh: str" in done.out
        assert "remote -> Secret block remote: this configuration does not define it" in done.out
        assert "OTHER -> Secret block new-name: this configuration does not define it" in done.out
        assert "(used at flow.py:5)" in done.out
