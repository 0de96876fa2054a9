"""The plugin without Prefect, with another line of Prefect, and with old versions."""

from __future__ import annotations

import os

import pytest

from pytest_flowsecrets import UnsupportedPrefect
from pytest_flowsecrets.versions import require_supported
from tests.compat import VERSION


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Make child processes believe that a version of Prefect is installed, whose import fails."""

    def install(version):
        site = tmp_path / "site"
        info = site / f"prefect-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: prefect\nVersion: {version}\n")
        (site / "prefect.py").write_text("raise RuntimeError('imported')")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))

    return install


@pytest.mark.parametrize("version", ["2.19.9", "4.0.0", "0.5.4", "1.4.2"])
def test_another_line_of_prefect_is_one_clear_error_in_tests_that_ask(run_tests, installed, version):
    """The error names the version and the next step, and other tests run."""
    installed(version)
    result = run_tests(
        """
import pytest
from pytest_flowsecrets import UnsupportedPrefect, isolated_prefect

@pytest.mark.secrets(X="hunter2")
def test_marked(): pass

def test_fixture(local_secrets): pass

def test_by_hand():
    with pytest.raises(UnsupportedPrefect), isolated_prefect({"X": "x"}):
        pass

def test_bare(): pass
"""
    )
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [f"*::test_marked: Prefect {version} is installed, *only Prefect 0.5.5 to 1.4.1, 2.20 and 3: pip install *"]
    )
    assert "Traceback" not in result.stdout.str()
    assert "hunter2" not in result.stdout.str()
    result.stdout.fnmatch_lines([f"flowsecrets: prefect {version}, isolation=marked (default), leaks=mask (default)"])


def test_a_prefect_that_cannot_be_imported(run_tests, installed):
    """Tests that need Prefect fail with its own error, and the isolation ends."""
    installed("1.4.1")
    result = run_tests(
        """
import os
import pytest
from pytest_flowsecrets.isolation import stack

@pytest.mark.secrets(X="hunter2")
def test_marked(): pass

def test_after():
    assert stack.depth() == 0
    assert "hunter2" not in str(os.environ)
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*RuntimeError: imported"])
    assert "hunter2" not in result.stdout.str()


@pytest.mark.parametrize("version", ["0.5.5", "0.6.0", "0.15.13+1.gabc", "1.4.1", "1.4.1rc1", "1.0"])
def test_the_supported_line(version):
    """The oldest and newest versions, local versions, release candidates and short versions are accepted."""
    require_supported(version)


@pytest.mark.parametrize("version", ["0.5.4", "1.4.2", "2.0b1", "0.4", ""])
def test_outside_of_the_supported_line(version):
    """Other versions raise one clear error with the version."""
    with pytest.raises(UnsupportedPrefect, match=f"Prefect {version} is installed"):
        require_supported(version)


NONE = pytest.mark.skipif(VERSION is not None, reason="a Prefect is installed")


@NONE
def test_without_prefect_the_marker_and_local_secrets_still_work(run_tests):
    """Files, environment and mapping are set, and the model of Prefect 1.4.1 reads them."""
    result = run_tests(
        """
import os, subprocess, sys
import pytest

@pytest.mark.secrets({"my secret": 42, "A__B": "by file"}, TOKEN="x")
def test_it(local_secrets, prefect_home):
    assert dict(local_secrets) == {"A__B": "by file", "my secret": 42, "TOKEN": "x"}
    assert os.environ["PREFECT__CONTEXT__SECRETS__TOKEN"] == "x"
    local_secrets["Y"] = "y"
    local_secrets.setenv("Z", "z")
    del local_secrets["TOKEN"]
    assert sorted(local_secrets) == ["A__B", "Y", "Z", "my secret"]
    local_secrets.unsetenv("Z")
    local_secrets.write_config("[context.secrets]\\nF = 'f'\\n")
    assert local_secrets["F"] == "f"
    prefect_home.write_config({"context": {"secrets": {"F": "g"}}})
    assert local_secrets["F"] == "g"
    assert local_secrets.use_local_secrets is True
    local_secrets.use_local_secrets = False
    assert local_secrets.use_local_secrets is False
    local_secrets.reload()
    child = "import os; print(os.environ['PREFECT__CONTEXT__SECRETS__Y'], os.path.expanduser('~'))"
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["y", str(prefect_home.path.parent)]
    local_secrets.clear()
    assert dict(local_secrets) == {}

def test_after():
    assert not [name for name in os.environ if name.startswith("PREFECT__")]
""",
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=2)


