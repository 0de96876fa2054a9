"""Mistakes that users make, each with the message that they must get.

``test_mistakes`` runs them, and ``docs/how-to/troubleshooting.md`` explains each of them under ``symptom``.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

MARK_FORM = r"write @pytest\.mark\.secrets\("
NOT_FOUND = "does not exist"


class Mistake(NamedTuple):
    """One mistake.

    Attributes:
        name: a unique word.
        symptom: the part of the message that the troubleshooting page quotes.
        source: the test module. It can call ``read(name)``, which reads a secret as a flow does.
        hints: regular expressions; the message must match all of them.
        line: ``legacy`` (Prefect 0.5.5 to 1.4.1), ``rest`` (2.20 and 3) or ``both``.
        since: the first release of Prefect with the feature.
        pytest_since: the first release of pytest with the feature.
        run: the kind of run: ``main``, ``strict`` (with strict markers) or an ini file of its own.
        files: names and texts of more files.
        passes: whether the test passes, because the mistake has been made harmless.
    """

    name: str
    symptom: str
    source: str
    hints: Sequence[str]
    line: str = "both"
    since: Tuple[int, ...] = ()
    pytest_since: Tuple[int, ...] = ()
    run: str = "main"
    files: Tuple[Tuple[str, str], ...] = ()
    passes: bool = False


MARKS = [
    Mistake(
        "mark_without_s",
        "the marker 'secret' does nothing",
        "@pytest.mark.secret(TOKEN='VALUE-1')\ndef test_it(): assert read('TOKEN')\n",
        ["is not isolated", "the marker 'secret' does nothing", MARK_FORM + "[Tt]"],
        line="legacy",
    ),
    Mistake(
        "mark_without_s_strict",
        "not found in `markers` configuration option",
        "@pytest.mark.secret(TOKEN='VALUE-1')\ndef test_it(): pass\n",
        ["'secret' not found in `markers`", "fix: write @pytest.mark.secrets"],
        run="strict",
    ),
    Mistake(
        "mark_with_one_text",
        "must be a mapping of names to values",
        "@pytest.mark.secrets('TOKEN')\ndef test_it(): pass\n",
        ["mapping of names to values, not str", MARK_FORM],
    ),
    Mistake(
        "mark_without_arguments",
        "which has no secrets",
        "@pytest.mark.secrets\ndef test_it(): assert read('TOKEN')\n",
        ["in this test, which has no secrets", MARK_FORM],
    ),
    Mistake(
        "mark_with_object",
        "the value must be text or JSON data",
        "@pytest.mark.secrets(TOKEN=object())\ndef test_it(): pass\n",
        ["'TOKEN': the value must be text or JSON data .*, not object"],
    ),
    Mistake(
        "mark_with_datetime",
        "the value must be text or JSON data",
        "import datetime\n@pytest.mark.secrets(TOKEN=datetime.datetime(2026, 1, 1))\ndef test_it(): pass\n",
        ["'TOKEN': the value must be text or JSON data .*, not datetime"],
    ),
    Mistake(
        "mark_with_number_as_name",
        "the name of a secret must be text",
        "@pytest.mark.secrets({1: 'VALUE-1'})\ndef test_it(): pass\n",
        ["the name of a secret must be text, not int"],
    ),
    Mistake(
        "mark_with_pairs",
        "must be a mapping of names to values",
        "@pytest.mark.secrets([('TOKEN', 'VALUE-1')])\ndef test_it(): pass\n",
        ["mapping of names to values, not list"],
    ),
    Mistake(
        "mark_with_two_mappings",
        "the secrets marker takes one mapping",
        "@pytest.mark.secrets({'A': 'a'}, {'B': 'b'})\ndef test_it(): pass\n",
        ["takes one mapping, or names, or both, but got 2 arguments"],
    ),
    Mistake(
        "mark_with_mapping_and_name",
        "takes precedence",
        "@pytest.mark.secrets({'token': 'VALUE-1'}, token='VALUE-2')\ndef test_it(): assert read('token') == 'VALUE-2'\n",
        [],
        passes=True,
    ),
    Mistake(
        "mark_on_fixture",
        "Marks cannot be applied to fixtures",
        "@pytest.fixture\n@pytest.mark.secrets(TOKEN='VALUE-1')\ndef token(): return 1\ndef test_it(token): pass\n",
        ["Marks cannot be applied to fixtures", "fix: put the marker on the test"],
        pytest_since=(9,),
    ),
    Mistake(
        "mark_above_fixture",
        "Marks cannot be applied to fixtures",
        "@pytest.mark.secrets(TOKEN='VALUE-1')\n@pytest.fixture\ndef token(): return 1\ndef test_it(token): pass\n",
        ["Marks cannot be applied to fixtures", "fix: put the marker on the test"],
        pytest_since=(9,),
    ),
]

MISSING = [
    Mistake(
        "name_with_typo",
        "is similar",
        "def test_it(local_secrets):\n    local_secrets['TOKEN'] = 'VALUE-1'\n    local_secrets['TOKN']\n",
        ["SecretNotFound: secret '(?i:tokn)' does not exist: did you mean '(?i:token)'", "'(?i:token)' is similar"],
    ),
    Mistake(
        "name_in_another_case",
        "only upper and lower case differ",
        "@pytest.mark.secrets(TOKEN='VALUE-1')\ndef test_it(): assert read('token')\n",
        [
            "'token' does not exist in this test, which has 'TOKEN'",
            "only upper and lower case differ",
            "ask for 'TOKEN'",
        ],
        line="legacy",
        since=(0, 6, 7),
    ),
    Mistake(
        "name_without_underscore",
        "a separator",
        "@pytest.mark.secrets(github_token='VALUE-1')\ndef test_it(): assert read('githubtoken')\n",
        ["'github.token' is similar: a separator"],
    ),
    Mistake(
        "name_with_dash",
        "a separator",
        "@pytest.mark.secrets(github_token='VALUE-1')\ndef test_it(): assert read('github-token')\n",
        ["'github_token' is similar: a separator .*differs"],
        line="legacy",
    ),
    Mistake(
        "block_in_upper_case",
        "only upper and lower case differ",
        "@pytest.mark.secrets(TOKEN='VALUE-1')\ndef test_it(): Secret.load('TOKEN')\n",
        [
            "'TOKEN' does not exist in this test, which has 'token'",
            "only upper and lower case differ",
            "ask for 'token'",
        ],
        line="rest",
    ),
    Mistake(
        "delete_missing",
        "SecretNotFound",
        "def test_it(local_secrets):\n    del local_secrets['TOKEN']\n",
        ["SecretNotFound: secret '(?i:token)' does not exist", "which has no secrets"],
    ),
    Mistake(
        "delete_missing_in_cloud",
        "did you mean",
        "def test_it(prefect_cloud):\n    prefect_cloud.secrets.set('TOKEN', 'VALUE-1')\n"
        "    prefect_cloud.secrets.delete('TOKENS')\n",
        [
            "SecretNotFound: secret 'TOKENS' does not exist: did you mean 'TOKEN'",
            "'TOKENS' does not exist in prefect_cloud, which has 'TOKEN'",
        ],
        line="legacy",
    ),
    Mistake(
        "rotate_missing",
        "SecretNotFound",
        "def test_it(local_secrets):\n    local_secrets.rotate('TOKEN', 'VALUE-1')\n",
        ["SecretNotFound: secret '(?i:token)' does not exist: set it first"],
    ),
    Mistake(
        "read_in_session_fixture",
        "runs outside the isolation of the test",
        "@pytest.fixture(scope='session')\ndef client(): return read('TOKEN')\n"
        "@pytest.mark.secrets(TOKEN='VALUE-1')\ndef test_it(client): pass\n"
        "@pytest.mark.secrets(TOKEN='VALUE-1')\ndef test_other(client): pass\n",
        [r"in the fixture 'client' \(scope session\), which runs outside", "fix: .*local_secrets_factory"],
        line="legacy",
    ),
    Mistake(
        "read_in_set_up_class",
        "runs outside the isolation of the test",
        "import unittest\n@pytest.mark.secrets(TOKEN='VALUE-1')\nclass TestIt(unittest.TestCase):\n"
        "    @classmethod\n    def setUpClass(cls): read('TOKEN')\n    def test_it(self): pass\n",
        ["in setUpClass, which runs outside the isolation", "fix: .*isolated_prefect"],
        line="legacy",
    ),
    Mistake(
        "read_in_set_up",
        "setUp",
        "import unittest\n@pytest.mark.secrets(TOKEN='VALUE-1')\nclass TestIt(unittest.TestCase):\n"
        "    def setUp(self): assert read('TOKEN') == 'VALUE-1'\n    def test_it(self): pass\n",
        [],
        passes=True,
    ),
    Mistake(
        "cloud_secret_outside_run",
        "Prefect asks Cloud for secrets only inside a flow run",
        "def test_it(prefect_cloud):\n    prefect_cloud.secrets.set('TOKEN', 'VALUE-1')\n    assert read('TOKEN')\n",
        ["prefect_cloud has it", "only inside a flow run", "fix: .*with prefect_cloud.flow_run"],
        line="legacy",
    ),
    Mistake(
        "secret_missing_in_cloud",
        NOT_FOUND,
        "import prefect\n@prefect.task\ndef use(): read('WEBHOOK')\n"
        "def test_it(prefect_cloud):\n    prefect_cloud.secrets.set('TOKEN', 'VALUE-1')\n"
        "    with prefect.Flow('f') as flow: use()\n"
        "    run = prefect_cloud.run(flow, in_process=True)\n    assert run.state.is_successful()\n",
        [
            "'WEBHOOK' does not exist in prefect_cloud, which has 'TOKEN'",
            r'fix: write prefect_cloud\.secrets\.set\("WEB',
        ],
        line="legacy",
        since=(0, 15),
    ),
    Mistake(
        "typo_of_cloud_secret",
        "is similar",
        "import prefect\n@prefect.task\ndef use(): read('TOKN')\n"
        "def test_it(prefect_cloud):\n    prefect_cloud.secrets.set('TOKEN', 'VALUE-1')\n"
        "    with prefect.Flow('f') as flow: use()\n"
        "    run = prefect_cloud.run(flow, in_process=True)\n    assert run.state.is_successful()\n",
        ["'TOKN' does not exist in prefect_cloud, which has 'TOKEN'", "'TOKEN' is similar", "fix: ask for 'TOKEN', or"],
        line="legacy",
        since=(0, 15),
    ),
    Mistake(
        "variable_of_ci",
        "is hidden",
        "@pytest.mark.secrets(OTHER='x')\ndef test_it(): assert read('CI_TOKEN')\n",
        [r"PREFECT__CONTEXT__SECRETS__CI_TOKEN \(from the environment of pytest\) is hidden", MARK_FORM],
        since=(0, 6, 7),
    ),
    Mistake(
        "variable_in_conftest",
        "conftest.py",
        "@pytest.mark.secrets(OTHER='x')\ndef test_it(): assert read('declared') == 'VALUE-1'\n",
        [],
        line="legacy",
        files=(("conftest.py", "import os\nos.environ['PREFECT__CONTEXT__SECRETS__declared'] = 'VALUE-1'\n"),),
        passes=True,
    ),
    Mistake(
        "variable_at_import_of_flow",
        "is hidden",
        "import flow_of_variable_at_import\n@pytest.mark.secrets(OTHER='x')\ndef test_it(): assert read('at_import')\n",
        [r"PREFECT__CONTEXT__SECRETS__at_import \(from the import of .*flow_of_var.*\) is hidden", "conftest.py"],
        line="legacy",
        files=(
            (
                "flow_of_variable_at_import.py",
                "import os\nos.environ.update({'PREFECT__CONTEXT__SECRETS__' + 'at_import': 'VALUE-1'})\n",
            ),
        ),
    ),
    Mistake(
        "variable_with_single_underscores",
        "Prefect does not read",
        "def test_it(local_secrets, monkeypatch):\n    monkeypatch.setenv('PREFECT_CONTEXT_SECRETS_TOKEN', 'VALUE-1')\n"
        "    local_secrets.reload()\n    assert read('TOKEN')\n",
        ["Prefect does not read PREFECT_CONTEXT_SECRETS_TOKEN", "fix: write "],
        since=(0, 6, 7),
    ),
    Mistake(
        "variable_without_s",
        "Prefect does not read",
        "def test_it(local_secrets, monkeypatch):\n    monkeypatch.setenv('PREFECT__CONTEXT__SECRET__TOKEN', 'VALUE-1')\n"
        "    local_secrets.reload()\n    assert read('TOKEN')\n",
        ["Prefect does not read PREFECT__CONTEXT__SECRET__TOKEN", "fix: write PREFECT__CONTEXT__SECRETS__TOKEN"],
        line="legacy",
        since=(0, 6, 7),
    ),
    Mistake(
        "variable_without_reload",
        "was set after Prefect had read its configuration",
        "def test_it(local_secrets, monkeypatch):\n"
        "    monkeypatch.setenv('PREFECT__CONTEXT__SECRETS__token', 'VALUE-1')\n    assert read('token')\n",
        ["PREFECT__CONTEXT__SECRETS__token was set after Prefect had read", r"local_secrets\.reload\(\)"],
        line="legacy",
    ),
    Mistake(
        "variable_in_unmarked_test",
        "was set after Prefect had read its configuration",
        "def test_it(monkeypatch):\n"
        "    monkeypatch.setenv('PREFECT__CONTEXT__SECRETS__token', 'VALUE-1')\n    assert read('token')\n",
        ["is not isolated", "PREFECT__CONTEXT__SECRETS__token was set after Prefect had read", "fix: use @pytest"],
        line="legacy",
    ),
    Mistake(
        "variable_on_prefect_3",
        "reads no secrets from variables",
        "def test_it(local_secrets, monkeypatch):\n"
        "    monkeypatch.setenv('PREFECT__CONTEXT__SECRETS__TOKEN', 'VALUE-1')\n    assert read('TOKEN')\n",
        [r"PREFECT__CONTEXT__SECRETS__TOKEN is set, but Prefect \S+ reads no secrets from variables", MARK_FORM],
        line="rest",
    ),
    Mistake(
        "wrong_table",
        "write it in [context.secrets]",
        "def test_it(local_secrets):\n    local_secrets.write_config(\"[secrets]\\ntoken = 'VALUE-1'\\n\")\n    read('token')\n",
        [r"sets it in \[secrets\]", r"write it in \[context.secrets\]"],
        line="legacy",
    ),
    Mistake(
        "failed_flow_run",
        NOT_FOUND,
        "from prefect import Flow, task\n@task\ndef load(): return read('TOKEN')\nwith Flow('f') as flow: load()\n"
        "@pytest.mark.secrets(TOKENS='VALUE-1')\n"
        "def test_it():\n    state = flow.run()\n    assert state.is_successful()\n",
        ["'TOKEN' does not exist in this test, which has '(?i:tokens)'", "'(?i:tokens)' is similar"],
        line="legacy",
        since=(0, 6, 0),
    ),
    Mistake(
        "failed_flow_run_3",
        NOT_FOUND,
        "from prefect import flow\n@flow\ndef load(): return read('TOKEN')\n"
        "@pytest.mark.secrets(TOKENS='VALUE-1')\n"
        "def test_it():\n    state = load(return_state=True)\n    assert state.is_completed()\n",
        ["'token' does not exist in this test, which has 'tokens'", "'tokens' is similar"],
        line="rest",
    ),
    Mistake(
        "inside_isolated_prefect",
        "is similar",
        "from pytest_flowsecrets import isolated_prefect\n"
        "def test_it():\n    with isolated_prefect({'tokens': 'VALUE-1'}):\n        read('token')\n",
        ["'token' does not exist in this test, which has 'tokens'", "'tokens' is similar"],
    ),
]

FIXTURES = [
    Mistake(
        "session_fixture_with_local_secrets",
        "ScopeMismatch",
        "@pytest.fixture(scope='session')\ndef client(local_secrets): return local_secrets\ndef test_it(client): pass\n",
        ["ScopeMismatch", "fix: use local_secrets_factory"],
    ),
    Mistake(
        "class_fixture_with_cloud",
        "ScopeMismatch",
        "@pytest.fixture(scope='class')\ndef cloud(prefect_cloud): return prefect_cloud\ndef test_it(cloud): pass\n",
        ["ScopeMismatch", "fix: make the fixture function-scoped, because prefect_cloud belongs to one test"],
    ),
    Mistake(
        "secrets_kept_after_test",
        "this isolation has ended",
        "KEPT = []\ndef test_first(local_secrets): KEPT.append(local_secrets)\n"
        "def test_it(): KEPT[0]['TOKEN'] = 'VALUE-1'\n",
        ["IsolationEnded: this isolation has ended: use local_secrets and prefect_home only in their own test"],
    ),
    Mistake(
        "fixture_with_typo",
        "fixture 'local_secret' not found",
        "def test_it(local_secret): pass\n",
        ["fixture 'local_secret' not found", "fix: request the fixture 'local_secrets'"],
    ),
    Mistake(
        "given_with_fixture",
        "FailedHealthCheck",
        "from hypothesis import given, strategies as st\n@given(x=st.integers())\ndef test_it(local_secrets, x): pass\n",
        ["[Ff]unction-scoped fixture 'local_secrets'", "fix: .*isolated_prefect"],
    ),
    Mistake(
        "full_name_of_variable",
        "is the name of a variable",
        "def test_it(local_secrets):\n    local_secrets['PREFECT__CONTEXT__SECRETS__TOKEN'] = 'VALUE-1'\n",
        ["'PREFECT__CONTEXT__SECRETS__TOKEN' is the name of a variable: use the name of the secret, 'TOKEN'"],
    ),
    Mistake(
        "setenv_with_number",
        "cannot be set to an int",
        "def test_it(local_secrets):\n    local_secrets.setenv('TOKEN', 42)\n",
        ["cannot be set to an int .* must be text"],
        line="legacy",
    ),
    Mistake(
        "setenv_on_prefect_3",
        "is for Prefect 0.5.5 to 1.4.1",
        "def test_it(local_secrets):\n    local_secrets.setenv('TOKEN', 'VALUE-1')\n",
        [r"local_secrets\.setenv is for Prefect 0\.5\.5 to 1\.4\.1"],
        line="rest",
    ),
]

VALUES = [
    Mistake(
        "number_as_text",
        "set it to exact(value)",
        "@pytest.mark.secrets(token='12345678')\ndef test_it(): assert read('token') == '12345678'\n",
        [r"SecretChangedWarning.*the test set str, Secret.* returns int; .*exact\(value\)"],
        since=(0, 11, 0),
    ),
    Mistake(
        "json_as_text",
        "set it to exact(value)",
        "@pytest.mark.secrets(token='[\"VALUE-1\"]')\ndef test_it(): assert read('token') == '[\"VALUE-1\"]'\n",
        [r"SecretChangedWarning.*the test set str, Secret.* returns .*; .*exact\(value\)"],
        line="legacy",
        since=(0, 11, 0),
    ),
    Mistake(
        "number_as_key",
        "JSON has text keys only",
        "@pytest.mark.secrets(token={1: 'VALUE-1'})\ndef test_it(): pass\n",
        ["SecretChangedWarning.*JSON has text keys only"],
        line="legacy",
    ),
    Mistake(
        "exact_number",
        "exact() takes text",
        "from pytest_flowsecrets import exact\n@pytest.mark.secrets(token=exact(4711))\ndef test_it(): pass\n",
        [r"exact\(\) takes text, not int: write exact\(str\(value\)\)"],
    ),
]

FILES = [
    Mistake(
        "key_twice",
        "`import prefect` would fail",
        'def test_it(prefect_home):\n    prefect_home.write_config("""[context.secrets]\nA = \'x\'\nA = \'y\'\n""")\n',
        ["ConfigSyntaxError: .*config.toml:3:.*`import prefect` would fail"],
        line="legacy",
    ),
    Mistake(
        "mixed_list",
        "the parser of Prefect",
        'def test_it(prefect_home):\n    prefect_home.write_config("""[context.secrets]\nA = [1, \'x\']\n""")\n',
        ["ConfigSyntaxError: .*config.toml:2:1: TOML 1.0 allows this, but the parser of Prefect"],
        line="legacy",
    ),
    Mistake(
        "path_as_text",
        "not a path",
        "def test_it(prefect_home):\n    prefect_home.write_config('deploy/config.toml')\n",
        [r"write_config takes TOML text or a mapping, not a path: pass Path\(\.\.\.\)\.read_text\(\)"],
        line="legacy",
    ),
    Mistake(
        "none_in_mapping",
        "cannot be written as TOML",
        "def test_it(prefect_home):\n    prefect_home.write_config({'context': {'secrets': {'A': None}}})\n",
        ["the mapping cannot be written as TOML .*not None"],
        line="legacy",
    ),
    Mistake(
        "missing_template",
        "no such file or directory",
        "def test_it(flow_environment):\n"
        "    flow_environment('kubernetes', job_template='nope.yaml', prefect_version='1.4.1')\n",
        ["UsageError: nope.yaml: no such file or directory"],
        line="legacy",
    ),
]

