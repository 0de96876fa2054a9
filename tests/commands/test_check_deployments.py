"""``flowsecrets check`` for ``prefect.yaml`` and base job templates of Prefect 2.20 and 3."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("yaml")

HEAD = "name: x\npull: null\ndeployments:\n- name: a\n  entrypoint: f.py:f\n"
ENV = HEAD + "  work_pool:\n    name: p\n    job_variables:\n      env:\n        %s\n"
PARAMETER = HEAD + "  parameters:\n    %s\n"
STEP = "deployments: []\npull:\n- prefect.deployments.steps.git_clone:\n    %s\n"
POOL = '{"job_configuration": {"env": {%s}}, "variables": {"type": "object", "properties": {"x": {%s}}}}'
COMPOSE = "services:\n  a:\n    image: prefect\n    environment:\n"
V = ("--prefect-version", "3.9.1")
ALL = ("--prefect-version", "3", "--all-versions")
TOKEN = "ghp_Ab3De6Gh9Jk2Mn5Pq8St1Vw4Yz7Bc0Ef"
HOOK = "https://hooks.slack.com/services/T0Q1W2E3R/B9Z8Y7X6W"
RANDOM = "1x9QvT2mZ7rLk3Wd8YpB5nHs"
HEX = "9c1f0b7e4a2d8635f1e0c9b7a6d54e32"
DIGEST = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"

# rule, layout, a text that triggers it, one that does not
EXAMPLES = [
    ("FS070", ENV, "A: '{{ prefect.block.secret.x }}'", "A: '{{ prefectblock.secret.x }}'"),
    ("FS070", ENV, "A: '{{ prefect.secrets.x }}'", "A: '{{ build_image.image }}'"),
    ("FS070", ENV, "A: '{{ blocks.secret.x }}'", "A: '{{ ctx.flow.name }}'"),
    ("FS070", ENV, "A: '{{prefect.blocks.secret}}'", "A: '{{prefect.variables.x}}'"),
    ("FS070", ENV, "A: '{{ prefect.blocks.secret. }}'", "A: '{{ image }}'"),
    ("FS070", ENV, "A: '{{ prefect.variables.x | upper }}'", "A: '{{ prefect.variables.x }}'"),
    ("FS070", ENV, "A: '{{ prefect.blocks.secret.my key }}'", "A: '{{ a key }}'"),
    ("FS070", ENV, "A: '{{ ${HOME} }}'", "A: '{{ $HOME }}'"),
    ("FS071", STEP, "access_token: '{{ prefect.blocks.secret.GH }}'", "access_token: '{{ prefect.blocks.secret.gh }}'"),
    (
        "FS071",
        STEP,
        "access_token: '{{ prefect.blocks.secret.g_h }}'",
        "a: '{{ prefect.blocks.secret.g-h.value.k_x }}'",
    ),
    ("FS071", STEP, "a: '{{ prefect.blocks.aws_credentials.g.x }}'", "a: '{{ prefect.blocks.aws-credentials.g.x }}'"),
    ("FS071", STEP, "branch: '{{ prefect.variables.Branch }}'", "branch: '{{ prefect.variables.my_branch.Key }}'"),
    ("FS072", ENV, "A: '{{ prefect.variables.nope }}'", "A: '{{ nope }}'"),
    ("FS072", STEP, "branch: '{{ $BRANCH }}'", "branch: '$BRANCH'"),
    ("FS072", POOL, ('"A": "{{ $HOST }}"', ""), ('"A": "{{ x }}"', "")),
    ("FS073", POOL, ("", '"default": "{{ $HOST }}"'), ('"A": "{{ $HOST }}"', '"description": "{{ $HOST }}"')),
    ("FS074", ENV, "A: '{{ prefect.blocks.secret.x }}'", "A: '{{ prefect.variables.x }}'"),
    ("FS074", ENV, "A: '{{ prefect.blocks.aws-credentials.x }}'", "A: '{{ prefect.blocks.local-file-system.x }}'"),
    ("FS074", PARAMETER, "key: '{{ prefect.blocks.secret.x }}'", "key: 1"),
    ("FS074", ENV, "A: '{{ $GITHUB_TOKEN }}'", "A: '{{ $GITHUB_SHA }}'"),
    ("FS075", STEP, "url: 'x{{ prefect.blocks.secret.x }}'", "url: '{{ prefect.blocks.secret.x }}'"),
    ("FS076", POOL, ('"A": "{{ y }}"', ""), ('"A": "{{ x }}"', "")),
    ("FS076", POOL, ('"A": "a{{ y.z }}"', ""), ('"A": "{{ x.y }} {{ ctx.flow.name }}"', "")),
    ("FS077", ENV, "API_KEY: hunter2", "API_KEY: '{{ prefect.variables.x }}'"),
    ("FS077", ENV, "DB: postgres://u:hunter2@h/d", "DB: postgres://u@h/d"),
    ("FS077", ENV, "K: pnu_0123456789abcdef0123456789abcdef", "K: pnu_short"),
    ("FS077", STEP, "access_token: hunter2", "access_token: <your token>"),
    ("FS077", PARAMETER, "db_password: hunter2", "db_password: sandbox_password"),
    ("FS077", PARAMETER, "db_password: '4711471'", "db_password: '12345'"),
    ("FS077", POOL, ("", '"default": {"password": "hunter2"}'), ("", '"title": "password"')),
    (
        "FS077",
        STEP,
        f"repository: https://{TOKEN}@git.hub/a.git",
        "repository: https://your-access-token@git.hub/a.git",
    ),
    (
        "FS077",
        STEP,
        f"script: |\n      cd x\n      git clone https://{TOKEN}@h/a",
        "script: git clone https://$TOKEN@h/a",
    ),
    ("FS077", ENV, f"HOOK: {HOOK}/{TOKEN}", f"HOOK: '{HOOK}/{{{{ prefect.blocks.secret.x }}}}'"),
    ("FS077", ENV, f"HOOK: {HOOK}/{TOKEN}", f"HOOK: {HOOK}/XXXXXXXXXXXXXXXXXXXXXXXX"),
    ("FS077", ENV, f"A: 'https://h/bot123:{TOKEN}/send'", "A: https://h/bot123:<token>/{{ x }}"),
    ("FS077", ENV, f"A: 'https://h/a?sig={TOKEN}'", "A: 'https://h/watch?v=dQw4w9WgXcQ&page_token=2'"),
    ("FS077", ENV, f"WEBHOOK: 'https://h/{DIGEST}'", f"A: 'https://h/a/{DIGEST}/flows'"),
    ("FS077", PARAMETER, f"url: https://h/{TOKEN}", f"url: https://docs.google.com/spreadsheets/d/{RANDOM}/edit"),
    ("FS077", PARAMETER, f"url: https://h/{TOKEN}", f"url: https://h/{TOKEN}.tar.gz"),
    ("FS077", ENV, f"A: https://{RANDOM}@h/a", f"A: https://{HEX}@o1.ingest.sentry.io/1"),
    ("FS077", ENV, f"A: https://{HEX}@h/a", f"A: abfss://{RANDOM}@store.dfs.core.windows.net/a"),
    ("FS077", ENV, f"WEBHOOK: https://h/{RANDOM}", f"WEBHOOK: https://h/{HEX}.tar.gz"),
    ("FS077", ENV, f"SLACK_WEBHOOK_URL: https://h/{HEX}", f"HOOKS_URL: https://h/{HEX}"),
    ("FS077", ENV, "A: https://h/a?sig=aB3%2Bd5E7gH9%3D", "A: https://h/a?sig=%SIGNATURE%"),
    ("FS077", ENV, "A: https://h/a?token=hunter2", "A: 'https://h/a?token={token}'"),
    ("FS077", ENV, f"A: https://h/a?key={RANDOM}", "A: https://h/a?key=hunter2"),
    ("FS077", ENV, f"A: https://h/a?x_key={RANDOM}", "A: https://h/a?s3_key=data/day.csv"),
    ("FS078", ENV, "A: true", "A: 'true'"),
    ("FS078", ENV, "A: 0123", "A: 123"),
    ("FS078", ENV, "A: 1.10", "A: 1.1"),
    ("FS078", PARAMETER, "pin: 0123", "pin: 123"),
    ("FS078", PARAMETER, "a: yes", "a: true"),
    ("FS078", PARAMETER, "day: 2024-01-01 10:00:00", "day: 2024-01-01"),
    ("FS079", ENV, "PREFECT__CONTEXT__SECRETS__A: x", "PREFECT_API_URL: x"),
]


def name_of(layout):
    return "pool.json" if layout == POOL else "prefect.yaml"


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples(run, write, example):
    """A rule applies to its own case and not to a similar harmless one, and no value is shown."""
    rule, layout, bad, good = example
    done = run("check", *ALL, write(name_of(layout), layout % bad))
    assert rule in done.ids
    assert "hunter2" not in done.out
    assert TOKEN not in done.out
    assert rule not in run("check", *ALL, write(name_of(layout), layout % good)).ids


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--prefect", "2.20"), ["FS075"]),
        (("--prefect", "3.6.29"), ["FS074", "FS075"]),
        (("--prefect", "3.7.0"), ["FS074"]),
        (("--prefect", "3.99.0"), ["FS074"]),
        (("--prefect", "3.7.0", "--all-versions"), ["FS074", "FS075"]),
        (ALL, ["FS074", "FS075"]),
        (("--all-versions",), ["FS074", "FS075"]),
    ],
)
def test_releases(run, write, options, expected):
    """Only the findings of a release are reported, or those of all; a newer release has those of the newest."""
    name = write("prefect.yaml", ENV % "A: 'x{{ prefect.blocks.secret.x }}'")
    assert run("check", name, *options).ids == expected


PLACES = """\
definitions:
  pool: &pool
    job_variables: &variables
      env:
        TOKEN: "{{ prefect.blocks.secret.Token }}"
