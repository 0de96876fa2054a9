"""``flowsecrets check`` as a linter: which files and rules, settings, comments, formats, fixes, and exit statuses."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import pytest_flowsecrets
from pytest_flowsecrets.commands import parsers
from pytest_flowsecrets.commands.files.reading import Unreadable
from pytest_flowsecrets.commands.linter.checker import Checker
from pytest_flowsecrets.commands.linter.configuration import FORMATS, Selection, Target
from pytest_flowsecrets.commands.linter.discovery import KINDS as KINDS_OF_FILES
from pytest_flowsecrets.commands.linter.discovery import kind_of
from pytest_flowsecrets.commands.linter.fixes import fixed_text
from pytest_flowsecrets.findings import terminal
from pytest_flowsecrets.findings.rules import GROUPS, LEAK, RULES
from pytest_flowsecrets.findings.terminal import HIDDEN, excerpt
from pytest_flowsecrets.resolution.dialects import dialect_for
from pytest_flowsecrets.resolution.resolve import Machine

S = "PREFECT__CONTEXT__SECRETS__"
V = ("--prefect-version", "1.4.1")
PIN = "[context.secrets]\nPIN = '0000'\n"
ENV = f"{S}PIN=0000\n"


def files_of(done):
    return sorted({line.split(":")[0] for line in done.out.splitlines()})


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(write, tmp_path):
    """A repository with ignore files, other programs' files and a template."""
    (tmp_path / ".git" / "info").mkdir(parents=True)
    write(".git/info/exclude", "local.env\n")
    write(".gitignore", "build/\n*.secret.env\n")
    write("app/.gitignore", "!keep.secret.env\nother.env\n")
    write("app/.ignore", "ignored.env\n")
    for name in ("prod.env", "local.env", "a.secret.env", "build/x.env", "app/keep.secret.env", "app/other.env"):
        write(name, ENV)
    for name in ("app/ignored.env", "app/sub/other.env", ".venv/a.env", "node_modules/a.env"):
        write(name, ENV)
    write("config.toml", PIN)
    write("streamlit/config.toml", "[server]\nport = broken\n")
    write("deploy/other.sh", "A=1\n")
    write("deploy/start.sh", f"export {S}PIN=0000\n")
    return tmp_path


def test_folders_and_ignore_files(run, tree, monkeypatch):
    """A folder is searched as git does: nested ignore files, negations, `info/exclude`; and other files are left out."""
    checked = ["app/keep.secret.env", "config.toml", "deploy/start.sh", "prod.env"]
    assert files_of(run("check", *V, ".")) == checked
    assert files_of(run("check", *V, tree)) == [f"{tree}/{name}" for name in checked]
    assert files_of(run("check", *V, "app")) == ["app/keep.secret.env"]
    monkeypatch.chdir(tree / "app")
    assert files_of(run("check", *V, ".")) == ["keep.secret.env"]
    assert files_of(run("check", *V, "..")) == [f"../{name}" for name in checked]


def test_options_about_files(run, tree):
    """`--exclude` leaves files out, `--no-respect-gitignore` brings them in, and a named file is always checked."""
    assert files_of(run("check", *V, ".", "--exclude", "app/", "--exclude", "*.sh")) == ["config.toml", "prod.env"]
    assert "build/x.env" in files_of(run("check", *V, ".", "--no-respect-gitignore"))
    assert files_of(run("check", *V, "build/x.env", "--exclude", "build")) == ["build/x.env"]
    assert run("check", *V, ".", "./prod.env", "prod.env").out.count("prod.env:1") == 1


def test_globs(run, tree):
    """A quoted glob, also with `**`, is expanded. One that matches nothing is an error."""
    assert files_of(run("check", *V, "*.env")) == ["a.secret.env", "local.env", "prod.env"]
    assert "app/sub/other.env" in files_of(run("check", *V, "**/other.env"))
    done = run("check", *V, "*.none")
    assert (done.code, done.err) == (2, "flowsecrets: no file matches *.none\n")
    assert "a pattern of files is not valid" in run("check", *V, ".", "--exclude", "!").err


