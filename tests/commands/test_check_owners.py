"""``flowsecrets check`` determines the owners of variables, in scripts, in commands within YAML and in Helm values."""

from __future__ import annotations

import json

import pytest

from pytest_flowsecrets.commands.files import env_files
from pytest_flowsecrets.versions import uses_rest_api

S = "PREFECT__CONTEXT__SECRETS__"
FLAG = "PREFECT__CLOUD__USE_LOCAL_SECRETS"
V = ("--prefect-version", "1.4.1")


@pytest.fixture
def check(run, write):
    """Return a function that checks one file and returns the findings as (line, column, rule)."""
    pytest.importorskip("yaml")

    def check(name, text, *options):
        done = run("check", *(options or V), "--json", write(name, text))
        assert done.err == ""
        return [(each["line"], each["column"], each["id"]) for each in json.loads(done.out)]

    return check


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("prefect agent local start", "local"),
        ("/usr/bin/prefect agent docker start -l x", "docker"),
        ("prefect agent start", "local"),
        ("prefect agent start --token t kubernetes", "kubernetes"),
        ("prefect agent install ecs", "ecs"),
        ('["prefect", "agent", "kubernetes", "start"]', "kubernetes"),
        ("- prefect\n    - agent\n    - vertex\n    - start\n", "vertex"),
        ("prefect \\\n  agent docker start", "docker"),
        ("# prefect agent docker start\npython flow.py", ""),
        ("prefect run -p flow.py", ""),
        ("prefect-agent: x", ""),
    ],
)
def test_which_agent_a_text_starts(text, kind):
    """`agent_in` recognizes commands and lists of words, in the order of all releases, and ignores comments."""
    assert env_files.agent_in(text) == kind
    assert env_files.owner_of(text).role == ("agent" if kind else "")


AGENTS = {
    "args": "containers:\n- env:\n  - {{name: {S}A, value: x}}\n  args: [prefect, agent, {kind}, start]\n",
    "a script": (
        "containers:\n- env:\n  - {{name: {S}A, value: x}}\n"
        "  command: [bash, -c]\n  args:\n  - prefect agent {kind} start\n"
    ),
    "compose": "services:\n  agent:\n    environment:\n      {S}A: x\n    command: prefect agent {kind} start\n    image: x\n",
    "a reference": (
        "containers:\n- args: [prefect agent {kind} start]\n  env:\n"
        "  - {{name: {S}A, valueFrom: {{secretKeyRef: {{name: a, key: b}}}}}}\n"
    ),
    "exports": "export {S}A=x\nprefect agent {kind} start\n",
    "a prefix": "{S}A=x prefect agent {kind} start\n",
}


@pytest.mark.parametrize("kind", ["local", "docker", "kubernetes", "ecs"])
@pytest.mark.parametrize("name", AGENTS)
def test_the_own_environment_of_an_agent(check, name, kind):
    """Secrets in the agent's own environment are a finding, except for a LocalAgent."""
    file = "a.sh" if name in ("exports", "a prefix") else "docker-compose.yml" if name == "compose" else "a.yaml"
    results = [rule for _, _, rule in check(file, AGENTS[name].format(S=S, kind=kind))]
    assert results == ([] if kind == "local" else ["FS060"])


def test_what_an_agent_uses_or_passes_on(check):
    """Credentials of the ECS agent itself, and names that ``--env`` repeats, are no findings."""
    table = '{"ACCESS_KEY": "x", "SECRET_ACCESS_KEY": "y"}'
    for kind, expected in (("ecs", []), ("docker", ["FS060"])):
        text = f"export {S}AWS_CREDENTIALS='{table}'\nprefect agent {kind} start\n"
        assert [rule for _, _, rule in check("a.sh", text)] == expected
    assert check("b.sh", f'export {S}A=x\nprefect agent docker start --env "{S}A=${S}A"\n') == []