@NONE
def test_without_prefect_the_model_types_warns_and_refuses(run_tests):
    """The model converts, warns and rejects like Prefect, and a read from Cloud raises an error."""
    result = run_tests(
        """
import pytest
from pytest_flowsecrets import PrefectNotInstalled, SecretChangedWarning, SecretRejected

def test_it(local_secrets):
    with pytest.warns(SecretChangedWarning, match="returns int; to keep the value, set it to exact"):
        local_secrets["PIN"] = "0000"
    assert local_secrets["PIN"] == 0
    with pytest.raises(SecretRejected, match="'items'"):
        local_secrets["items"] = "x"
    assert dict(local_secrets) == {"PIN": 0}
    local_secrets.write_config("[cloud]\\nuse_local_secrets = false\\n")
    assert local_secrets.use_local_secrets is False
    assert "PIN" in local_secrets.explain("PIN")
    local_secrets["BIG"] = "9" * 5000
    with pytest.raises((ValueError, OverflowError)):
        local_secrets["BIG"]

@pytest.mark.filterwarnings("error")
def test_plain_values(local_secrets):
    local_secrets.update(A="x", B=1, C=[1, {"a": 2.5}], D={"k": "v"})
    assert dict(local_secrets) == {"A": "x", "B": 1, "C": [1, {"a": 2.5}], "D": {"k": "v"}}
""",
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=2)
    old = """
import pytest
from pytest_flowsecrets import PrefectNotInstalled

def test_it(local_secrets):
    local_secrets["a"] = "x"
    local_secrets.use_local_secrets = False
    with pytest.raises(PrefectNotInstalled, match="from Prefect Cloud"):
        local_secrets["a"]
"""
    run_tests(old, "--flowsecrets-prefect-version=0.6.7").assert_outcomes(passed=1)


@NONE
def test_without_prefect_broken_toml_is_refused_too(run_tests):
    """Without Prefect, TOML 1.0 alone decides."""
    result = run_tests(
        """
import pytest
from pytest_flowsecrets import ConfigSyntaxError

def test_it(prefect_home):
    with pytest.raises(ConfigSyntaxError, match="config.toml:1:"):
        prefect_home.write_config("broken")
    assert list(prefect_home.path.iterdir()) == []
"""
    )
    result.assert_outcomes(passed=1)


@NONE
def test_without_prefect_what_needs_it_skips_and_says_what_to_install(run_tests):
    """A test that needs the real Prefect is skipped with the command to install it."""
    result = run_tests(
        """
import pytest
from pytest_flowsecrets import PrefectNotInstalled

def test_it(real_prefect):
    raise AssertionError("not run")

def test_strict(local_secrets):
    with pytest.raises(PrefectNotInstalled, match="strict=False"):
        local_secrets.write_config("broken", strict=False)
""",
        "-rs",
    )
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*real_prefect needs Prefect 0.5.5 to 1.4.1*pip install*flowsecrets?prefect?*"])


@NONE
@pytest.mark.parametrize(("version", "name"), [("0.6.6", "token"), ("0.6.7", "TOKEN")])
def test_without_prefect_a_version_says_whose_rules_count(run_tests, version, name):
    """``--flowsecrets-prefect-version`` and its ini key select the rules of the model."""
    source = f"""
def test_it(local_secrets):
    local_secrets.setenv("TOKEN", "x")
    assert dict(local_secrets) == {{"{name}": "x"}}
"""
    run_tests(source, f"--flowsecrets-prefect-version={version}").assert_outcomes(passed=1)
    run_tests(source, ini=f"[pytest]\nflowsecrets_prefect_version = {version}\n").assert_outcomes(passed=1)


def test_the_header_tells_what_was_found(run_tests):
    """The header shows the version of Prefect, and the settings with their sources."""
    version = ".".join(map(str, VERSION)) if VERSION else "not installed"
    result = run_tests("def test_it(): pass\n", "--flowsecrets-isolation=all")
    result.stdout.fnmatch_lines([f"flowsecrets: prefect {version}, isolation=all (command line), leaks=mask (default)"])
    result = run_tests(None, ini="[pytest]\nflowsecrets_isolation = all\nflowsecrets_prefect_version = 0.15.13\n")
    result.stdout.fnmatch_lines(
        [f"flowsecrets: prefect {version}, isolation=all (ini), prefect-version=0.15.13 (ini), leaks=mask (default)"]
    )


@pytest.mark.parametrize(
    ("arguments", "ini", "message"),
    [
        (["--flowsecrets-isolation=some"], None, "--flowsecrets-isolation: 'some' is not one of marked, all"),
        ([], "[pytest]\nflowsecrets_isolation = some\n", "flowsecrets_isolation: 'some' is not one of marked, all"),
        (
            ["--flowsecrets-prefect-version=latest"],
            None,
            "--flowsecrets-prefect-version: 'latest' is not a version such as *",
        ),
    ],
)
def test_wrong_settings(run_tests, arguments, ini, message):
    """A usage error names the setting, its value and the permitted values."""
    result = run_tests("def test_it(): pass\n", *arguments, ini=ini)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_an_empty_setting_in_the_ini_is_none(run_tests):
    """An ini key without a value counts as not set."""
    run_tests("def test_it(): pass\n", ini="[pytest]\nflowsecrets_isolation =\n").assert_outcomes(passed=1)


@pytest.mark.skipif(VERSION is None, reason="no Prefect in this environment")
def test_real_prefect_is_the_package_itself(real_prefect, local_secrets):
    """The fixture returns the package itself, isolated."""
    import prefect

    assert real_prefect is prefect
    local_secrets["X"] = "x"
    assert real_prefect.context.secrets["X"] == "x"