OTHERS = [
    Mistake(
        "unknown_route",
        "is not a route",
        "@pytest.mark.secrets(token='VALUE-1')\n@pytest.mark.secret_routes('kubernetes')\ndef test_it(secret_route): pass\n",
        ["'kubernetes' is not a route; did you mean agent:kubernetes or run_config:kubernetes"],
        line="legacy",
    ),
    Mistake(
        "routes_without_secrets",
        "is not a route",
        "@pytest.mark.secret_routes('nowhere')\ndef test_it(): pass\n",
        ["'nowhere' is not a route"],
    ),
    Mistake(
        "routes_without_fixture",
        "secret_route",
        "@pytest.mark.secrets(token='VALUE-1')\n@pytest.mark.secret_routes('env')\n"
        "def test_it(): assert read('token') == 'VALUE-1'\n",
        [],
        line="legacy",
        passes=True,
    ),
    Mistake(
        "route_without_mark",
        "needs a test with a secret_routes marker",
        "def test_it(secret_route): pass\n",
        ["the fixture secret_route needs a test with a secret_routes marker"],
    ),
    Mistake(
        "variables_on_prefect_1",
        "the variables marker needs Prefect 2.20 or 3",
        "@pytest.mark.variables(region='eu')\ndef test_it(): pass\n",
        ["the variables marker needs Prefect 2.20 or 3, and Prefect .* is installed"],
        line="legacy",
    ),
    Mistake(
        "read_from_cloud_mapping",
        "is write-only",
        "def test_it(prefect_cloud):\n    prefect_cloud.secrets.set('TOKEN', 'VALUE-1')\n    prefect_cloud.secrets['TOKEN']\n",
        [r"WriteOnlySecret: secret 'TOKEN' is write-only, .*prefect_cloud\.secrets\.holds"],
        line="legacy",
    ),
    Mistake(
        "fault_on_unknown_operation",
        "is not a root field",
        "def test_it(prefect_cloud):\n    prefect_cloud.faults.status(503, on='set_secrets')\n",
        ["on='set_secrets' is not a root field of Prefect Cloud: similar ones are set_secret"],
        line="legacy",
    ),
    Mistake(
        "fault_with_text",
        "faults",
        "def test_it(prefect_cloud):\n    prefect_cloud.faults.status('503')\n",
        ["UsageError: .*503|UsageError: .*status"],
        line="legacy",
    ),
    Mistake(
        "run_with_unknown_agent",
        "is not an agent",
        "from prefect import Flow\ndef test_it(prefect_cloud):\n    prefect_cloud.run(Flow('f'), agent='k8s')\n",
        ["'k8s' is not an agent: choose one of local, docker, kubernetes, ecs"],
        line="legacy",
    ),
    Mistake(
        "run_without_flow",
        "run() takes a Prefect flow",
        "def test_it(prefect_cloud):\n    prefect_cloud.run('flow.py')\n",
        [r"run\(\) takes a Prefect flow, not a str"],
        line="legacy",
        since=(0, 14, 0),
    ),
    Mistake(
        "run_with_lock",
        "cannot be pickled for its storage",
        "from prefect import Flow, task\nimport threading\nlock = threading.Lock()\n@task\n"
        "def use(): return lock.locked()\nwith Flow('f') as flow: use()\n"
        "def test_it(prefect_cloud):\n    prefect_cloud.run(flow)\n",
        ["UsageError: the flow 'f' cannot be pickled for its storage: .*; create such objects inside a task"],
        line="legacy",
        since=(0, 14, 0),
    ),
    Mistake(
        "environment_of_unknown_agent",
        "is not an agent",
        "def test_it(flow_environment):\n    flow_environment('k8s', job_template={}, prefect_version='1.4.1')\n",
        ["'k8s' is not an agent: choose one of local, docker, kubernetes, ecs"],
        line="legacy",
    ),
    Mistake(
        "time_in_words",
        "is not a valid time",
        "def test_it(flow_clock):\n    flow_clock.move_to('tomorrow')\n",
        ["'tomorrow' is not a valid time; use 2026-01-31T08:00:00"],
        line="legacy",
    ),
    Mistake(
        "clock_on_prefect_3",
        "is for Prefect 0.5.5 to 1.4.1",
        "def test_it(flow_clock): pass\n",
        ["flow_clock is for Prefect 0.5.5 to 1.4.1"],
        line="rest",
    ),
    Mistake(
        "printed_secret",
        "do not print or log it",
        "@pytest.mark.secrets(token='VALUE-1-VALUE')\ndef test_it(): print('token is', read('token'))\n",
        ["secret (?i:token), raw, in captured stdout", "fix: do not print or log it"],
        run="strict",
    ),
    Mistake(
        "unknown_ini_key",
        "flowsecrets_leak",
        "def test_it(): pass\n",
        ["flowsecrets_leak is not an option: did you mean flowsecrets_leaks"],
        run="strict",
        passes=True,
    ),
    Mistake(
        "unknown_leaks_mode",
        "is not one of fail, warn, mask, off",
        "def test_it(): pass\n",
        ["flowsecrets_leaks: 'error' is not one of fail, warn, mask, off"],
        run="flowsecrets_leaks = error",
    ),
    Mistake(
        "unknown_isolation",
        "is not one of marked, all",
        "def test_it(): pass\n",
        ["flowsecrets_isolation: 'everything' is not one of marked, all"],
        run="flowsecrets_isolation = everything",
    ),
]

MISTAKES = [*MARKS, *MISSING, *FIXTURES, *VALUES, *FILES, *OTHERS]
