"""Modules are rewritten where the meaning is sure; the rest of each file stays as it is."""

from __future__ import annotations

import ast

import pytest

from pytest_flowsecrets.migration.plan import block_name
from tests.compat import HAS_LIBCST, needs_libcst

if HAS_LIBCST:
    from pytest_flowsecrets.migration.rewrite import SourceModule

pytestmark = needs_libcst


class Names(dict):
    """The new name of every secret."""

    def get(self, name, default=""):
        return super().get(name, block_name(name) or default)


def rewrite(source, names=None, decoded=()):
    module = SourceModule("flow.py", source.encode())
    new, changes = module.rewrite(Names() if names is None else names, decoded)
    ast.parse(new)
    return new.decode(), changes


def by_hand(source, **options):
    new, changes = rewrite(source, **options)
    return new, [(change.line, change.reason) for change in changes if change.reason]


LOAD = "from prefect.blocks.system import Secret\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from prefect.client import Secret\nx = Secret('A_B').get()\n", LOAD + "x = Secret.load('a-b').get()\n"),
        (
            'from prefect.client.secrets import Secret as S\nx = S( name = "A_B" , ).get()  # c\n',
            LOAD + 'x = Secret.load( "a-b" , ).get()  # c\n',
        ),
        (
            "from prefect.client import Secret\nN: str = 'A_B'\nx = Secret(N).get()\n",
            LOAD + "N: str = 'A_B'\nx = Secret.load(\"a-b\").get()\n",
        ),
        (
            "from prefect.client import Secret\nN = 'A_B'\ndef f():\n    return Secret(N).get()\n",
            LOAD + "N = 'A_B'\ndef f():\n    return Secret.load(\"a-b\").get()\n",
        ),
        (
            "from prefect.client import (\n    Client,  # c\n    Secret,\n)\nx = (Secret('A')\n     .get())\n",
            "from prefect.client import (\n    Client,  # c\n)\n" + LOAD + "x = (Secret.load('a')\n     .get())\n",
        ),
        (
            "from prefect.client import (Client, Secret)\nx = Secret('A').get()\n",
            "from prefect.client import (Client)\n" + LOAD + "x = Secret.load('a').get()\n",
        ),
        (
            "from prefect.client import (\n    Secret,\n    Client)\nx = Secret('A').get()\n",
            "from prefect.client import (\n    Client)\n" + LOAD + "x = Secret.load('a').get()\n",
        ),
        (
            "from prefect.client import Client, Secret  # c\nx = Secret('A').get()\n",
            "from prefect.client import Client  # c\n" + LOAD + "x = Secret.load('a').get()\n",
        ),
        (
            "def f():\n    from prefect.client import Secret\n    return Secret('A').get()\n",
            "def f():\n    from prefect.blocks.system import Secret\n    return Secret.load('a').get()\n",
        ),
        (
            "import prefect\nx = prefect.client.Secret('A').get()\ny = prefect.context.secrets['B']\n",
            "import prefect\n" + LOAD + "x = Secret.load('a').get()\ny = Secret.load('b').get()\n",
        ),
        (
            "from prefect import context\ndef f():\n    return context.secrets.A_B, (context.secrets['x'])\n",
            "from prefect import context\n" + LOAD + "def f():\n"
            "    return Secret.load(\"a-b\").get(), (Secret.load('x').get())\n",
        ),
        (
            (
                "from prefect import Flow\nfrom prefect.tasks.secrets import PrefectSecret\n"
                "with Flow('f') as flow:\n    x = PrefectSecret('A')\n    y = PrefectSecret('B').run()\n"
            ),
            "from prefect import Flow\n" + LOAD + "with Flow('f') as flow:\n"
            "    x = Secret.load('a').get()\n    y = Secret.load('b').get()\n",
        ),
        (
            (
                "from prefect.tasks.secrets import EnvVarSecret\ndef f():\n    return EnvVarSecret('A')\n"
                "y = EnvVarSecret(name, raise_if_missing=True).run()\n"
            ),
            "import os\ndef f():\n    return os.environ.get('A')\ny = os.environ[name]\n",
        ),
        (
            "import os\nfrom prefect.tasks.secrets import EnvVarSecret\nx = EnvVarSecret(env_var='A').run()\n",
            "import os\nx = os.environ.get('A')\n",
        ),
        (
            (
                "from prefect.client import Secret\nfrom prefect.tasks.secrets import PrefectSecret\n"
                "def f():\n    return Secret('A').get(), PrefectSecret('A')\n"
            ),
            LOAD + "def f():\n    return Secret.load('a').get(), Secret.load('a').get()\n",
        ),
        (
            "from prefect.client import Secret\nfrom vault import Secret as Other\nx = Secret('A').get()\ny = Other()\n",
            LOAD + "from vault import Secret as Other\nx = Secret.load('a').get()\ny = Other()\n",
        ),
        (
            "import prefect\nx = f\"{prefect.context.secrets.A}\", f'{prefect.context.secrets.A}'\n",
            "import prefect\n" + LOAD + "x = f\"{Secret.load('a').get()}\", f'{Secret.load(\"a\").get()}'\n",
        ),
        (
            (
                "from prefect.client import Secret\nfrom prefect.tasks.secrets import EnvVarSecret\n"
                "x = EnvVarSecret(Secret('A').get() + EnvVarSecret('B').run()).run()\n"
            ),
            LOAD + "import os\nx = os.environ.get(Secret.load('a').get() + os.environ.get('B'))\n",
        ),
        (
            "from prefect.tasks.secrets import PrefectSecret\ndef f():\n    return (PrefectSecret('A')())\n",
            LOAD + "def f():\n    return (Secret.load('a').get())\n",
        ),
        (
            "import prefect\r\nx = prefect.context.secrets['A']\r\n",
            "import prefect\r\n" + LOAD[:-1] + "\r\nx = Secret.load('a').get()\r\n",
        ),
    ],
)
def test_rewritten(old, new):
    """Uses with constant names are rewritten together with their imports, and everything else is kept."""
    result, changes = rewrite(old)
    assert result == new
    assert changes
    assert not [change.reason for change in changes if change.reason]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Secret(name).get()", "not a constant"),
        ("Secret(f'{name}_X').get()", "not a constant"),
        ("Secret(TWICE).get()", "not a constant"),
        ("Secret('A')", "not read here"),
        ("Secret('A').exists()", "not read here"),
        ("Secret('A').get(1)", "more arguments"),
        ("Secret(*names).get()", "more arguments"),
        ("PrefectSecret('A', max_retries=2)", "more arguments"),
        ("PrefectSecret('A')", "during import"),
        ("EnvVarSecret('A')", "during import"),
        ("EnvVarSecret('A', cast=int)", "more arguments"),
        ("EnvVarSecret('A', raise_if_missing=flag)", "more arguments"),
        ("PrefectSecret('A')()", "during import"),
        ("PrefectSecret('A')(1)", "as a task"),
        ("PrefectSecret('A').set_upstream(t)", "as a task"),
        ("EnvVarSecret('A').copy()()", "as a task"),
        ("f\"{f'{prefect.context.secrets.B}'}\"", "both quotes"),
        ("Secret(LOCAL).get()", "not a constant"),
        ("Secret(COMPUTED).get()", "not a constant"),
        ("Secret(b'A').get()", "not a constant"),
        ("Secret()", "more arguments"),
        ("Secret('A', name='B').get()", "more arguments"),
        ("prefect.context.secrets[name]", "not a constant"),
        ("prefect.context.secrets[1:2]", "not a constant"),
        ("prefect.context.secrets.get('A')", "equivalent"),
        ("dict(prefect.context.secrets)", "equivalent"),
        ("prefect.context.secrets.A", "decodes"),
        ("[Secret]", "not read here"),
    ],
)
def test_by_hand(line, reason):
    """Other uses are listed with a reason, their lines and imports stay, and sure ones beside them are rewritten."""
    source = (
        "import prefect\nfrom prefect.client import Secret\n"
        "from prefect.tasks.secrets import EnvVarSecret, PrefectSecret\n"
        "if x: LOCAL = 'A'\nCOMPUTED = 'A'.upper()\n"
        f"TWICE = 'A'\nTWICE = 'B'\nx = {line}\ny = Secret('SURE').get(), EnvVarSecret('C').run(), PrefectSecret('D').run()\n"
    )
    new, reasons = by_hand(source, decoded=["A"])
    assert [number for number, _ in reasons] == [8]
    assert reason in reasons[0][1]
    assert f"x = {line}\n" in new
    local = "SecretBlock" if line.startswith(("Secret", "[Secret")) else "Secret"
    assert f"y = {local}.load('sure').get(), os.environ.get('C'), {local}.load('d').get()" in new
    for name in ("Secret", "EnvVarSecret", "PrefectSecret"):
        assert (f"import {name}\n" in new.replace(LOAD, "")) == line.startswith((name + "(", f"[{name}]"))


