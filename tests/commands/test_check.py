"""``flowsecrets check`` reports findings in files."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout

import pytest

S = "PREFECT__CONTEXT__SECRETS__"
V = ("--prefect-version", "1.4.1")
CLEAN = "[context.secrets]\nTOKEN = 'ghp_abcdefgh'\n"
PIN = "[context.secrets]\nPIN = '0000'\n"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.env",
            "PREFECT__CLOUD__AGENT__ENV_VARS={'PREFECT__CONTEXT__SECRETS__Z': '0000', 'B': '0'}",
            "write PREFECT__CONTEXT__SECRETS__Z=",
        ),
        ("config.toml", "[cloud.agent]\nenv_vars = \"{'PREFECT__CONTEXT__SECRETS__Z': '0000'}\"", "FS021 Z"),
        ("config.toml", "[cloud.agent.env_vars]\nPREFECT__CONTEXT__SECRETS__Z = ''", "FS038 Z"),
        ("config.toml", "[context.config.cloud]\nuse_local_secrets = 'yes'", "FS016"),
        ("config.toml", "[context.secrets]\nG = '${TOKEN:-0000}'", "FS031 G"),
        ("config.toml", "[context.secrets]\nG = '${TOKEN }'", "FS031 G"),
        ("config.toml", "[context.secrets]\nG = '${nope.x}'", "FS031 G"),
        ("job.yaml", f"env: [{{name: {S}A}}]", "FS038 A"),
        ("compose.yaml", f"services: {{a: {{image: b, environment: {{{S}A: '${{PIN:-}}'}}}}}}", "if PIN is not set"),
        ("a.env", f'{S}AWS_CREDENTIALS={{"type": "x", "ok": true}}', "True, False, None for true"),
        ("config.toml", "[context.secrets]\nAWS_CREDENTIALS = '{\"ok\": true}'", "[context.secrets.AWS_CREDENTIALS]"),
    ],
)
def test_what_a_flow_gets_in_rare_places(run, write, name, text, expected):
    """`check` covers variables of agents, shell syntax that Prefect does not support, and empty defaults and values."""
    assert expected in run("check", *V, write(name, f"{text}\n")).out


@pytest.mark.parametrize("reference", ["${TOKEN}", "$TOKEN", "${context.secrets.other}"])
def test_deliberate_references(run, write, reference):
    """A text that is only a reference is no finding, because the variable or key may be set elsewhere."""
    assert run("check", *V, write("config.toml", f"[context.secrets]\nG = '{reference}'\n")).ids == []


def test_clean(run, write):
    """Without findings there is no output, and the exit status is 0."""
    assert run("check", *V, write("config.toml", CLEAN)) == (0, "", "")


def test_toml(run, write):
    """A finding is one line with file, line, column and id, and the exit status is 1."""
    done = run("check", *V, write("config.toml", PIN))
    assert done.code == 1
    assert done.out.startswith("config.toml:2:1: error: FS021 PIN: ")
    assert "0000" not in done.out


def test_env_file(run, write):
    """`check` reads quotes, `export`, comments and blanks of .env files, and reports the position of the name."""
    text = f"# c\nexport {S}A='0000'\n{S}B=ghp_abc # 0000\n\nnonsense\n{S}C=\"true\"\n"
    done = run("check", *V, write("prod.env", text))
    assert [line.split(" ")[0] for line in done.out.splitlines()] == ["prod.env:2:8:", "prod.env:6:1:"]
    assert done.ids == ["FS021", "FS024"]


def test_variables_of_the_same_file_count(run, write):
    """A ``$NAME`` that the same file sets counts as set."""
    done = run("check", *V, write(".env", f"OTHER=x\n{S}A=a$OTHER\n"))
    assert "which is set" in done.out


MANIFEST = f"""apiVersion: v1
kind: Pod
spec:
  containers:
    - env: &shared
        - name: {S}PIN
          value: 0000
        - {{name: PREFECT__CLOUD__USE_LOCAL_SECRETS, value: "true"}}
        - {{name: {S}EMPTY, value: null}}
        - name: GITHUB_ACCESS_TOKEN
          valueFrom: {{secretKeyRef: {{name: My_Secret, key: a b}}}}
        - name: {S}OK
          valueFrom:
            secretKeyRef: {{name: my-secret.x, key: TOKEN_1}}
    - env: *shared