def test_the_flag_is_reported_where_an_agent_runs(check):
    """The flag is a finding for agents, their options and templates, but not in a container that runs a flow."""
    container = "containers:\n- env:\n  - {{name: {F}, value: 'true'}}\n  {more}\n"
    for more, expected in (
        ("command: [python, flow.py]", []),
        ("command: [prefect, run, -p, flow.py]", []),
        ("command: [prefect, agent, local, start]", ["FS053"]),
        ("name: flow", ["FS053"]),
    ):
        assert [rule for _, _, rule in check("a.yaml", container.format(F=FLAG, more=more))] == expected
    compose = f"services:\n  flow:\n    image: x\n    environment:\n      {FLAG}: 'true'\n"
    assert check("docker-compose.yml", compose) == []
    assert check("a.sh", f"export {FLAG}=true\npython flow.py\n") == []
    assert check("b.sh", f"export {FLAG}=true\nprefect agent local start\n") == [(1, 8, "FS053")]


def test_bare_names_are_reported_where_prefect_is(check):
    """``REDIS_PASSWORD`` of a Redis is not a secret with a missing prefix."""
    redis = "services:\n  redis:\n    image: redis\n    environment:\n      REDIS_PASSWORD: x\n"
    assert check("docker-compose.yml", redis) == []
    both = redis + "  flow:\n    image: prefecthq/prefect\n    environment:\n      REDIS_PASSWORD: x\n"
    assert check("docker-compose.yml", both) == [(9, 7, "FS052")]
    assert check(".env", "GITHUB_ACCESS_TOKEN=x\n") == []
    assert check(".env", "GITHUB_ACCESS_TOKEN=x\nPREFECT__LOGGING__LEVEL=DEBUG\n") == [(1, 1, "FS052")]
    assert check("a.sh", "export AWS_CREDENTIALS=x\naws s3 ls\n") == []
    assert check("b.sh", "export AWS_CREDENTIALS=x\nprefect run -p flow.py\n") == [(1, 8, "FS052")]


SCRIPTS = f"""\
jobs:
  flows:
    steps:
    - run: |
        pip install prefect
        export {S}PIN=0000 \\
          {S}OTHER='1e5'

    - run: prefect agent local start --env {S}A=1e5
    - run: >-
        prefect agent local start
        --env {S}B=1e5
    - run: "export {S}C=0000"
    - run: export {S}D='${{{{ secrets.D }}}}'
build:
  script:
  - export {S}E=0000
containers:
- args:
  - prefect
  - agent
  - docker
  - start
  - --env
  - {S}F=0000
  - -e={S}G=$(PIN)
- command: [bash, -c, "prefect agent docker start --env {S}H=0000"]
- entrypoint: [env, "{S}I=0000", python]
- command: [-e, "{S}J=a b", [nested]]
- command: {{not: a command}}
- run: |
"""


def test_commands_inside_of_yaml(check):
    """`check` reads ``args``, ``command``, ``entrypoint``, ``run`` and ``script``, as scripts and as lists of words."""
    assert check("a.yaml", SCRIPTS) == [
        (6, 16, "FS021"),
        (7, 11, "FS023"),
        (9, 44, "FS023"),
        (11, 41, "FS023"),
        (13, 20, "FS021"),
        (17, 12, "FS021"),
        (25, 5, "FS021"),
        (27, 57, "FS021"),
        (28, 22, "FS021"),
    ]


VALUES = f"""\
# of the chart prefect-server
agent:
  enabled: true
  extraEnvVars:
  - name: {S}A
    value: x
  env:
    {S}B:
      value: "0000"
flows:
  extraEnv:
    {S}C: "0000"
  envVars: {{{S}D: ok}}
  environmentVariables: [{{name: {S}E, value: '1e5'}}]
  envelope: {{{S}F: '0000'}}
"""