def test_a_module_that_needs_hands_fails_to_import_on_prefect_3():
    """The legacy import stays with a use that is left, or ``Secret(name)`` would make a block of the name itself."""
    new, _ = by_hand("from prefect.client import Secret\nx = Secret('A').get()\ny = Secret(name).get()\n")
    assert new.startswith(
        "from prefect.client import Secret\nfrom prefect.blocks.system import Secret as SecretBlock\n"
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("from prefect.client import Secret\n", "not used in this file"),
        ("import prefect.client.secrets\n", "does not have this module"),
        ("from prefect.tasks import secrets\n", "does not have this module"),
        ("from prefect.tasks.secrets import *\n", "does not have this module"),
        ("import prefect; from prefect.client import Secret; x = Secret('A').get()\n", "line of its own"),
        ("def f():\n    import prefect\n    return prefect.context.secrets['A']\n", "line of its own"),
        ("from prefect.client import *\n", "does not have this module"),
        ("import prefect\nx = prefect.context['secrets']['A']\n", "reach the secrets"),
        ("import prefect\nx = prefect.context.get('secrets', {})\n", "reach the secrets"),
        ("import prefect\nctx = prefect.context\nx = ctx.secrets['A']\n", "reach the secrets"),
        ("from prefect import context\nctx = context\n", "reach the secrets"),
        ("try: from prefect import context\nexcept E: from x import context\nctx = context\n", "reach the secrets"),
        ("import prefect\nprefect.context.secrets['A'] = 'x'\n", "overwrite=True"),
        ("import prefect\ndel prefect.context.secrets['A']\n", "overwrite=True"),
        ("import prefect\nprefect.context.secrets.A = 'x'\n", "overwrite=True"),
    ],
)
def test_imports_and_writes_by_hand(source, reason):
    """Imports without a use, combined lines and changes of the table are listed, and the file is unchanged."""
    new, reasons = by_hand(source)
    assert new == source
    assert reasons
    assert reason in reasons[0][1]