build:
- prefect_docker.deployments.steps.build_docker_image:
    id: build
    secret: "{{ prefect.blocks.secret.x }}"
deployments:
- name: a
  entrypoint: f.py:f
  triggers: [{parameters: {a: "{{ event.name | upper }}", b: "{{ prefect.block.x }}"}}]
  work_pool: *pool
- name: b
  entrypoint: f.py:f
  pull:
  - prefect.deployments.steps.git_clone: {access_token: "{{ prefect.blocks.secret.x }}"}
  work_pool:
    name: p
    job_variables:
      <<: *variables
"""


def test_places(run, write):
    """Anchors, merge keys and steps are followed, findings are reported once, and triggers are left out."""
    done = run("check", write("prefect.yaml", PLACES))
    assert [line.split(":")[1:3] for line in done.out.splitlines()] == [["5", "17"], ["5", "17"]]
    assert done.ids == ["FS071", "FS074"]


def test_a_fix_of_a_template(run, write):
    """`--fix` writes the name of a block in lower case, wherever it stands in the text, and quotes values of `env`."""
    text = ENV % "A: 0123\n        B: >-\n          x\n          {{ prefect.blocks.secret.Token }}"
    run("check", write("prefect.yaml", text), "--fix")
    assert Path("prefect.yaml").read_text() == text.replace("Token", "token").replace("0123", "'0123'")


def test_the_place_in_a_long_text(run, write):
    """A finding is reported where the template is, also in a block of several lines, and can be silenced there."""
    text = STEP % "script: |\n        echo\n        run {{ prefect.variables.A }} {{ prefect.variables.B }}\n"
    done = run("check", write("prefect.yaml", text))
    assert [line.split(":")[1:3] for line in done.out.splitlines()] == [["6", "13"], ["6", "39"]]
    quiet = text.replace("script", "# flowsecrets: ignore[FS071]\n    script")
    assert run("check", write("prefect.yaml", quiet)).code == 0


@pytest.mark.parametrize(
    "text",
    [
        "deployments:\n- {name: '{{ prefect.block.x }}'}\n",
        "kind: Deployment\nspec: {deployments: [{entrypoint: '{{ prefect.block.x }}'}]}\n",
        json.dumps({"job_configuration": "{{ prefect.block.x }}"}),
        "- deployments: []\n",
        "deployments: {entrypoint: '{{ prefect.block.x }}'}\n",
        "# deployments\n",
    ],
)
def test_other_files(run, write, text):
    """Files that only resemble a `prefect.yaml` are not checked as one."""
    assert run("check", write("other.yaml", text)).code == 0


PUBLIC_URLS = [
    f"https://github.com/pre-commit/pre-commit-hooks/archive/{HEX}12345678.tar.gz",
    f"https://raw.githubusercontent.com/acme/webhook/{HEX}12345678/action.yml",
    f"https://hub.docker.com/layers/acme/webhook/1/images/sha256-{HEX}{HEX}",
    f"https://www.notion.so/acme/Team-Home-{HEX}",
    f"https://docs.google.com/forms/d/e/1FAIpQL{RANDOM}/viewform",
    f"https://www.figma.com/file/{RANDOM}/x",
    f"https://h/a?page_token=abc&nextPageToken={RANDOM}&continuation_token={RANDOM}",
    "https://h/a?api_key=test&key=DEMO_KEY&token=my-token&access_token=pk.eyJ1IjoiYWNtZSJ9",
    f"https://{HEX}@sentry.acme.com/prefix/42",
    f"ssh://APKA{RANDOM.upper()}@git-codecommit.us-east-1.amazonaws.com/v1/repos/a",
]
WEBHOOKS = [
    "hooks.slack.com/workflows/T0Q1W2E3R/A1B2C3D4E5/",
    "discord.com/api/webhooks/123456789012345678/",
    "canary.discordapp.com/api/v10/webhooks/123456789012345678/",
    f"acme.webhook.office.com/webhookb2/{DIGEST}@{DIGEST}/IncomingWebhook/",
    f"outlook.office.com/webhook/{DIGEST}/IncomingWebhook/",
    "hooks.zapier.com/hooks/catch/123/",
    "maker.ifttt.com/trigger/done/with/key/",
    "api.telegram.org/file/bot123456:",
    "hook.eu1.make.com/",
    "events.pagerduty.com/integration/",
    "hc-ping.com/",
    "open.larksuite.com/open-apis/bot/v2/hook/",
    "api.prefect.cloud/hooks/",
    "n8n.acme.com:5678/webhook/",
]


@pytest.mark.parametrize(
    ("kind", "head", "line"),
    [
        ("prefect.yaml", ENV.replace("%s", "A: a"), "        {}: '{}'\n"),
        ("run.sh", "", "export {}='{}'\n"),
        ("compose.yaml", COMPOSE, "      {}: '{}'\n"),
        ("Dockerfile", "FROM prefect\n", "ENV {}='{}'\n"),
    ],
)
def test_urls(run, write, kind, head, line):
    """In files of each type, webhooks are secrets, whatever the name, and URLs that are public by design are not."""
    public = head + "".join(line.format(f"HOOK_{at}", url) for at, url in enumerate(PUBLIC_URLS))
    assert "FS077" not in run("check", *V, write(kind, public)).ids
    urls = [f"https://{each}{RANDOM}" for each in WEBHOOKS]
    secret = head + "".join(line.format(f"A_{at}", url) for at, url in enumerate(urls))
    assert run("check", *V, write(kind, secret)).ids.count("FS077") == len(urls)


def test_one_finding_of_a_variable(run, write):
    """A variable in `env` of a deployment has one finding, although the file is read for its variables, too."""
    assert run("check", write("prefect.yaml", ENV % f"HOOK: {HOOK}/{TOKEN}")).ids == ["FS077"]


def test_loops(run, write):
    """An alias that contains itself ends."""
    text = "pull: null\ndeployments:\n- &a {entrypoint: f, work_pool: *a, tags: ['{{ prefect.block.x }}']}\n"
    assert run("check", write("prefect.yaml", text)).ids == ["FS070"]