---
kind: Secret
stringData:
  {S}FLAG: "true"
---
env:
  {S}N: '1e5'
  {S}T: '{{{{ .Values.token }}}}'
"""


def test_manifest(run, write):
    """`check` reports each problem once, at its own position, in manifests with several documents and anchors."""
    pytest.importorskip("yaml")
    done = run("check", *V, write("job.yaml", MANIFEST))
    places = [(line.split(" ")[0], identity) for line, identity in zip(done.out.splitlines(), done.ids)]
    assert places == [
        ("job.yaml:7:18:", "FS021"),
        ("job.yaml:7:18:", "FS050"),
        ("job.yaml:9:18:", "FS038"),
        ("job.yaml:10:17:", "FS052"),
        ("job.yaml:11:44:", "FS051"),
        ("job.yaml:11:60:", "FS051"),
        ("job.yaml:19:3:", "FS024"),
        ("job.yaml:22:3:", "FS023"),
    ]
    assert "GitHub storage" in done.out


STORED = f"""kind: List
items:
- kind: Secret
  stringData: {{{S}A: '0000', GITHUB_ACCESS_TOKEN: x}}
  data: {{{S}B: KzE1NTUxMjM0NTY3, {S}C: '?', {S}D: /w==}}
- kind: ConfigMap
  data: {{{S}A: '0000', other: true}}
- kind: CronJob
  spec:
    initContainers:
    - env: [{{name: {S}A, value: "1e5"}}]
      envFrom: [{{secretRef: {{name: Bad_Name}}}}, {{configMapRef: {{name: ok}}}}]
    containers:
    - env:
      - {{name: {S}A, value: ghp_abc}}
      - {{name: {S}items, valueFrom: {{secretKeyRef: {{name: "{{{{ x }}}}", key: {"k" * 254}}}}}}}