def test_an_import_without_a_use_has_its_place():
    """The place is the first character of the statement."""
    _, (change,) = rewrite("if x:\n    from prefect.client import Secret\n")
    assert (change.line, change.column, change.old) == (2, 5, "import of Secret")


def test_the_new_import_follows_that_of_prefect():
    """A use of ``prefect.context`` has no import of its own, so the new import comes after the one of Prefect."""
    new, _ = rewrite("import os\nimport prefect\nimport re\nx = prefect.context.secrets['A']\n")
    assert new == f"import os\nimport prefect\n{LOAD}import re\nx = Secret.load('a').get()\n"


@pytest.mark.parametrize(
    "line",
    [
        "def f(x=PrefectSecret('A')): pass",
        "@decorate(PrefectSecret('A'))\ndef f(): pass",
        "f = lambda x=PrefectSecret('A'): x",
        "class C(make(PrefectSecret('A'))): pass",
        "with open(PrefectSecret('A')) as file: pass",
        "with open('x') as file: x = PrefectSecret('A')",
        "with Flow('f', state=PrefectSecret('A')): pass",
    ],
)
def test_tasks_of_an_import_are_left(line):
    """Defaults, decorators, bases and other ``with`` statements run during import, so a task in them is left."""
    _, reasons = by_hand(f"from prefect.tasks.secrets import PrefectSecret\n{line}\n")
    assert "during import" in reasons[0][1]


def test_async_functions_are_left():
    """In an async function ``load`` returns a coroutine, so a use in it is left; one in a function inside is not."""
    source = (
        "from prefect.client import Secret\nasync def f():\n    x = Secret('A').get()\n"
        "    def g():\n        return Secret('A').get()\n"
    )
    new, reasons = by_hand(source)
    assert [(line, "await" in reason) for line, reason in reasons] == [(3, True)]
    assert "        return SecretBlock.load('a').get()" in new


def test_a_name_that_is_not_decided_is_left():
    """A secret whose new name collides is left until ``--rename`` decides."""
    source = "from prefect.client import Secret\nx = Secret('A').get()\n"
    new, reasons = by_hand(source, names={"A": ""})
    assert new == source
    assert "not decided" in reasons[0][1]


def test_other_classes_of_the_same_name_are_left():
    """Only the names of Prefect count: not a Secret of another package, of the module itself, or of Prefect 3."""
    for source in (
        "from vault import Secret\nprint('prefect', Secret('A').get())\n",
        "class Secret: pass\nprint('prefect', Secret('A').get())\n",
        "from prefect.blocks.system import Secret\nx = Secret.load('a').get()\n",
    ):
        assert rewrite(source) == (source, [])


