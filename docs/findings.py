"""Write findings.md, the page with an example of each finding of ``flowsecrets`` in all releases of Prefect.

    python docs/findings.py

``tests/test_documents.py`` checks that the page is up to date and contains every finding.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from pytest_flowsecrets.commands.files.env_files import env_items
from pytest_flowsecrets.commands.linter.checker import Checker
from pytest_flowsecrets.commands.linter.configuration import Target
from pytest_flowsecrets.commands.linter.discovery import kind_of
from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.model import Finding
from pytest_flowsecrets.findings.rules import GROUPS, RULES
from pytest_flowsecrets.resolution.dialects import SPANS, dialect_for
from pytest_flowsecrets.resolution.resolve import Machine, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

PAGE = Path(__file__).with_suffix(".md")
HEAD = """\
# Findings

This page lists the findings of `flowsecrets check` and `flowsecrets explain`, with an example of each. An error means
that a flow fails or gets another value than the written one. A warning means that it may. You can ignore a note. Every
suggested spelling is verified: it gives the value as written.

`flowsecrets rule FS021` shows the explanation of a rule. To silence a finding, add the comment
`# flowsecrets: ignore[FS021]` to one of its lines, or to a comment line above. [](how-to/check-in-ci.md) describes the
other ways.

`python docs/findings.py` generates this page. It applies the rules of all releases from 0.5.0 to 1.4.1, and of
3.9.1, to the examples. The versions are those in which the example has the finding.
"""
MACHINE = Machine("/home/flow", {}, (3, 8))
VARIABLE = "PREFECT__CONTEXT__SECRETS__"
TABLE = "[context.secrets]\n"


def toml(text: str) -> Dict[str, str]:
    """Return a file with a table of secrets."""
    return {"config.toml": f"{TABLE}{text}\n"}


def env(*lines: str) -> Dict[str, str]:
    """Return a file with variables."""
    return {".env": "".join(f"{line}\n" for line in lines)}


def both(text: str) -> Tuple[Dict[str, str], ...]:
    """Return the same text in a variable and in TOML."""
    quoted = f'"{text}"' if "'" in text else f"'{text}'"
    return env(f"{VARIABLE}NAME={quoted if text.startswith(chr(34)) else text}"), toml(f"NAME = {quoted}")


def compose(value: str) -> Dict[str, str]:
    """Return a Compose file."""
    service = "services:\n  agent:\n    image: prefecthq/prefect\n    environment:\n"
    return {"compose.yaml": f"{service}      {VARIABLE}NAME: {value}\n"}


def prefect_yaml(entry: str) -> Dict[str, str]:
    """Return a prefect.yaml with a variable for the flow runs of a deployment."""
    deployment = "deployments:\n- name: daily\n  entrypoint: flow.py:flow\n  work_pool:\n    name: pool\n"
    return {"prefect.yaml": f"{deployment}    job_variables:\n      env:\n        {entry}\n"}


def step(entry: str) -> Dict[str, str]:
    """Return a prefect.yaml with a step."""
    return {"prefect.yaml": f"deployments: []\npull:\n- prefect.deployments.steps.git_clone:\n    {entry}\n"}


def job_template(properties: str, image: str) -> Dict[str, str]:
    """Return a base job template."""
    configuration = f'{{\n  "job_configuration": {{"image": "{image}"}},\n'
    return {"pool.json": f'{configuration}  "variables": {{"type": "object", "properties": {properties}}}\n}}\n'}


def python(arguments: str) -> Dict[str, str]:
    """Return Python code that creates a deployment."""
    call = f'flow.deploy(\n    name="daily",\n    work_pool_name="pool",\n    {arguments},\n)\n'
    return {"deploy.py": f"from flows import flow\n\n{call}"}


CONTAINER = "containers:\n- env:\n  - name: PREFECT__CONTEXT__SECRETS__NAME\n    "
EXAMPLES: Dict[str, Tuple[Dict[str, str], ...]] = {
    "FS001": (toml("NAME = value"),),
    "FS002": (toml("NAME = [1, 'x']"), toml("NAME=postgres://user:password@host/db?timeout=10")),
    "FS003": ({"config.toml": f"\ufeff{TABLE}NAME = 'value'\n"},),
    "FS004": (toml("NAME = 'value'\nNAME = 'other'"),),
    "FS005": (toml("items = 'value'"),),
    "FS006": (env(f"{VARIABLE}DB__USER=value"),),
    "FS007": (env("PREFECT__CONTEXT__Secrets__NAME=value"), env("PREFECT__SECRETS__NAME=value")),
    "FS008": (env(f"{VARIABLE}NAME=value"),),
    "FS009": (env("PREFECT__CONTEXT__SECRETS={}"),),
    "FS010": (toml("db.user = 'value'"),),
    "FS011": ({"config.toml": "[Context.Secrets]\nNAME = 'value'\n"},),
    "FS012": (env(f"{VARIABLE}NAME=value", f"{VARIABLE}name=other"),),
    "FS013": (toml("A = 'a${context.secrets.B}'\nB = 'b${context.secrets.A}'"),),
    "FS014": ({**toml("NAME = 'value'"), **env(f"{VARIABLE}NAME=other")},),
    "FS015": ({"config.toml": "[context]\nsecrets = 'value'\n"}, {"config.toml": "context = 'value'\n"}),
    "FS016": ({"config.toml": "[cloud]\nuse_local_secrets = 'yes'\n"},),
    "FS017": (env("PREFECT__USER_CONFIG_PATH=/nowhere/config.toml"),),
    "FS020": both("1.10"),
    "FS021": both("0000"),
    "FS022": both("+15551234567"),
    "FS023": both("1234567e8"),
    "FS024": both("true"),
    "FS025": both("null"),
    "FS026": both("NaN"),
    "FS027": both('"word"'),
    "FS028": both("1,2"),
    "FS029": both('{"a": true}'),
    "FS030": both("pa$HOME"),
    "FS031": both("pa${a.b}ss"),
    "FS032": both("~/x"),
    "FS033": (env(rf"{VARIABLE}NAME=C:\new"),),
    "FS034": (env(f"{VARIABLE}NAME=café"),),
    "FS035": both("{'a': 1}"),
    "FS036": (toml(r'NAME = "value\n"'),),
    "FS037": (toml("NAME = 'https://${TOKEN}@host'"),),
    "FS038": both(""),
    "FS040": (env(f"{VARIABLE}NAME=$V", "V=$W", "W=42"),),
    "FS041": (env(f"{VARIABLE}NAME=$V", "V=x$V"),),
    "FS042": (env(f"{VARIABLE}NAME=value\\"),),
    "FS043": (env(rf"{VARIABLE}NAME=b'\xff'"),),
    "FS050": ({"job.yaml": f"{CONTAINER}value: true\n"}, compose("0042")),
    "FS051": ({"job.yaml": f"{CONTAINER}valueFrom: {{secretKeyRef: {{name: My_Secret, key: token}}}}\n"},),
    "FS052": (
        env("PREFECT__BACKEND=server", "GITHUB_ACCESS_TOKEN=value"),
        env("PREFECT__BACKEND=server", "AWS_CREDENTIALS=value"),
    ),
    "FS053": ({"run.sh": "prefect agent local start --env PREFECT__CLOUD__USE_LOCAL_SECRETS=true\n"},),
    "FS060": ({"start.sh": f"export {VARIABLE}NAME=value\nprefect agent docker start\n"},),
    "FS061": (
        {"config.toml": "[cloud.agent.env_vars]\nNAME = '1234567'\n"},
        env("PREFECT__CLOUD__AGENT__ENV_VARS__NAME=value"),
    ),
    "FS062": (env(f"{VARIABLE}AWS_CREDENTIALS='{{ACCESS_KEY: x, SECRET_ACCESS_KEY: y}}'"),),
    "FS063": ({"start.sh": "prefect agent local start --env NAME=a=b\n"},),
    "FS054": (compose("'pa$word'"), {"job.yaml": f"{CONTAINER}value: 'pa$$word'\n"}),
    "FS055": (compose("'pa$$$5'"),),
    "FS070": (prefect_yaml("A: '{{ prefect.block.secret.token }}'"), prefect_yaml("A: '{{ prefect.blocks.secret }}'")),
    "FS071": (step("access_token: '{{ prefect.blocks.secret.GITHUB_TOKEN }}'"),),
    "FS072": (step("branch: '{{ prefect.variables.branch }}'"), step("branch: '{{ $BRANCH }}'")),
    "FS073": (job_template('{"host": {"default": "{{ $HOST }}"}}', "{{ host }}"),),
    "FS074": (prefect_yaml("TOKEN: '{{ prefect.blocks.secret.token }}'"), prefect_yaml("A: '{{ $GITHUB_TOKEN }}'")),
    "FS075": (step("repository: 'https://{{ prefect.blocks.secret.token }}@example.com/a'"),),
    "FS076": (job_template('{"image": {}}', "{{ imgae }}"),),
    "FS083": (
        python('job_variables={"env": {"TOKEN": "{{ $GITHUB_TOKEN }}"}}'),
        python('parameters={"token": "{{ prefect.blocks.secret.token }}"}'),
    ),
    "FS077": (
        step("access_token: hunter2"),
        prefect_yaml("DB: postgres://user:hunter2@host/db"),
        step("repository: https://ghp_abcDEF0123456789xyz@github.com/acme/reports.git"),
    ),
    "FS078": (prefect_yaml("PIN: 0123"),),
    "FS079": (prefect_yaml(f"{VARIABLE}NAME: value"),),
    "FS080": (
        env("PREFECT_API_URI=http://127.0.0.1:4200/api"),
        {"prefect.toml": "[api]\nuri = 'http://127.0.0.1/api'\n"},
    ),
    "FS081": (env("PREFECT_ASYNC_FETCH_STATE_RESULT=true"), env("PREFECT_API_DATABASE_CONNECTION_URL=sqlite:///x")),
    "FS082": (toml("NAME = 'value'"),),
    "FS090": ({"config.toml": f"{TABLE}NAME = 'value'  # flowsecrets: ignore[FS021]\n"},),
    "FS056": ({"job.yaml": f"{CONTAINER}value: one\n  - name: {VARIABLE}NAME\n    value: other\n"},),
}


def page() -> str:
    """Return the text of the page."""
    results = {rule: [(files, _find(rule, files)) for files in examples] for rule, examples in EXAMPLES.items()}
    groups = {group: [rule for rule in rules if rule in results] for group, rules in GROUPS.items()}
    sections = [
        text
        for group, rules in groups.items()
        if rules
        for text in (f"## {group}\n", *(_section(rule, results[rule]) for rule in rules))
    ]
    return "\n".join([HEAD, *_overview(groups), *sections])


def _find(rule: str, files: Dict[str, str]) -> Finding:
    """Return a finding in the newest release that has it."""
    for _, version in reversed(SPANS):
        for finding in _all(files, version):
            if finding.id == rule:
                return finding
    for finding in _check(Checker([], MACHINE, target=Target(is_rest=True)), files):
        if finding.id == rule:
            return finding
    raise LookupError(f"{rule} has an example without the finding")


def _all(files: Dict[str, str], version: str) -> Iterator[Finding]:
    dialect = dialect_for(version)
    yield from _check(Checker([dialect], MACHINE), files)
    if len(files) > 1:
        environ = {item.name: str(item.value) for item in env_items(files[".env"])}
        yield from findings(resolve([read_layer(files["config.toml"])], environ, dialect, machine=MACHINE))


def _check(checker: Checker, files: Dict[str, str]) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = os.path.join(folder, name)
            Path(path).write_text(text, "utf-8")
            yield from checker.check(path, kind_of(path))


Examples = List[Tuple[Dict[str, str], Finding]]


def _overview(groups: Dict[str, List[str]]) -> Iterator[str]:
    for group, rules in groups.items():
        if rules:
            yield f"**{group}**\n\n| finding | severity | what it reports |\n|---|---|---|"
            for rule in rules:
                yield f"| [{rule}](#{rule.lower()}) | {RULES[rule].severity} | {_markdown(RULES[rule].title)} |"
            yield ""


def _section(rule: str, examples: Examples) -> str:
    title, explanation = _markdown(RULES[rule].title), _markdown(RULES[rule].explanation)
    parts = [f"({rule.lower()})=\n### {rule}: {title}\n\n{explanation}\n"]
    for files, finding in examples:
        for name, text in files.items():
            parts.append(f"```text\n# {name}\n{text.lstrip(chr(0xFEFF))}```\n")
        versions = f" (Prefect {finding.versions})" if finding.versions else ""
        parts.append(f"- {finding.severity.capitalize()}{versions}: {_markdown(finding.message)}.")
        parts.append(f"- Fix: {_markdown(finding.advice)}.\n")
    return "\n".join(parts)


def _markdown(text: str) -> str:
    """Escape the special characters of Markdown."""
    for character in "\\*_[]<>$|`":
        text = text.replace(character, f"\\{character}")
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