def test_standard_input(run, monkeypatch):
    """`-` reads the standard input; its type comes from `--stdin-filename` or `--as`."""

    def check(*options):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(ENV.encode())))
        return run("check", *V, "-", *options)

    assert check("--stdin-filename", "deploy/prod.env").out.startswith("deploy/prod.env:1:1: error: FS021")
    assert check("--as", "env").out.startswith("<stdin>:1:1: error: FS021")
    assert check().err == "flowsecrets: the type of the standard input is unknown: add --stdin-filename or --as\n"
    assert check("--fix", "--as", "env").err == "flowsecrets: --fix cannot change the standard input: use --diff\n"


KINDS = [
    *(("prefect.toml", "prefect-toml"), ("profiles.toml", "profiles"), ("pyproject.toml", "pyproject")),
    *(("prefect.yaml", "yaml"), ("prefect-prod.yaml", "yaml"), ("job-template.json", "yaml"), ("compose.yml", "yaml")),
    *(("config.toml", "toml"), (".env.local", "env"), ("prod.env", "env"), ("Dockerfile", "dockerfile")),
    *(("agent.Dockerfile", "dockerfile"), ("Dockerfile.dev", "dockerfile"), ("Containerfile", "dockerfile")),
    *(("Makefile", "makefile"), ("GNUmakefile", "makefile"), ("rules.mk", "makefile"), ("a.service", "systemd")),
    *(("supervisord.conf", "supervisor"), ("supervisor/prefect-supervisor.ini", "supervisor"), ("run.sh", "shell")),
    ("flows/deploy.py", "python"),
    *(
        (".github/workflows/ci.yml", "yaml"),
        ("values.yaml", "yaml"),
        ("values-prod.yaml", "yaml"),
        ("task.json", "yaml"),
    ),
]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_types_of_files(name, kind):
    """The name determines the type, and the pre-commit hook gets each of these files."""
    assert kind_of(name) == kind
    hook = (Path(pytest_flowsecrets.__file__).parents[1] / ".pre-commit-hooks.yaml").read_text("utf-8")
    pattern = re.search(r"files: \|-\n((?:    .*\n)+)", hook).group(1)
    assert re.search(pattern.strip(), name)


FILES = [
    (
        "Dockerfile",
        (
            f"FROM prefecthq/prefect:1.4.1\nENV {S}A=0000 {S}B='x y' \\\n    {S}C=\"true\"\nENV {S}D 1e5\nARG {S}E=$X\n"
            f"RUN export {S}F=0000\n"
        ),
        ["2:5 FS021", "3:5 FS024", "4:5 FS023", "6:12 FS021"],
    ),
    (
        "Makefile",
        f"export {S}A = 0000  # c\n{S}B ?= pa$$word\n{S}C := $(shell x)\nrun:\n\t{S}D=0000 python flow.py\n",
        ["1:8 FS021", "2:1 FS030", "5:2 FS021"],
    ),
    (
        "prefect.service",
        (
            f'[Service]\nEnvironment={S}A=0000 "{S}B=a b"\n# Environment={S}X=0000\n'
            f"Environment='{S}C=true' \\\n  {S}D=%h\nEnvironmentFile=/etc/prefect.env\n"
        ),
        ["2:13 FS021", "4:14 FS024"],
    ),
    (
        "supervisord.conf",
        f'[program:agent]\nenvironment={S}A="0000",{S}B="100%%",\n  {S}C=\'true\',{S}D=%(ENV_X)s\n; environment={S}X=0\n',
        ["2:13 FS021", "3:3 FS024"],
    ),
    (
        ".github/workflows/ci.yml",
        (
            f"on: push\njobs:\n  test:\n    env:\n      {S}A: 0000\n      {S}B: ${{{{ secrets.B }}}}\n"
            f"    steps:\n      - run: |\n          export {S}C=0000\n"
        ),
        ["5:7 FS021", "9:18 FS021"],
    ),
    (
        "values.yaml",
        f"agent:\n  image: prefecthq/prefect\n  extraEnvVars:\n    - name: {S}A\n      value: '0000'\n",
        ["4:13 FS021", "4:13 FS060"],
    ),
]


