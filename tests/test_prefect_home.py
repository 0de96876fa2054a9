"""``prefect_home``: a private ``~/.prefect`` that Prefect reads, and the handling of broken files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_flowsecrets import ConfigSyntaxError, SecretRejected, TomlDialectWarning, UsageError
from tests.compat import VERSION, needs_prefect

pytestmark = needs_prefect


def test_it_is_what_the_tilde_means(prefect_home):
    """``~/.prefect`` refers to the private folder in this process, in Prefect and in children."""
    assert prefect_home.path == Path("~/.prefect").expanduser()
    child = [sys.executable, "-c", "import os; print(os.path.expanduser('~/.prefect'))"]
    assert subprocess.run(child, capture_output=True, text=True, check=True).stdout.strip() == str(prefect_home.path)
    if VERSION >= (0, 6, 1):
        import prefect

        assert prefect.config.home_dir == str(prefect_home.path)


def test_files_are_readable_by_the_owner_only(prefect_home):
    """Files have mode 0600, folders have mode 0700, and no temporary file is left."""
    path = prefect_home.write_config("[context.secrets]\nA = 'a'\n")
    prefect_home.write_backend("")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(prefect_home.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(prefect_home.path.parent.stat().st_mode) == 0o700
    assert sorted(os.listdir(prefect_home.path)) == ["backend.toml", "config.toml"]


def test_a_text_and_a_mapping_give_the_same(prefect_home, local_secrets):
    """A text and a mapping of the whole file have the same effect."""
    prefect_home.write_config("debug = true\n[context.secrets]\n'my secret' = 42\n")
    first = dict(local_secrets)
    prefect_home.write_config({"debug": True, "context": {"secrets": {"my secret": 42}}})
    assert dict(local_secrets) == first == {"my secret": 42}
    import prefect

    assert prefect.config.debug is True


def test_the_backend_file_beats_the_config_file(prefect_home, local_secrets):
    """From 0.10.0 on, backend.toml overrides config.toml."""
    prefect_home.write_config("[context.secrets]\nA = 'config'\n")
    prefect_home.write_backend("[context.secrets]\nA = 'backend'\n")
    assert local_secrets["A"] == ("backend" if VERSION >= (0, 10, 0) else "config")


def test_writing_again_replaces_the_file(prefect_home, local_secrets):
    """A second write removes the settings of the first one."""
    prefect_home.write_config("[context.secrets]\nA = 'a'\nB = 'b'\n")
    prefect_home.write_config("[context.secrets]\nB = 'c'\n")
    assert dict(local_secrets) == {"B": "c"}


@pytest.mark.secrets(A="from the mark")
def test_the_mark_is_stronger_than_the_file(local_secrets):
    """The mark sets a variable, which overrides the config file."""
    local_secrets.write_config("[context.secrets]\nA = 'file'\nB = 'b'\n")
    assert dict(local_secrets) == {"A": "from the mark", "B": "b"}


BROKEN = "[context.secrets]\nA = 'good'\nTOKEN = \"hunter2 hunter2\nB = 'also'\n"


def test_broken_toml_is_refused_before_prefect_sees_it(prefect_home, local_secrets):
    """One clear error shows file, line, column and an excerpt without values."""
    prefect_home.write_config("[context.secrets]\nKEPT = 'kept'\n")
    with pytest.raises(ConfigSyntaxError) as caught:
        prefect_home.write_config(BROKEN)
    error = caught.value
    message = str(error)
    assert error.path == str(prefect_home.path / "config.toml")
    assert (error.line, error.column) == (3, 25)
    assert message.startswith(f"{error.path}:3:25: ")
    assert "TOKEN =" in message
    for value in ("good", "hunter2", "also"):
        assert value not in message
    assert (prefect_home.path / "config.toml").read_text() == "[context.secrets]\nKEPT = 'kept'\n"
    assert dict(local_secrets) == {"KEPT": "kept"}


def test_what_prefect_itself_does_with_a_broken_file(local_secrets, prefect_home):
    """``strict=False`` raises Prefect's own error, here and in a child, until a valid file replaces it."""
    import toml

    with pytest.raises(toml.TomlDecodeError):
        local_secrets.write_config(BROKEN, strict=False)
    child = subprocess.run([sys.executable, "-W", "ignore", "-c", "import prefect"], capture_output=True, text=True)
    assert child.returncode == 1
    assert "toml" in child.stderr.lower()
    local_secrets.write_config("[context.secrets]\nA = 'a'\n")
    assert dict(local_secrets) == {"A": "a"}


def test_the_traceback_of_a_broken_file_leads_through_prefects_parser(local_secrets):
    """``strict=False`` shows the frames of Prefect and ``toml`` without arguments that hold values."""
    with pytest.raises(Exception, match="line 2") as caught:
        local_secrets.write_config("[context.secrets]\nKEY = VALUE\n", strict=False)
    files = [str(entry.path) for entry in caught.traceback]
    assert any(path.endswith(os.path.join("toml", "decoder.py")) for path in files)
    assert any(path.endswith(os.path.join("prefect", "configuration.py")) for path in files)
    ours = [path for path in files if "pytest_flowsecrets" in path]
    assert [os.path.basename(path) for path in ours] in (["safe_errors.py"], ["safe_errors.py", "safe_errors.py"])


def test_toml_that_only_prefects_parser_refuses_is_refused(local_secrets):
    """Arrays of mixed types are valid TOML 1.0, but ``toml`` 0.10.2 rejects them."""
    with pytest.raises(ConfigSyntaxError, match=r"toml 0\.10\.2.*does not") as caught:
        local_secrets.write_config("[context.secrets]\nA = 'a'\nMIXED = [1, 'hunter2']\n")
    assert "hunter2" not in str(caught.value)