def test_values_of_a_helm_chart(check):
    """`check` reads the keys of charts for variables; those below ``agent`` belong to the Kubernetes agent."""
    assert check("values.yaml", VALUES) == [
        (5, 11, "FS060"),
        (8, 5, "FS021"),
        (8, 5, "FS060"),
        (12, 5, "FS021"),
        (14, 33, "FS023"),
    ]


@pytest.mark.parametrize("version", ["0.9.8", "0.10.7", "0.13.14", "0.14.9", "0.14.10", "1.4.1"])
def test_an_equals_sign_in_the_option_env(check, version):
    """A ``=`` in a value of ``--env`` is a finding up to 0.14.9, where the command ends with a ValueError."""
    broken = [] if version in ("0.14.10", "1.4.1") else ["FS063"]
    text = f'prefect agent local start --env "{S}A=Driver=x;host=db"\n{S}B=a=b python flow.py\n'
    results = check("a.sh", text, "--prefect-version", version)
    assert [rule for _, _, rule in results if rule == "FS063"] == broken
    assert check("b.sh", f'prefect agent local start --env "{S}a=$X=$Y"\n', "--prefect-version", version) == []


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("A = 'x'", []),
        ("A = '5'", ["FS061"]),
        ("A = 5", ["FS061"]),
        ("A = 'None'", []),
        ("A.B = 'x'", ["FS061"]),
        ("A = \"'5'\"", []),
    ],
)
def test_variables_of_the_agent_in_a_file(check, text, rules):
    """Values in ``[cloud.agent.env_vars]`` that are not strings are a finding."""
    assert [rule for _, _, rule in check("config.toml", f"[cloud.agent.env_vars]\n{text}\n")] == rules


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("__A=x", ["FS061"]),
        ("__a=x", []),
        ("__a=5", ["FS061"]),
        ("__a__b=x", ["FS061"]),
        ("""='{"A": "x"}'""", []),
        ("""='{"A": 5, "B": {"C": 1}}'""", ["FS061"]),
        ("""='{"A": null}'""", ["FS061"]),
        ("=x", ["FS061"]),
    ],
)
def test_variables_of_the_agent_in_variables(check, line, rules):
    """Lower-cased names, ``__``, and a value that is not a table of strings are findings."""
    assert [rule for _, _, rule in check(".env", f"PREFECT__CLOUD__AGENT__ENV_VARS{line}\n")] == rules
    assert check(".env", f"PREFECT__CLOUD__AGENT__ENV_VARS{line}\n", "--prefect-version", "0.9.8") == []


@pytest.mark.parametrize("name", ["AWS_CREDENTIALS", "GCP_CREDENTIALS"])
@pytest.mark.parametrize(
    ("value", "rules"),
    [
        ("{ACCESS_KEY: x, SECRET_ACCESS_KEY: y}", ["FS062"]),
        ('{"a": "b"}', []),
        ('{"a": true}', ["FS029", "FS062"]),
        ("plain", ["FS062"]),
        ("5", ["FS020", "FS062"]),
        ("$OF_ANOTHER", ["FS037"]),
    ],
)
def test_credentials_that_have_to_be_a_table(check, name, value, rules):
    """Credentials that are a string are a finding, because the clients get the raw value of the context."""
    results = [rule for _, _, rule in check(".env", f"{S}{name}='{value}'\n")]
    assert sorted(set(results) - {"FS030", "FS031"}) == [
        rule for rule in rules if rule != "FS037" or "FS037" in results
    ]
    assert check("a.yaml", f"env:\n- {{name: {S}{name}, valueFrom: {{secretKeyRef: {{name: a, key: b}}}}}}\n") == []


@pytest.mark.skipif(uses_rest_api(), reason="setenv is for Prefect 0.5.5 to 1.4.1")
def test_explain_names_credentials_that_are_a_text(local_secrets):
    """`LocalSecrets.explain` reports credentials that are a string."""
    local_secrets.setenv("AWS_CREDENTIALS", "{ACCESS_KEY: x}")
    assert "FS062" in local_secrets.explain("AWS_CREDENTIALS")