@pytest.mark.parametrize(("name", "text", "expected"), FILES, ids=[row[0] for row in FILES])
def test_files_with_variables(run, write, name, text, expected):
    """Dockerfiles, Makefiles, units of systemd, supervisord, workflows of GitHub and values of Helm are checked."""
    if name.endswith(("yml", "yaml")):
        pytest.importorskip("yaml")
    done = run("check", *V, write(name, text))
    places = [":".join(line.split(":")[1:3]) for line in done.out.splitlines()]
    assert sorted(f"{place} {each}" for place, each in zip(places, done.ids)) == expected


def test_choices_of_the_command_line():
    """The parser, which imports nothing, lists the types and formats of the linter."""
    assert sorted(parsers.KINDS) == sorted(KINDS_OF_FILES)
    assert parsers.FORMATS == FORMATS


def test_templates_in_folders_are_skipped(run, write):
    """A template of a Helm chart in a folder is skipped and counted; a template that is named is an error."""
    pytest.importorskip("yaml")
    write("chart/templates/job.yaml", "prefect: 1\nb: {{ .Values.x }}\n")
    done = run("check", *V, ".", quiet=False)
    assert (done.code, done.err) == (0, "no findings in 0 files (1 template skipped)\n")
    assert run("check", *V, "chart/templates/job.yaml").code == 2


# -- rules and settings ------------------------------------------------------------------------------------------------

TWO = f"{S}A=0000\n{S}B=true\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["FS021", "FS024"]),
        (("--select", "FS021"), ["FS021"]),
        (("--select", "FS021,FS024"), ["FS021", "FS024"]),
        (("--select", "FS01", "--select", "FS024"), ["FS024"]),
        (("--ignore", "FS02"), []),
        (("--ignore", "FS02", "--select", "FS021"), ["FS021"]),
        (("--select", "FS", "--extend-ignore", "FS024"), ["FS021"]),
    ],
)
def test_selected_rules(run, write, options, expected):
    """`--select`, `--ignore` and `--extend-ignore` take rules and prefixes; the longest prefix decides."""
    assert run("check", *V, write("a.env", TWO), *options).ids == expected


def test_a_rule_that_does_not_exist(run, write):
    """A selector that matches no rule is an error."""
    done = run("check", *V, write("a.env", TWO), "--select", "E501")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "no rule starts with E501: `flowsecrets rule --all` lists the rules" in done.err


@given(st.sampled_from(sorted(RULES)), st.integers(1, 5), st.integers(1, 5))
def test_the_longest_prefix_decides(rule, selected, ignored):
    """Of two prefixes of a rule the longer one decides, and `ignore` if they are equally long."""
    assert Selection([rule[:selected]], [rule[:ignored]])(rule) is (selected > ignored)


def test_settings_of_the_project(run, write, tmp_path, monkeypatch):
    """`[tool.flowsecrets]` applies in subfolders, and the command line overrides it; `extend-ignore` is added."""
    write(
        "pyproject.toml",
        "[tool.flowsecrets]\nignore = ['FS021']\nall-versions = true\nformat = 'json'\nnotes = false\n",
    )
    write("sub/a.env", TWO)
    monkeypatch.chdir(tmp_path / "sub")
    found = json.loads(run("check", "a.env").out)["findings"]
    assert {each["id"] for each in found} == {"FS008", "FS024"}
    assert run("check", "a.env", "--format", "concise", "--ignore", "FS008").ids == ["FS021", "FS024"]
    assert run("check", "a.env", "--format", "concise", "--extend-ignore", "FS008").ids == ["FS024"]
    (tmp_path / "empty.toml").write_text("")
    assert run("check", *V, "a.env", "--config", "../empty.toml").ids == ["FS021", "FS024"]
    (tmp_path / "sub" / "pyproject.toml").write_text("[tool.other]\n")
    assert run("check", "a.env", "--format", "concise").ids == ["FS008", "FS008", "FS024"]