def test_toml_that_prefect_reads_differently_is_read_so_and_told(local_secrets):
    """A warning says that ``toml`` 0.10.2 drops the quotes of a text of two quotes."""
    with pytest.warns(TomlDialectWarning, match=r"context\.secrets\.QUOTES differently"):
        local_secrets.write_config('[context.secrets]\nQUOTES = "\\"\\""\nB = "b"\n')
    assert local_secrets["QUOTES"] == ""
    with pytest.warns(TomlDialectWarning) as caught:
        local_secrets.write_config("[context.secrets]\na . b = 'hunter2'\n")
    assert dict(local_secrets["a "]) == {"b": "hunter2"}
    assert [str(warning.message).split(" the key ")[1].split(" ")[0] for warning in caught] == [
        "context.secrets.a",
    ]
    assert not any("hunter2" in str(warning.message) for warning in caught)


def test_toml_that_is_none_but_that_prefect_reads_is_read_and_told(local_secrets):
    """A bare non-ASCII key, which only ``toml`` 0.10.2 accepts, causes a warning."""
    with pytest.warns(TomlDialectWarning, match=r":2:3: the key clé is not valid TOML 1\.0"):
        local_secrets.write_config("[context.secrets]\nclé = 'hunter2'\n")
    assert dict(local_secrets) == {"clé": "hunter2"}


@pytest.mark.parametrize("wrong", [b"bytes", 5, None, ["list"], {"a": None}, {"a": object()}])
def test_what_is_neither_text_nor_mapping_is_a_usage_error(prefect_home, wrong):
    """Other types raise a usage error, and nothing is written."""
    with pytest.raises(UsageError):
        prefect_home.write_config(wrong)
    assert os.listdir(prefect_home.path) == []


def test_a_file_that_prefect_refuses_for_its_keys_is_taken_back(prefect_home, local_secrets):
    """A file with the name of a method of Prefect's config class is rejected and restored."""
    if VERSION < (0, 6, 0):
        pytest.skip("0.5 takes every name")
    with pytest.raises(SecretRejected):
        prefect_home.write_config("[context.secrets]\nitems = 'hunter2'\n")
    assert os.listdir(prefect_home.path) == []
    prefect_home.write_config("[context.secrets]\nA = 'a'\n")
    with pytest.raises(SecretRejected) as caught:
        prefect_home.write_config("[context.secrets]\nitems = 'hunter2'\n")
    assert "hunter2" not in str(caught.value)
    assert dict(local_secrets) == {"A": "a"}


@pytest.mark.parametrize("strict", [True, False])
def test_a_file_in_the_place_of_the_folder(prefect_home, local_secrets, strict):
    """`write_config` raises one clear error if the test has replaced `~/.prefect` by a file, and changes nothing."""
    local_secrets["lower"] = "x"
    prefect_home.path.rmdir()
    prefect_home.path.write_text("not a folder")
    with pytest.raises(UsageError) as caught:
        local_secrets.write_config("[context.secrets]\nA = 'a'\n", strict=strict)
    assert str(caught.value) == (
        f"{prefect_home.path} is not a folder: the test has replaced it; remove it before you write config.toml"
    )
    assert prefect_home.path.read_text() == "not a folder"
    assert dict(local_secrets) == {"lower": "x"}


def test_line_ends_of_windows(local_secrets):
    r"""A file with CRLF gives ``\n`` inside a multi-line text, as in Prefect."""
    local_secrets.write_config("[context.secrets]\r\nA = '''x\r\ny'''\r\n")
    assert local_secrets["A"] == "x\ny"


def test_the_repr_names_the_folder_only(prefect_home):
    """The repr shows the folder and none of its contents."""
    prefect_home.write_config("[context.secrets]\nA = 'hunter2'\n")
    assert "hunter2" not in repr(prefect_home)


def test_while_the_file_is_broken_a_secret_that_needs_a_file_is_refused(local_secrets):
    """Each attempt raises one clear error until the file is valid."""
    with pytest.raises(Exception, match=r"(?i)unbalanced|quotes|toml"):
        local_secrets.write_config(BROKEN, strict=False)
    for _ in range(2):
        with pytest.raises(ConfigSyntaxError, match=r"config\.toml: the file is not TOML that Prefect can read; "):
            local_secrets["A__B"] = "v"
    local_secrets.write_config("")
    local_secrets["A__B"] = "v"
    assert dict(local_secrets) == {"A__B": "v"}


def test_a_new_file_restores_a_deleted_secret(local_secrets):
    """A deleted secret exists again if the test writes a file that defines it."""
    text = "[context.secrets]\nlower = 'x'\n"
    local_secrets.write_config(text)
    del local_secrets["lower"]
    assert dict(local_secrets) == {}
    local_secrets.write_config(text)
    assert dict(local_secrets) == {"lower": "x"}


def test_a_refused_file_leaves_the_path_that_the_test_had_set(local_secrets, monkeypatch, tmp_path):
    """A rejected file does not change the path that the test has set."""
    if VERSION < (0, 6, 0):
        pytest.skip("0.5 takes every name")
    own = tmp_path / "own.toml"
    own.write_text("[context.secrets]\nOWN = 'own'\n")
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(own))
    local_secrets.reload()
    with pytest.raises(SecretRejected):
        local_secrets.write_config("[context.secrets]\nitems = 'x'\n")
    local_secrets["X"] = "x"
    assert dict(local_secrets) == {"OWN": "own", "X": "x"}
