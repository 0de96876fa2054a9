"""The advice of ``check``, pasted into the file, gives the intended value in the real Prefect."""

from __future__ import annotations

import json
import re
import subprocess
import warnings

import pytest

from pytest_flowsecrets import SecretChangedWarning, isolated_prefect
from pytest_flowsecrets.cli import main
from pytest_flowsecrets.commands.inputs import assumed_version
from pytest_flowsecrets.commands.linter.checker import Checker
from pytest_flowsecrets.isolation.prefect1.paths import this_machine
from pytest_flowsecrets.isolation.secrets.encoding import to_builtin
from pytest_flowsecrets.resolution.dialects import dialect_for
from pytest_flowsecrets.resolution.line_syntax import env_line, toml_line
from pytest_flowsecrets.resolution.toml_reader import loads
from tests.compat import VERSION, needs_prefect, variable_secret

NAME = variable_secret("TOKEN") if VERSION else "TOKEN"
VARIABLE = "PREFECT__CONTEXT__SECRETS__TOKEN"
TEXTS = [
    *("0000", "+15551234567", "1e5", "true", "null", "1,2", '"word"', "it's 1", "~/x", "pa$HOME", "a'$HOME\"b\\c"),
    *("'5'", "-0.0", "1_000", "5\n", "é~", "~é\"'", "1:30", "0777", "$$HOME", "$5,$x", '{"a": "$HOME"}', "~\\n`id`!"),
]
COMPOSE = f"services:\n  a:\n    image: x\n    environment:\n      {VARIABLE}: {{}}\n"
COMPOSE_LIST = "services:\n  a:\n    image: x\n    environment:\n      - {}\n"
TASK = '{{"containerDefinitions": [{{"environment": [{{"name": "%s", "value": {}}}]}}]}}\n' % VARIABLE


def dotenv(text):
    """Return a text as a .env file writes it: quoted if a quote can hold it, otherwise as it is."""
    line = env_line("", text)
    return line[1:] if line else text


def quoted(text):
    return json.dumps(text)


def dollars(text):
    return json.dumps(text.replace("$", "$$"))


def in_shell(line):
    script = f"export {line}\nprintenv {VARIABLE}\n"
    return subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()[:-1]


def in_dotenv(text):
    import io

    from dotenv import dotenv_values

    return dotenv_values(stream=io.StringIO(text))[VARIABLE]


def in_yaml(text, *path):
    import yaml

    node = yaml.safe_load(text)
    for part in path:
        node = node[part]
    return node.partition("=")[2] if path[-1] == 0 else node


# name of the file, the file around a value, how the text is written there, what a line replaces, how it is read
FORMS = {
    "toml": ("config.toml", f"[context.secrets]\n{NAME} = {{}}\n", quoted, rf"{NAME} = .*", None),
    "env": (".env", f"{VARIABLE}={{}}\n", dotenv, rf"{VARIABLE}=.*", in_dotenv),
    "shell": ("run.sh", f"{VARIABLE}={{}}\n", None, rf"(?s){VARIABLE}=.*", in_shell),
    "compose": (
        *("compose.yaml", COMPOSE, dollars, rf"{VARIABLE}: .*"),
        lambda text: in_yaml(text, "services", "a", "environment", VARIABLE).replace("$$", "$"),
    ),
    "compose list": (
        *("compose.yaml", COMPOSE_LIST, lambda text: dollars(f"{VARIABLE}={text}"), r"- .*"),
        lambda text: in_yaml(text, "services", "a", "environment", 0).replace("$$", "$"),
    ),
    "kubernetes": (
        *("job.yaml", f"env:\n- name: {VARIABLE}\n  value: {{}}\n", dollars, r"value: .*"),
        lambda text: in_yaml(text, "env")[0]["value"].replace("$$", "$"),
    ),
    "secret": (
        *("s.yaml", f"kind: Secret\nstringData:\n  {VARIABLE}: {{}}\n", quoted, rf"{VARIABLE}: .*"),
        lambda text: in_yaml(text, "stringData", VARIABLE),
    ),
    "task": (
        *("task.json", TASK, quoted, r"\"value\": \".*?\"(?=}\])"),
        lambda text: json.loads(text)["containerDefinitions"][0]["environment"][0]["value"],
    ),
}