def test_rules_ignored_in_files(run, write):
    """`per-file-ignores` silences rules in files, and an entry that silences nothing is reported."""
    ignores = "'legacy/' = ['FS02']\n'*.env' = ['FS024']\n'other.env' = ['FS060']\n'none.env' = ['FS021']\n"
    write("pyproject.toml", f"[tool.flowsecrets]\nexclude = ['build']\n[tool.flowsecrets.per-file-ignores]\n{ignores}")
    for name in ("legacy/a.env", "b.env", "other.env", "build/c.env"):
        write(name, TWO)
    done = run("check", *V, ".", quiet=False)
    assert files_of(done) == ["b.env", "other.env"]
    assert done.err.splitlines() == [
        "flowsecrets: pyproject.toml: tool.flowsecrets.per-file-ignores: 'other.env' silences nothing",
        "2 errors in 3 files",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.flowsecrets]\nselct = []", "tool.flowsecrets has no key selct: write select"),
        ("[tool.flowsecrets]\nselect = 'FS021'", "tool.flowsecrets.select must be a list of texts"),
        ("[tool.flowsecrets]\nselect = ['X']", "tool.flowsecrets: no rule starts with X: `flowsecrets rule --all`"),
        ("[tool.flowsecrets]\nformat = 'xml'", "tool.flowsecrets.format must be one of text, concise, full, json"),
        ("[tool.flowsecrets]\nnotes = 1", "tool.flowsecrets.notes must be true or false"),
        ("[tool.flowsecrets]\nper-file-ignores = {a = 'x'}", "per-file-ignores must be a table of lists of texts"),
        ("[tool.flowsecrets.per-file-ignores]\na = ['Y']", "tool.flowsecrets: no rule starts with Y"),
        ("[tool]\nflowsecrets = 1", "tool.flowsecrets must be a table"),
        ("tool = 'flowsecrets'", "pyproject.toml: not valid TOML"),
        ("[tool.flowsecrets\n", "pyproject.toml: not valid TOML"),
    ],
)
def test_wrong_settings(run, write, text, message):
    """A wrong setting is one line and exit status 2."""
    write("pyproject.toml", text)
    done = run("check", *V, write("a.env", TWO))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err


def test_a_configuration_that_is_missing(run, write):
    """`--config` with a missing file is an error."""
    done = run("check", write("a.env", TWO), "--config", "none.toml")
    assert (done.code, done.err) == (2, "flowsecrets: none.toml: no such file or directory\n")


# -- comments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "message", "fixed"),
    [
        ("# flowsecrets: ignore[FS024]", "the comment silences nothing: FS024", ""),
        ("# flowsecrets: ignore[FS021, FS099]", "FS099 (no such rule)", "  # flowsecrets: ignore[FS021]"),
        ("# flowsecrets: ignore[FS024]  because", "FS024", "  # flowsecrets: ignore[FS024]  because"),
    ],
)
def test_unused_comments(run, write, comment, message, fixed):
    """A comment that silences nothing is a finding, which `--fix` removes with the comment, but not with its reason."""
    name = write("a.env", f"# c\n{S}A=0000  {comment}\n{S}B=ghp_abc\n")
    done = run("check", *V, name, "--select", "FS021,FS024,FS090")
    assert message in done.out
    assert "FS090" in done.ids
    run("check", *V, name, "--fix")
    assert Path(name).read_text() == f"# c\n{S}A=0000{fixed}\n{S}B=ghp_abc\n"


def test_unused_comments_for_all_rules(run, write, tmp_path):
    """A comment for all rules, or alone in its line, is removed too; one for a rule that is not enabled is not reported."""
    name = write("a.env", f"{S}A=ghp_abc # flowsecrets: ignore\r\n# flowsecrets: ignore[FS021]\r\n{S}B=ghp_abc\r\n")
    assert run("check", *V, name).ids == ["FS090", "FS090"]
    assert run("check", *V, name, "--ignore", "FS021").ids == ["FS090"]
    assert run("check", *V, name, "--ignore", "FS090").code == 0
    assert run("check", *V, name, "--fix", quiet=False).err == "no findings in 1 file (2 fixed)\n"
    assert (tmp_path / name).read_bytes() == f"{S}A=ghp_abc\r\n{S}B=ghp_abc\r\n".encode()


# -- fixes -------------------------------------------------------------------------------------------------------------

