"""``flowsecrets check`` for calls in Python files that create deployments of Prefect 2.20 and 3."""

from __future__ import annotations

import pytest

V = ("--prefect-version", "3.4.25")
ENV = 'flow.deploy(job_variables={"env": {"A": %s}})\n'
BLOCK = '"{{ prefect.blocks.secret.a }}"'

# rule, layout, an expression that triggers it, one that does not
EXAMPLES = [
    ("FS083", ENV, '"{{ $HOST }}"', BLOCK),
    ("FS083", ENV, '"a" "{{$HOST}}"', '"a" "$HOST"'),
    ("FS083", ENV, 'f"{{{{ ${name} }}}}"', 'f"{{ ${name} }}"'),
    ("FS083", "flow.to_deployment('d', job_variables={'image': %s})\n", '"{{ $IMAGE }}"', '"{{ image }}"'),
    ("FS083", "run_deployment('f/d', job_variables={'env.A': %s})\n", '"{{ $A }}"', "a"),
    ("FS083", "flow.deploy(job_variables=dict(env=dict(A=%s)))\n", '"{{ $A }}"', 'text("{{ $A }}")'),
    ("FS083", "flow.deploy(job_variables={**{'env': [{'value': %s}]}, 'a': 1})\n", '"{{ $A }}"', '"{{ a }}"'),
    ("FS083", "x = %s\nENV: dict = {'A': x}\nflow.deploy(job_variables=base | {'env': ENV})\n", '"{{ $A }}"', "x"),
    ("FS083", "flow.deploy(parameters={'a': {'b': %s}})\n", BLOCK, '"{{ a }}"'),
    ("FS083", "import prefect_aws\nflow.aserve(parameters={'a': %s})\n", '"{{ $A }}"', '"{{ prefect }}"'),
    ("FS083", "Deployment.build_from_flow(f, infra_overrides={'env.A': %s})\n", '"{{ $A }}"', "1"),
    (
        "FS083",
        "from prefect.x import y\nserve(parameters={'a': %s})\n",
        '"{{ $A }}"',
        "{'__prefect_kind': 'a', 'b': '{{ $A }}'}",
    ),
    ("FS083", "%s\ndef f(env):\n  flow.deploy(job_variables=A)\n", 'A = "{{ $A }}"', 'env = A = B = "{{ $A }}"\nA = 1'),
    (
        "FS083",
        "def f(): return lambda: flow.deploy(job_variables=A)\n%s\n",
        "A = ['{{ $A }}']",
        "def g(): A = ['{{ $A }}']",
    ),
    ("FS083", "A = %s\nA += ''\nA: str\nclass B:\n  flow.deploy(job_variables=A)\n", "'{{ $A }}'", "'{{ a }}'"),
    ("FS070", ENV, '"{{ prefect.block.secret.a }}"', BLOCK),
    ("FS071", ENV, '"{{ prefect.blocks.secret.GH }}"', 'f"{{{{ prefect.blocks.secret.{name} }}}}"'),
    ("FS072", ENV, '"{{ prefect.variables.a }}"', 'f"{{{{ prefect.variables.{name} }}}}"'),
    ("FS070", ENV, "f'{a}{{{{ prefect.block.secret.a }}}}'", "f'{{{{ prefect.{a}.secret.a }}}}'"),
    ("FS071", ENV, "f'{{{{ prefect.blocks.secret.A }}}}'", "f'{{{{ prefect.blocks.secret.{a}_A }}}}'"),
    ("FS075", ENV, '"a{{ prefect.blocks.secret.a }}"', BLOCK),
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples(run, write, example):
    """A rule applies to its own case and not to a similar harmless one."""
    rule, layout, bad, good = example
    assert run("check", *V, write("deploy.py", layout % bad)).ids == [rule]
    assert run("check", *V, write("deploy.py", layout % good)).ids == []


@pytest.mark.parametrize(
    "code",
    [
        "render(job_variables={'env': {'A': '{{ $A }}'}})\n",  # not a function of Prefect
        "flow.deploy(description='{{ $A }}', name='{{ $B }}')\n",
        "A = '{{ $A }}'\nA = os.environ['A']\nflow.deploy(job_variables={'env': {'A': A}})\n",
        "a = b\nb = a\nflow.deploy(job_variables=a, name='{{ $A }}')\n",
        "def f(A): flow.deploy(job_variables=A)\ndef g(): A = '{{ $A }}'\n",
        "A = '{{ $A }}'\ndef f(A): flow.deploy(job_variables=A)\n",
        "def f(*, A): return lambda: flow.deploy(job_variables=A)\nA = '{{ $A }}'\n",
        "A = '{{ $A }}'\ndef f():\n  for A in B: flow.deploy(job_variables=A)\n",
        "A = '{{ $A }}'\ndef f():\n  try: a()\n  except B as A: flow.deploy(job_variables=A)\n",
        "A = '{{ $A }}'\ndef f():\n  global A\n  A = 1\nflow.deploy(job_variables=A)\n",
        "from a import A\ndef f(): A = '{{ $A }}'\nclass B:\n  A = '{{ $A }}'\n  def f(self): flow.deploy(job_variables=A)\n",
        "site.deploy(parameters={'title': '{{ $scope.title }}'})\n",
        "from .prefect import a\nimport flask\nsite.serve(parameters='{{ $scope.title }}')\n",
        "import prefect\nf.deploy(parameters={'t': {'__prefect_kind': 'jinja', 'template': '{{ prefect.variables.x }}'}})\n",
        "import prefect\nf.deploy(parameters=dict(t=dict(__prefect_kind='jinja', template=['{{ prefect.variables.x }}'])))\n",
        "TEMPLATE = '{{ $A }} {{ prefect.blocks.secret.NO }}'\n",
        "flow.deploy(job_variables={'A': b'{{ $A }}', 'B': None}, **{'parameters': '{{ $A }}'})\n",
    ],
)
def test_no_findings(run, write, code):
    """Texts that reach no deployment, and values that the code does not determine, have no findings."""
    assert run("check", write("deploy.py", code))[:2] == (0, "")


def test_places(run, write):
    """A finding has the line and the column of the template, also behind other characters and in a long text."""
    code = '\ufeffflow.deploy(\r\n  job_variables={"é": "€", "A": """\r\n    {{ $A }}"""},  # é\r\n)\r\n'
    done = run("check", write("deploy.py", code))
    assert done.out.startswith("deploy.py:3:5: error: FS083 A: only `prefect deploy` replaces")
    code = 'E = {"A": "{{ $A }}"}\n\n\nflow.deploy(job_variables={"env": E})\nrun_deployment("a/b", job_variables=E)\n'
    assert [line[:16] for line in run("check", write("deploy.py", code)).out.splitlines()] == ["deploy.py:1:12: "]


def test_advice(run, write):
    """The advice contains the name of the variable, and none if the code computes it."""
    assert "use os.environ['A'], whose" in run("check", write("deploy.py", ENV % "'{{ $A }}'")).out
    assert "use the value of os.environ, whose" in run("check", write("deploy.py", ENV % "f'{{{{ ${a} }}}}'")).out


def test_comments_and_fixes(run, write, tmp_path):
    """A comment silences a finding, and ``--fix`` writes the name of a block in lower case."""
    code = 'flow.deploy(job_variables={"A": "{{ $A }}"})  # flowsecrets: ignore[FS083] for a template of ours\n'
    assert run("check", write("deploy.py", code)).ids == []
    code = '\ufeffflow.deploy(job_variables={"é": f"{{{{ prefect.blocks.secret.GH }}}}"})\n'
    assert run("check", "--fix", write("deploy.py", code)).ids == []
    assert (tmp_path / "deploy.py").read_text("utf-8") == code.replace("GH", "gh")


def test_files_of_a_folder(run, write):
    """In a folder, only files with templates are parsed, and files that this Python cannot parse are skipped."""
    write("a/deploy.py", ENV % '"{{ $HOST }}"')
    write("a/tests.py", 'print "no Python 3", "{{ $HOST }}"\n')
    write("a/old.py", 'flow.deploy(job_variables="é {{ $A }}")\n'.encode("latin-1"))
    write("a/other.py", "this is no Python\n")
    done = run("check", "a", quiet=False)
    assert (done.code, done.ids) == (1, ["FS083"])
    assert "1 file" in done.err
    assert "skipped" not in done.err
    named = run("check", "a/tests.py", "a/other.py")
    assert (named.code, named.out) == (2, "")
    assert named.err.startswith("a/tests.py:1:") and "not Python that this interpreter can parse" in named.err
    assert len(named.err.splitlines()) == 1  # the other one has no templates