@pytest.mark.slow
@needs_prefect
@pytest.mark.parametrize("form", FORMS)
def test_pasting_the_advice_gives_the_text(form, tmp_path):
    """For texts of every rule, the suggested line and the template in the message give the value."""
    if form not in ("toml", "env", "shell", "task"):
        pytest.importorskip("yaml")
    name, around, write, replaced, read = FORMS[form]
    checker = Checker([dialect_for(assumed_version())], this_machine())
    pasted = 0
    with isolated_prefect() as secrets:
        for text in TEXTS:
            source = around.format(write(text) if write else _shell(text))
            path = tmp_path / name
            path.write_text(source, "utf-8")
            for finding in checker.check(str(path), _KINDS.get(form, "yaml")):
                template = re.search(r", write (.*) \(\.\.\. stands for the value\)$", finding.advice)
                lines = [finding.line, template and template.group(1).replace("...", text)]
                for line in filter(None, lines):
                    again, count = re.subn(replaced, lambda _, line=line: line, source)
                    assert count == 1
                    assert value_of(secrets, read, again) in (text, _document(text)), (text, finding.id)
                    pasted += 1
    assert pasted >= len(TEXTS) // 2


_KINDS = {"toml": "toml", "env": "env", "shell": "shell"}


def _shell(text):
    import shlex

    return shlex.quote(text)


def _document(text):
    return json.loads(text) if text.startswith("{") else text


def value_of(secrets, read, source):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecretChangedWarning)
        if read is None:
            secrets.write_config(source)
        else:
            secrets.setenv(NAME, read(source))
    return to_builtin(secrets[NAME])


@pytest.mark.parametrize("text", ["'${A}", "'$A", "\\`"])
def test_texts_that_no_env_file_can_hold(text):
    """No line is suggested for a text that readers of .env files read differently."""
    assert env_line("A", text) is None


@pytest.mark.parametrize("text", ["\"\"0'='", "['#,a#", '""'])
def test_a_text_that_the_two_parsers_read_differently(text):
    """No suggested string is read differently by Prefect's parser and TOML 1.0."""
    line = toml_line("A", text)
    assert line is None or loads(line) == {"A": text}


def test_texts_that_toml_cannot_hold():
    """No line is suggested for a lone surrogate, which TOML cannot contain."""
    assert toml_line("A", "\ud800") is None


def test_lines_are_printed_on_demand_only(tmp_path, capsys):
    """Only ``--show-values`` prints the lines, with the syntax of interpolated and encoded values."""
    pytest.importorskip("yaml")
    path = tmp_path / "config.toml"
    path.write_text(f"[context.secrets]\n{NAME} = 'pa$HOME\\x'\n")
    for command in ("check", "explain --config"):
        main([command.split()[0], "--prefect-version", "1.4.1", *command.split()[1:], str(path)])
        assert "HOME" not in capsys.readouterr().out
        main([command.split()[0], "--prefect-version", "1.4.1", "--show-values", *command.split()[1:], str(path)])
        assert "\\u0024HOME" in capsys.readouterr().out
    data = tmp_path / "s.yaml"
    data.write_text(
        f"kind: Secret\ndata: {{{VARIABLE}: MDAwMA==}}\n---\nenv: [{{name: A, value: '0000'}}, {{name: {VARIABLE}, value: $(A)}}]\n"
    )
    main(["check", "--prefect-version", "1.4.1", "--show-values", str(data)])
    out = capsys.readouterr().out
    assert f"{VARIABLE}: 'JyIwMDAwIic='" in out
    assert "write a JSON string" in out