CONTAINER = "# é🔑\nenv:\n- {name: X, value: %s}  # 5\n"
FIXES = [
    ("job.yaml", CONTAINER % "true", CONTAINER % "'true'"),
    ("job.yaml", CONTAINER % "0x1F", CONTAINER % "'0x1F'"),
    ("job.yaml", "env:\r\n- name: X\r\n  value: 5 # c\r\n", "env:\r\n- name: X\r\n  value: '5' # c\r\n"),
    ("job.yaml", "\ufeffenv:\n- {name: X, value: 1.50}\n", "\ufeffenv:\n- {name: X, value: '1.50'}\n"),
    ("compose.yaml", f"services: {{a: {{image: b, environment: {{{S}A: 0x1F}}}}}}\n", None),
    ("job.yaml", CONTAINER % "[1]", CONTAINER % "[1]"),
    ("job.yaml", CONTAINER % "!!int 5", CONTAINER % "!!int 5"),
    (
        "job.yaml",
        "env:\n- name: X\n  valueFrom: {secretKeyRef: {name: 'My-Secret', key: A}}\n",
        "env:\n- name: X\n  valueFrom: {secretKeyRef: {name: 'my-secret', key: A}}\n",
    ),
    ("job.yaml", "env: [{name: X, valueFrom: {secretKeyRef: {name: My_Secret, key: A}}}]\n", None),
    ("config.toml", "\ufeff[context.secrets]\nA = 'ghp_abc'\n", "[context.secrets]\nA = 'ghp_abc'\n"),
    ("config.toml", "[Context . Secrets]\nA = 'ghp_abc'\n", "[context . secrets]\nA = 'ghp_abc'\n"),
    ("config.toml", "[context.secrets]\r\nA = ghp_abc\r\n", "[context.secrets]\r\nA = 'ghp_abc'\r\n"),
    ("config.toml", "[context.secrets]\nA = ghp abc\n", "[context.secrets]\nA = ghp abc\n"),
    (".env", "PREFECT__Context__Secrets__A=ghp_abc\n", f"{S}A=ghp_abc\n"),
]


@pytest.mark.parametrize(("name", "text", "expected"), FIXES)
def test_fix(run, write, name, text, expected):
    """`--fix` changes only the bytes concerned, and only where the fix is certain; a second run changes nothing."""
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    write(name, text)
    Path(name).chmod(0o640)
    before = run("check", *V, name)
    diff = run("check", *V, name, "--diff")
    assert Path(name).read_bytes() == text.encode()
    done = run("check", *V, name, "--fix")
    after = Path(name).read_bytes()
    if expected is not None:
        assert after == expected.encode()
    assert (diff.out != "", diff.code) == ((after != text.encode()), int(after != text.encode() or done.code))
    assert len(done.ids) < len(before.ids) or after == text.encode()
    assert Path(name).stat().st_mode & 0o777 == 0o640
    run("check", *V, name, "--fix")
    assert Path(name).read_bytes() == after


def test_a_diff_shows_no_value(run, write):
    """`--diff` shows what changes and hides values, unless `--show-values` asks for them."""
    pytest.importorskip("yaml")
    name = write("job.yaml", "env:\n- name: X\n  value: 4711\n")
    masked = [f"-  value: {HIDDEN}", f"+  value: '{HIDDEN}'"]
    assert run("check", *V, name, "--diff").out.splitlines() == [
        "--- a/job.yaml",
        "+++ b/job.yaml",
        "@@ -3 +3 @@",
        *masked,
    ]
    assert "+  value: '4711'" in run("check", *V, name, "--diff", "--show-values").out


def test_a_file_that_cannot_be_fixed(run, write, tmp_path):
    """A read-only file is an error, and stays as it is."""
    pytest.importorskip("yaml")
    (tmp_path / write("job.yaml", CONTAINER % "true")).chmod(0o444)
    done = run("check", *V, "job.yaml", "--fix")
    assert (done.code, done.err) == (2, "job.yaml: not fixed: it is read-only\n")


# -- output ------------------------------------------------------------------------------------------------------------