"""


def test_secrets_and_config_maps(run, write):
    """`check` reads Secrets and ConfigMaps, with and without Base64, and each container that sets a variable."""
    pytest.importorskip("yaml")
    done = run("check", *V, write("list.yaml", STORED))
    places = [(line.split(":")[1], identity) for line, identity in zip(done.out.splitlines(), done.ids)]
    assert places == [
        ("4", "FS021"),
        ("5", "FS022"),
        ("7", "FS021"),
        ("7", "FS050"),
        ("11", "FS023"),
        ("12", "FS051"),
        ("16", "FS005"),
        ("16", "FS051"),
    ]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *(("true", "bool"), ("yes", "bool"), ("y", "bool"), ("5", "int"), ("0o17", "int"), ("0x1F", "int")),
        *(("1.20", "float"), ("1e5", "float"), ("1234567e8", "float"), ("[1]", "list"), ("{a: 1}", "mapping")),
        *(("'5'", None), ("1:30", None), ("2020-01-01", None), ("v1.2", None), ("~", None), ("!x 5", None)),
    ],
)
def test_values_that_are_no_text(run, write, value, kind):
    """`check` reports values that are not strings in Kubernetes: 1e5 is a number, but dates and 1:30 are strings."""
    pytest.importorskip("yaml")
    done = run("check", *V, write("a.yaml", f"env:\n- {{name: X, value: {value}}}\n"))
    assert done.ids == (["FS050"] if kind else [])
    assert not kind or f"a YAML {kind}" in done.out


def test_other_manifests(run, write):
    """`check` reads ECS task definitions in JSON, and both notations of Docker Compose."""
    pytest.importorskip("yaml")
    ecs = {"containerDefinitions": [{"environment": [{"name": f"{S}A", "value": "0000"}, {"value": "x"}]}]}
    assert run("check", *V, write("task.json", json.dumps(ecs))).ids == ["FS021"]
    compose = f"environment:\n  - {S}A=0000\n  - '=x'\nother:\n  environment:\n    {S}B: true\n"
    done = run("check", *V, write("compose.yml", compose))
    assert [line.split(" ")[0] for line in done.out.splitlines()] == [
        "compose.yml:2:5:",
        "compose.yml:6:35:",
        "compose.yml:6:35:",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("!!str 5", []), ("&x !!str true", []), ("!!int '5'", ["FS050"]), ("&x 5", ["FS050"]), ("!!str '5'", [])),
        *(("!!bool yes", ["FS050"]), ("!!binary NQ==", []), ("|\n    5", []), (">-\n    true", [])),
    ],
)
def test_tags_and_blocks(run, write, value, expected):
    """A tag determines the type of a value, and blocks are strings."""
    pytest.importorskip("yaml")
    assert run("check", *V, write("a.yaml", f"env:\n- name: X\n  value: {value}\n")).ids == expected


def test_keys_that_are_no_names(run, write):
    """Keys that are lists or tables are skipped, unless they are the braces of a template."""
    pytest.importorskip("yaml")
    odd = "? [a, b]\n: c\n? {a: b}\n: c\nenv: {? [a] : b, ? {c: d} : e}\nkind: Secret\ndata: {? [a] : b}\n"
    text = f"{odd}x:\n  env: [{{? [a] : b, name: {S}A, value: '0000'}}, {{? {{a: b}} : c, valueFrom: 5}}]\n"
    assert run("check", *V, write("a.yaml", text)).ids == ["FS021"]
    done = run("check", *V, write("b.yaml", "a: {{ b }}\n"))
    assert (done.code, done.err) == (2, "b.yaml:1:5: a template, not YAML: render it first\n")


def test_yaml_that_is_a_loop(run, write):
    """`check` ends even if an anchor contains itself."""
    pytest.importorskip("yaml")
    assert run("check", *V, write("a.yaml", "a: &x\n  b: *x\n  c: [*x]\n")).code == 0
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert run("check", *V, write("b.yaml", bomb)).code == 0


def test_shell(run, write):
    """`check` reads assignments and options of agents over several lines, and skips values that the shell expands."""
    text = (
        f"prefect agent local start --env {S}A=1e5 \\\n  -e PREFECT__CLOUD__USE_LOCAL_SECRETS=true\n"
        f"export {S}B=\"$TOKEN\" {S}C='a$TOKEN'\necho 'it\nPREFECT__CLOUD__USE_LOCAL_SECRETS=true prefect run\n"
    )
    done = run("check", *V, write("start.sh", text))
    assert [line.split(" ")[0] for line in done.out.splitlines()] == [
        "start.sh:1:33:",
        "start.sh:2:6:",
        "start.sh:3:46:",
    ]
    assert done.ids == ["FS023", "FS053", "FS030"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"export {S}A=0000; {S}B=1e5&", ["1:8 FS021", "1:43 FS023"]),
        (f"{S}A=0000#x\n# it's {S}B=0000\n{S}C=0000 # it's\n", ["1:1 FS020", "3:1 FS021"]),
        (f"X='two\nlines' {S}A=0000\n{S}B=0000", ["2:8 FS021", "3:1 FS021"]),
        (f"cat <<EOF > .env\nit's\n{S}A=0000\nEOF\n{S}B='0000'\n", ["3:1 FS021", "5:1 FS021"]),
        (f"{S}A=0000\nexec prefect agent local start -e {S}A=0000 # flowsecrets: ignore\n", ["1:1 FS021"]),
        (f"{S}A=ghp_abc\n{S}A='0000'\n", ["2:1 FS021"]),
        (f'-e "{S}J={{\\"a\\": true}}" \\\n  -e{S}Z=00 --env={S}Q=0x1', ["1:5 FS029", "2:5 FS021", "2:43 FS020"]),
        (f"{S}items=$X", ["1:1 FS005"]),
        ("echo \"it's", []),
    ],
)
def test_shell_syntax(run, write, text, expected):
    """`check` reads commands on one line, comments, multi-line quotes, here-documents and repeated variables."""
    done = run("check", *V, write("start.sh", text))
    places = [":".join(line.split(":")[1:3]) for line in done.out.splitlines()]
    assert [f"{place} {identity}" for place, identity in zip(places, done.ids)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{S}A='0000' # c\n{S}B=\"0000\"\t#c\r\n{S}C=0000\r\n", ["1 FS021", "2 FS021", "3 FS021"]),
        (f'{S}A="-----BEGIN\nMIIE=\n-----END"\n{S}B=0000\n', ["4 FS021"]),
        (f"{S}A='0000\n{S}B='0000'\n", ["2 FS021"]),
        (f'{S}A="{{\\"a\\": true}}"\n{S}B=\n{S}C=', ["1 FS029", "2 FS038", "3 FS038"]),
        (f"\n\n  # c\n  export {S}A='00\\'00'\n{S}B=#0000\n'{S}C'=0000", ["6 FS021"]),
        (f'{S}A="0000" c\n{S}B="\n{S}C=0000 # c', ["3 FS021"]),
        (f"{S}A=0000\n{S}A=ghp_abc\n{S}A=1e5\n", ["1 FS021", "3 FS023"]),
        (f'{S}A="abc\\n"\n{S}B=\'abc\\n\'\n{S}C=abc\\n\n{S}D="0000\\r"', ["1 FS036", "4 FS021"]),
    ],
)
def test_env_syntax(run, write, text, expected):
    """`check` reads comments after quotes, multi-line values, escapes, repeated variables and broken quotes."""
    done = run("check", *V, write(".env", text))
    lines = [line.split(":")[1] for line in done.out.splitlines()]
    assert [f"{line} {identity}" for line, identity in zip(lines, done.ids)] == expected


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        ("# flowsecrets: ignore", 0),
        ("# flowsecrets: ignore[FS021]", 0),
        ("# flowsecrets: ignore[FS052, FS021]", 1),
        ("# flowsecrets: ignore[FS020]", 1),
        ("# ignore", 1),
    ],
)
def test_ignore(run, write, comment, code):
    """A comment on the line, or on its own line above, silences all or some rules."""
    assert run("check", *V, write("config.toml", PIN.replace("'\n", f"' {comment}\n"))).code == code
    assert run("check", *V, write("config.toml", PIN.replace("PIN", f"{comment}\nPIN"))).code == code


MARK = "# flowsecrets: ignore[FS021]"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", f"env:\n- name: {S}A\n  value: '0000' {MARK}\n"),
        ("a.yaml", f"env:\n- name: {S}A {MARK}\n  value: '0000'\n"),
        ("a.yaml", f"env:\n{MARK}\n- name: {S}A\n  value: '0000'\n"),
        ("a.yaml", f"env:\n- name: {S}A\n  {MARK}\n  value: '0000'\n"),
        ("a.yaml", f"environment:\n  {S}A:\n    '0000' {MARK}\n"),
        ("a.yaml", f"kind: Secret\nstringData:\n  {S}A: '0000' {MARK}\n"),
        ("a.yaml", f"env:\n{MARK}\n- name: {S}A\n  value: |-\n    0000\n"),
        ("a.sh", f"prefect agent local start \\\n  --env {S}A=0000 \\\n  --env {S}B=ok {MARK}\n"),
        ("a.sh", f"{MARK}\nprefect agent local start \\\n  --env {S}A=0000\n"),
        (".env", f'{S}A="0000\n"  {MARK}\n'),
        ("a.toml", f'[context.secrets]\nA = """\n0000"""  {MARK}\n'),
    ],
)
def test_ignore_near(run, write, name, text):
    """The comment can be in any line of the value. Without it there is a finding."""
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    assert run("check", *V, write(name, text)) == (0, "", "")
    assert run("check", *V, write(name, text.replace(MARK, "# no"))).ids == ["FS021"]


def test_ignore_is_about_its_own(run, write):
    """A comment does not apply to the next entry, even if its value is further up or contains the comment."""
    pytest.importorskip("yaml")
    text = (
        f"x: &x '0000' {MARK}\nenv:\n- &e {{name: {S}A, value: *x}}\n- name: {S}B\n  value: '0000' {MARK}\n"
        f"- name: {S}C\n  value: '0000'\n{MARK}\n- {{name: {S}D, value: *x, e: &l [*l, *e], f: *e}}\n"
    )
    done = run("check", *V, write("a.yaml", text))
    places = [line.split(" FS")[0] for line in done.out.splitlines()]
    assert places == ["a.yaml:1:14: warning:", "a.yaml:3:13: error:", "a.yaml:6:9: error:"]
    assert done.ids == ["FS090", "FS021", "FS021"]


def test_all_versions(run, write):
    """`--all-versions` reports findings of old releases, each one once."""
    done = run("check", "--all-versions", write(".env", f"{S}A=a\\nb\n"))
    assert done.ids.count("FS033") == 1
    assert "FS008" in done.ids
    assert run("check", *V, ".env").code == 0


def test_all_versions_advice(run, write):
    """If the correct spelling depends on the release, the advice names the releases of each spelling."""
    done = run("check", "--all-versions", write("config.toml", "[context.secrets]\nA = '\"word\"'\n"))
    assert (
        "in Prefect 0.5.1-0.11.1, to get the value as written, write A = '\"...\"', where ... stands for the value as in"
        in done.out
    )
    assert '; in Prefect 0.11.2-1.4.1, to get the value as written, write A = "\'\\"...\\"\'", where' in done.out


def test_all_versions_advice_whatever_the_case_of_the_name(run, write):
    """The advice for later releases appears, although the name is lower case up to 0.6.6."""
    done = run("check", "--all-versions", write(".env", f"{S}A=1e5\n"))
    (line,) = [line for line in done.out.splitlines() if " FS023 " in line]
    assert (
        f"in Prefect 0.5.1-0.10.7, to get the value as written, write {S}A='\"...\"' (... stands for the value)" in line
    )
    assert f'; in Prefect 0.13.15-1.4.1, to get the value as written, write {S}A="' in line


def test_notes(run, write):
    """`--no-notes` omits notes."""
    write("config.toml", "[context.secrets]\nA = '{\"a\": true}'\n")
    assert run("check", *V, "config.toml").ids == ["FS029"]
    assert run("check", *V, "--no-notes", "config.toml").code == 0


def test_json(run, write):
    """The JSON contains the parts of a finding."""
    (finding,) = json.loads(run("check", *V, "--json", write("config.toml", PIN)).out)
    assert {key: finding[key] for key in ("id", "severity", "name", "file", "line", "column", "versions")} == {
        "id": "FS021",
        "severity": "error",
        "name": "PIN",
        "file": "config.toml",
        "line": 2,
        "column": 1,
        "versions": "0.11.2-1.4.1",
    }


def test_github(run, write):
    """The GitHub annotations are escaped."""
    done = run("check", *V, "--format", "github", write("config.toml", PIN))
    assert done.out.startswith("::error file=config.toml,line=2,col=1,title=FS021::PIN: all zeros")
    assert "(Prefect 0.11.2-1.4.1); to get the value as written" in done.out


# Valid TOML on which Prefect's parser raises an IndexError, which names no line.
NO_LINE = 'a = ["""x,\ny"""]'


def test_names_that_no_terminal_shows(run, write, monkeypatch):
    """Control characters in names are escaped, and characters that the encoding lacks cause no error."""
    write("a.toml", '[context.secrets]\n"a\\nb" = "0000"\n')
    assert run("check", *V, "a.toml").out.startswith("a.toml:2:1: error: FS021 a\\nb: all zeros")
    assert run("explain", *V, "--config", "a.toml").out.startswith("a\\nb (Prefect 1.4.1)")
    assert run("check", *V, "no\nfile.toml").err == "no\\nfile.toml: no such file or directory\n"
    odd = os.fsdecode(b"caf\xe9.toml")
    write(odd, PIN)
    assert run("check", *V, odd).out.startswith("caf\\udce9.toml:2:1: error: FS021")
    log = json.loads(run("check", *V, "--format", "sarif", odd).out)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "caf%E9.toml"
    write("é.toml", PIN.replace("PIN", '"é🔑"'))
    for form in ("text", "github", "json", "sarif"):
        with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as stream:
            monkeypatch.setattr("sys.stdout", stream)
            assert run("check", *V, "--format", form, "é.toml", odd).code == 1
            stream.flush()
            assert b"FS021" in stream.buffer.getvalue()


def test_output_that_is_no_stream_of_bytes(run, write):
    """A Python caller can capture the output in a StringIO."""
    write("config.toml", PIN)
    with redirect_stdout(io.StringIO()) as taken:
        assert run("check", *V, "config.toml").code == 1
    assert "FS021" in taken.getvalue()


def test_sarif(run, write):
    """The output is SARIF 2.1.0, also for findings without a line."""
    write("a.toml", NO_LINE)
    log = json.loads(run("check", *V, "--format", "sarif", write("my config.toml", PIN), "a.toml").out)
    results = log["runs"][0]["results"]
    assert [result["ruleId"] for result in results] == ["FS021", "FS002"]
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert rules[1]["id"] == "FS021"
    assert rules[1]["name"] == "ASecretOfZerosIsReadAs0"
    assert rules[1]["shortDescription"] == {"text": "A secret of zeros is read as 0"}
    assert rules[1]["fullDescription"]["text"] in rules[1]["help"]["text"]
    assert rules[1]["helpUri"].endswith("#fs021")
    assert "(Prefect 0.11.2-1.4.1); to get the value as written" in results[0]["message"]["text"]
    assert results[0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 2, "startColumn": 1}
    assert results[0]["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "my%20config.toml"}
    assert "region" not in results[1]["locations"][0]["physicalLocation"]


BAD = [
    ("missing.toml", None, "missing.toml: no such file or directory"),
    ("binary.env", b"A=1\nB=\0\n", "binary.env:2:3: a binary file"),
    ("latin.env", b"A=1\nB=\xe9\n", "latin.env:2:3: not UTF-8"),
    ("big.toml", b"#" * (2 * 2**20 + 1), "big.toml: larger than 2 MB"),
    ("broken.yaml", b"a: 'hunter2\n", "broken.yaml:2:1: not valid YAML"),
    ("helm.yaml", b"a: 1\nb: {{ .Values.hunter2 }}\n", "helm.yaml:2:5: a template, not YAML: render it first"),
    ("jinja.yaml", b"{% if hunter2 %}\na: 1\n", "jinja.yaml:1:2: a template, not YAML: render it first"),
    ("deep.yaml", b"[" * 30_000, "deep.yaml:1:151: nested too deeply"),
    ("deep.toml", b"a = 1\nb = " + b"[" * 30_000, "deep.toml:2:205: nested too deeply"),
    ("dotted.toml", b"x = 1\n[" + b"'a' . " * 300 + b"a]", "dotted.toml:2:1: nested too deeply"),
    ("latin.toml", b"A=1\nB='\xe9'\n", "latin.toml:2:4: not UTF-8"),
    (
        "data.bin",
        b"x",
        "data.bin: unknown type of file: add --as toml, prefect-toml, profiles, pyproject, env, dockerfile, makefile, systemd, supervisor, yaml, shell or python",
    ),
]


@pytest.mark.parametrize(("name", "source", "line"), BAD)
def test_bad_input(run, write, name, source, line):
    """A file that cannot be checked is one line and exit status 2, and the other files are checked."""
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    if source is not None:
        write(name, source)
    done = run("check", *V, name, write("config.toml", PIN))
    assert (done.code, done.ids) == (2, ["FS021"])
    assert done.err == line + "\n"
    assert "hunter2" not in done.err


def test_unknown_name_that_is_missing(run):
    """A missing file is reported as missing, whatever its name."""
    assert run("check", "nowhere").err == "nowhere: no such file or directory\n"


def test_github_without_a_line(run, write):
    """A finding about a whole file has no line."""
    done = run("check", *V, "--format", "github", write("a.toml", NO_LINE))
    assert done.out.startswith("::error file=a.toml,title=FS002::")


def test_shallow_or_deep_yaml(run, write):
    """A YAML file with many lists is read with the slow but safe parser."""
    pytest.importorskip("yaml")
    assert run("check", *V, write("long.yaml", "- [x]\n" * 2_000)).code == 0


def test_folder(run, tmp_path):
    """A folder whose name is that of a file is searched as any other."""
    (tmp_path / "d.toml").mkdir()
    assert run("check", "d.toml") == (0, "", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(run, write, tmp_path):
    """A file without read permission is reported in one line."""
    write("secret.env", "A=1")
    (tmp_path / "secret.env").chmod(0)
    assert run("check", "secret.env").err == "secret.env: permission denied\n"


def test_what_the_documentation_says(run, write):
    """`check` reports unquoted values, empty secrets, invalid flags, duplicate names and paths to missing files."""
    done = run("check", *V, write("unquoted.toml", "[context.secrets]\nKEY = VALUE\n"))
    assert done.out.endswith("; put the value in quotes: KEY = '...'\n")
    flag = write("flag.toml", "[cloud]\nuse_local_secrets = 'yes'\n[context.secrets]\nA = ''\n")
    assert run("check", *V, flag).ids == ["FS016", "FS038"]
    assert "counts as true" in run("check", *V, flag).out
    assert "counts as false" in run("check", "--prefect-version", "0.6.6", flag).out
    assert run("check", *V, write("ok.toml", "[cloud]\nuse_local_secrets = 'true'\n")).code == 0
    path = "PREFECT__USER_CONFIG_PATH"
    write("there.toml", CLEAN)
    assert run("check", *V, write(".env", f"{path}=/nowhere/x.toml\n{path}=~/there.toml\n")).ids == ["FS017"]
    assert f'{S}A = "$VARIABLE"' not in run("check", "--prefect-version", "0.6.6", write("a.env", f"{S}A=x\n")).out
    assert 'A = "$VARIABLE" in config.toml' in run("check", "--prefect-version", "0.6.6", "a.env").out


def test_a_name_twice_in_a_container(run, write):
    """A duplicate name in a list or table of variables is a finding; the same name in another container is not."""
    pytest.importorskip("yaml")
    one = f"{{name: {S}A, value: abcdefgh}}"
    text = f"a:\n- env: [{one}, {one}]\n- env:\n  - {one}\n  - {{name: X, value: a}}\n  - {{name: X, value: b}}\n"
    assert run("check", *V, write("a.yaml", text)).ids == ["FS056"]
    assert run("check", *V, write("b.yaml", f"env: {{{S}A: abcdefgh, {S}A: abcdefgi}}\n")).ids == ["FS056"]


def test_deep_names(run, write):
    """A name with thousands of parts breaks Prefect, not `check`; many dots and brackets break neither."""
    done = run("check", *V, write(".env", f"{S}{'A__' * 20_000}=x\n"))
    assert (done.code, done.ids, done.err) == (1, ["FS006", "FS015"], "")
    dots = "[context.secrets]\nA = 'ghp" + "." * 300 + "'\nB = '" + "[x." * 300 + "'\n"
    assert run("check", *V, write("config.toml", dots)) == (0, "", "")


def test_tags(run, write):
    """The value of an unknown tag, such as CloudFormation's, is unknown, but the name is checked."""
    pytest.importorskip("yaml")
    text = (
        f"env:\n  - name: {S}A\n    value: !Ref Token\n  - name: {S}items\n    value: !Ref 0000\n  - 5\n  - {{x: 1}}\n"
    )
    assert run("check", *V, write("cf.yaml", text)).ids == ["FS005"]


def test_usage(run):
    """Wrong arguments give exit status 2."""
    assert run("check").code == 2
    assert run("check", "--format", "xml", "x").code == 2
    assert run().code == 2


@pytest.mark.parametrize("arguments", [("--prefect-version", "2.0"), ("--python-version", "x")])
def test_versions(run, write, arguments):
    """An invalid version is one line and exit status 2."""
    done = run("check", *arguments, write("config.toml", CLEAN))
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