def test_other_parts_of_the_context_are_left():
    """Other keys of `prefect.context` are no uses of secrets."""
    source = "import prefect\nx = prefect.context.logger, prefect.context['date'], prefect.context.get('today')\n"
    assert rewrite(source) == (source, [])


def test_rewriting_twice_changes_nothing_more():
    """A rewritten module has no more changes."""
    source = "import prefect\nfrom prefect.client import Secret\nx = Secret('A').get(), prefect.context.secrets['B']\n"
    new, _ = rewrite(source)
    assert rewrite(new) == (new, [])


def test_the_description_of_a_use_by_hand_shows_no_code():
    """A use that is left is described by its kind and the name of the secret, because the code may contain a value."""
    _, changes = rewrite("import prefect\nprefect.context.secrets['A'] = 'hunter2'\n")
    assert "hunter2" not in repr(changes)


def test_a_local_name_that_is_free():
    """The new class gets a name that the module does not use, however many it uses."""
    source = "from prefect.client import Secret\nSecretBlock = SecretBlock2 = 1\nx = Secret('A').get(), Secret\n"
    assert "import Secret as SecretBlock3\n" in rewrite(source)[0]


@pytest.mark.parametrize(("name", "local"), [("Secret", "Secret"), ("Secret as Block", "Block")])
def test_an_existing_import_of_the_new_class_is_used(name, local):
    """A module that has the new class already keeps its import and its name for it."""
    new = f"from prefect.blocks.system import {name}\n"
    source = f"{new}from prefect.client import Secret as Old\nx = Old('A').get()\n"
    assert rewrite(source)[0] == f"{new}x = {local}.load('a').get()\n"


def test_a_name_with_two_meanings_is_left():
    """A name that stands for the classes of both lines, after a `try`, is changed by hand."""
    source = f"try:\n    {LOAD}except ImportError:\n    from prefect.client import Secret\nx = Secret('A').get()\n"
    assert by_hand(source) == (source, [(5, "the name is imported from more than one place")])


def test_secrets_of_a_module():
    """The names and places of the secrets of a module are known before it is rewritten."""
    source = "from prefect.client import Secret\nx = Secret('A').get()\ny = Secret(name).get()\n"
    assert SourceModule("flow.py", source.encode()).secrets == [("A", "flow.py:2")]


PROJECT = '''\
#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""Nightly report.\tTabs and  odd   spacing stay."""
from __future__ import annotations

import logging, os
from datetime import timedelta   # unused, kept

import prefect
from prefect import Flow, Parameter, task
from prefect.client import Secret
from prefect.tasks.secrets import EnvVarSecret, PrefectSecret

LOG = logging.getLogger( __name__ )
WEBHOOK = "SLACK_WEBHOOK_URL"


@task(max_retries = 3,
      retry_delay=timedelta(minutes=1))
def notify(text, *, url = None):
    # the token is read late
    url = url or Secret( WEBHOOK ).get()   ; LOG.info('sent')
    if not url: raise ValueError("""no
        url""")
    return {'url':url, "user": prefect.context.secrets["MAIL_USER"]}


class Loader (object):
\tdef load(self):
\t\treturn Secret('DB_PASSWORD').get( )


with Flow( "report" ) as flow:
    token = PrefectSecret("GITHUB_ACCESS_TOKEN")
    notify("done", url=EnvVarSecret('OVERRIDE'))
\x0c
if __name__ == "__main__": flow.run()
'''
CHANGED = {
    11: ["from prefect.blocks.system import Secret"],
    12: [],
    22: ["    url = url or Secret.load( \"slack-webhook-url\" ).get()   ; LOG.info('sent')"],
    25: ['    return {\'url\':url, "user": Secret.load("mail-user").get()}'],
    30: ["\t\treturn Secret.load('db-password').get( )"],
    34: ['    token = Secret.load("github-access-token").get()'],
    35: ["    notify(\"done\", url=os.environ.get('OVERRIDE'))"],
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_formatting_of_a_project_round_trips(end):
    """In a module as people write them, only the lines with a use change, and those only where they have to."""
    source = PROJECT.replace("import logging, os", "import logging\nimport os").replace("\n", end)
    new, changes = rewrite(source)
    assert not [change for change in changes if change.reason]
    lines = source.split(end)
    shifted = {number + 1: text for number, text in CHANGED.items()}
    expected = [text for number, line in enumerate(lines, 1) for text in shifted.get(number, [line])]
    assert new.split(end) == expected