def test_the_summary(run, write):
    """The summary on stderr counts files and findings by severity; `--quiet` omits it."""
    pytest.importorskip("yaml")
    write("a.env", TWO)
    write("job.yaml", CONTAINER % "true")
    write("b.env", f'{S}J={{"a": true}}\n{S}K=0000 # flowsecrets: ignore\n')
    done = run("check", *V, "a.env", "b.env", "job.yaml", "none.env", quiet=False)
    assert done.err.splitlines() == [
        "none.env: no such file or directory",
        "2 errors, 1 warning, 1 note in 3 files (1 suppressed, 1 unreadable, 1 fixable with --fix)",
    ]
    assert run("check", *V, "job.yaml", "--format", "json", quiet=False).err == ""


def test_a_finding_with_its_excerpt(run, write):
    """The format `full` shows the line without its value, a caret, and the help."""
    done = run("check", *V, write("config.toml", PIN), "--format", "full")
    assert done.out.splitlines() == [
        (
            "error[FS021]: PIN: all zeros: a string of 4 characters is read as int, and its length is lost (Prefect "
            "0.11.2-1.4.1)"
        ),
        " --> config.toml:2:1",
        "  |",
        f"2 | PIN = '{HIDDEN}'",
        "  | ^^^",
        "  = help: to get the value as written, write PIN = '\"...\"' (... stands for the value)",
        "",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("variables", "choice", "terminal_", "expected"),
    [
        ({}, "auto", True, True),
        ({}, "auto", False, False),
        ({"NO_COLOR": "1"}, "auto", True, False),
        ({"NO_COLOR": ""}, "auto", True, True),
        ({"FORCE_COLOR": "1"}, "auto", False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", True, False),
        ({"NO_COLOR": "1"}, "always", False, True),
        ({"FORCE_COLOR": "1"}, "never", True, False),
        ({"TERM": "dumb"}, "auto", True, False),
    ],
)
def test_colors(monkeypatch, variables, choice, terminal_, expected):
    """`--color` decides, then NO_COLOR, then FORCE_COLOR, then whether the output is a terminal."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    style = terminal.style_of(Terminal() if terminal_ else io.StringIO(), choice)
    assert ("\x1b[" in style.paint("x", "31")) is expected


@pytest.mark.parametrize("width", [40, 60, 200])
def test_the_width_of_the_terminal(run, write, monkeypatch, width):
    """On a terminal the output is in color, has excerpts and is as wide as the terminal."""
    write("config.toml", f"[context.secrets]\n{'LONG_NAME_' * 12} = '0000'\n")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    run("check", *V, "config.toml")
    assert "\x1b[31;1m^^^" in stream.getvalue()
    plain = re.sub("\x1b\\[[0-9;]*m", "", stream.getvalue())
    words = [line for line in plain.splitlines() if "LONG_NAME_LONG" not in line or " | " in line]
    assert max(map(len, words)) <= width


def test_an_output_file(run, write, tmp_path):
    """`--output-file` writes the findings to a file in a new folder, without colors; the summary stays on stderr."""
    name = write("config.toml", PIN)
    done = run("check", *V, name, "--output-file", "out/findings.txt", quiet=False)
    assert (done.out, done.err) == ("", "1 error in 1 file\n")
    assert (tmp_path / "out/findings.txt").read_text().startswith("config.toml:2:1: error: FS021")
    assert run("check", *V, name, "--output-file", ".").err == "flowsecrets: --output-file .: is a directory\n"


def test_json_follows_its_schema(run, write):
    """The JSON output follows the schema in the package, with and without findings and errors."""
    fastjsonschema = pytest.importorskip("fastjsonschema")
    path = Path(pytest_flowsecrets.__file__).parent / "commands" / "check.schema.json"
    validate = fastjsonschema.compile(json.loads(path.read_text("utf-8")))
    write("config.toml", PIN)
    write("a.toml", 'a = ["""x,\ny"""]')
    document = json.loads(run("check", *V, "config.toml", "a.toml", "none.env", "--format", "json").out)
    validate(document)
    assert document["summary"] == {"files": 2, "error": 2, "warning": 0, "note": 0}
    assert document["errors"] == ["none.env: no such file or directory"]
    validate(json.loads(run("check", *V, write("ok.env", "A=1\n"), "--format", "json").out))
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate({**document, "version": 2})


def test_fingerprints(run, write):
    """A fingerprint in SARIF stays the same if lines move or the value changes, and is unique in a file."""

    def fingerprints(text):
        log = json.loads(run("check", *V, "--format", "sarif", write("a.env", text)).out)
        return [each["partialFingerprints"]["flowsecrets/v1"] for each in log["runs"][0]["results"]]

    first = fingerprints(f"{S}A=0000\n{S}A=000\n")
    assert len(set(first)) == 2
    assert fingerprints(f"# moved\n\n{S}A=00\n{S}A=00000\n") == first


# A secret at any place of any kind of line. The words of the examples are none of the names that may be shown.
LINES = [
    *("%s", "A = '%s'", "A='x', B='%s'", "  value: %s", "- {name: A, value: %s}", "env: {A: '%s', B: 1}"),
    *("- {name: A, value: 'x, key: %s'}", "ENV A=%s", "ENV A %s", "Environment=A=%s B=%s", "export A=$(cmd %s)"),
    *("A = %s  # flowsecrets: ignore[FS021]", "# %s", 'A: "a: %s, b: %s"', "[%s = 1", "- A=%s", "{{ %s }}", "%s %s"),
    *("run: curl -H 'Authorization: %s' A=1", "A = {b = '%s'}", "- - - %s", "x: [a, '%s']", "{{ prefect.blocks }} %s"),
]
SECRETS = st.text("abcXYZ019 '\"#=:,{}[]$-_./\\é\t", min_size=4, max_size=20)


@given(st.sampled_from(LINES), SECRETS, st.integers(1, 60))
@example("A = %s", "pa: ss, word: hunter2", 1)
@example("- {name: A, value: %s}", "x', b: hunter2", 20)
def test_an_excerpt_shows_no_value(template, secret, column):
    """No word of a value is in an excerpt, wherever the finding is, unless the value itself starts a key there."""
    secret = re.sub(r"[A-Za-z019]+", "hunter2", secret) + " 'hunter2'"
    line = template.replace("%s", secret)
    part = excerpt(line, column, "A")
    shown = re.sub(r"(^|[\[{,-]\s*|^\s*)[\"']?hunter2[\w.\-]*[\"']?\s*[:?+]?[=:]", "", part.text.strip())
    assert "hunter2" not in shown or template.startswith("%s") or "{{" in template, part.text
    assert 0 <= part.start < part.end


def test_excerpts_show_names_and_templates():
    """An excerpt shows keys, headers, templates of Prefect and the name in the finding, and marks the right part."""
    line = "  - {name: TOKEN, value: hunter2}"
    assert excerpt(line, 12, "TOKEN").text == f"  - {{name: TOKEN{HIDDEN}, value: {HIDDEN}".replace(
        f"TOKEN{HIDDEN}", "TOKEN"
    )
    assert excerpt("[context.secrets]  # hunter2", 1).text == f"[context.secrets]{HIDDEN}"
    assert excerpt("  A: '{{ $HOME }}'", 6).text == "  A: '{{ $HOME }}'"
    part = excerpt("    key: hunter2 {{ prefect.blocks.secret.My-Key }}", 18)
    assert part.text == f"    key: {HIDDEN}{{{{ prefect.blocks.secret.My-Key }}}}"
    assert part.text[part.start : part.end] == "{{ prefect.blocks.secret.My-Key }}"


# -- rules, versions, completion ---------------------------------------------------------------------------------------


def test_rule(run):
    """`flowsecrets rule` explains a rule, also in lower case, and suggests a similar one."""
    done = run("rule", "fs021", LEAK)
    assert done.code == 0
    assert done.out.startswith("FS021: A secret of zeros is read as 0\nerror, Values that change their type\n\nA PIN")
    assert "# flowsecrets: ignore[FS021]" in done.out
    assert run("rule", "FS999").err.startswith("flowsecrets: no rule FS999")
    assert run("rule").err == "flowsecrets: name a rule, such as FS021, or add --all\n"
    listing = run("rule", "--all").out
    assert all(f"  {name}" in listing for name in RULES)
    rows = json.loads(run("rule", "--all", "--json").out)
    assert [row["id"] for row in rows] == list(RULES)
    assert all(row["explanation"].endswith(".") and row["title"] for row in rows)


def test_the_table_of_rules():
    """Each rule is in one group, has an explanation of its own, and a name that SARIF allows."""
    assert sum(map(len, GROUPS.values())) == len(RULES)
    assert (
        len({rule.explanation for rule in RULES.values()}) == len({rule.name for rule in RULES.values()}) == len(RULES)
    )
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]+", rule.name) for rule in RULES.values())


def test_version(run):
    """`--version` shows the versions of this package, of Prefect and of Python."""
    done = run("--version")
    assert done.code == 0
    assert re.fullmatch(r"flowsecrets \S+ \((Prefect \S+|no Prefect), Python 3\.\S+\)\n", done.out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run, shell):
    """`flowsecrets completion` prints the code of the shell for this command."""
    done = run("completion", shell)
    assert done.code == 0
    assert {"bash": "complete ", "zsh": "compdef", "fish": "complete --command flowsecrets"}[shell] in done.out
    assert "flowsecrets" in done.out


@pytest.mark.parametrize(
    ("line", "expected"),
    [("flowsecrets ch", "check"), ("flowsecrets check --sel", "--select"), ("flowsecrets check --format sa", "sarif")],
)
def test_completions(tmp_path, line, expected):
    """A shell gets the completions of commands, options and choices."""
    answer = tmp_path / "answer"
    environ = {**os.environ, "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    environ.update(_ARGCOMPLETE_STDOUT_FILENAME=str(answer), _ARGCOMPLETE_IFS="\013", _ARGCOMPLETE_SUPPRESS_SPACE="1")
    subprocess.run([sys.executable, "-m", "pytest_flowsecrets"], env=environ, check=True, timeout=60)
    assert expected in answer.read_text().split("\013")


# -- any text ----------------------------------------------------------------------------------------------------------

WORDS = [
    *(
        "ENV ",
        "ARG ",
        "RUN ",
        "Environment=",
        "environment=",
        "export ",
        "- name: ",
        "  value: ",
        "env:\n",
        "pull: null\n",
    ),
    *(
        "deployments:\n- entrypoint: f\n  parameters: {",
        "}",
        "'",
        '"',
        "\\",
        "\n",
        "\r\n",
        "=",
        ":",
        " ",
        "\t",
        "# ",
        "é",
    ),
    *(
        f"{S}A=",
        "PREFECT_API_KEY=",
        "{{ prefect.blocks.secret.A }}",
        "{{ prefect.variables.x",
        "{{ $A }}",
        "$",
        "%",
        "0000",
    ),
    *(
        "true",
        "[context.secrets]\n",
        "[Context.Secrets]\n",
        "[api]\n",
        "[profiles.a]\n",
        "A = ",
        "# flowsecrets: ignore[FS021]",
    ),
    *('{"job_configuration": {"a": "{{ x }}"}, "variables": {', "<<: *a", "&a ", ",", "[", "]", "\ufeff", "x"),
]


@given(st.sampled_from(KINDS_OF_FILES), st.lists(st.sampled_from(WORDS), max_size=30).map("".join), st.booleans())
@example("yaml", "deployments:\n- entrypoint: f\n  parameters: {", True)
def test_any_text(kind, text, is_rest):
    """Any text is checked or refused, each finding is within the file, and its fix makes nothing worse."""
    pytest.importorskip("yaml")
    dialects = [] if is_rest else [dialect_for("1.4.1")]
    checker = Checker(dialects, Machine("/home/x", {}, (3, 12)), target=Target(is_rest=is_rest))
    try:
        findings = checker.check_text("file", kind, text)
    except Unreadable:
        return
    lines = text.split("\n")
    for finding in findings:
        assert 1 <= (finding.origin.line or 1) <= len(lines)
        excerpt(lines[(finding.origin.line or 1) - 1], finding.origin.column or 1, finding.name)
    after, count = fixed_text(text, findings, lambda changed: checker.check_text("file", kind, changed))
    assert (after != text) == (count > 0)
    remaining = checker.check_text("file", kind, after)
    assert fixed_text(after, remaining, lambda changed: checker.check_text("file", kind, changed)) == (after, 0)
