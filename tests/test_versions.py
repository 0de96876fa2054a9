"""Versions of Prefect are read in one place, by the rules of PEP 440."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_flowsecrets.errors import UnknownPrefectVersion
from pytest_flowsecrets.resolution.dialects import dialect_for
from pytest_flowsecrets.versions import release_of
from tests.compat import VERSION


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("0.14.5", (0, 14, 5)),
        ("v0.14.5", (0, 14, 5)),
        ("1.4", (1, 4, 0)),
        ("1.0rc1", (1, 0, 0)),
        ("1.4.1rc1", (1, 4, 1)),
        ("0.15.13+7.gabc", (0, 15, 13)),
        ("0.15.13+7.gabc.dirty", (0, 15, 13)),
        ("0.14.0.post1", (0, 14, 0)),
    ],
)
def test_release_of_a_version(version, release):
    """A version is reduced to the three numbers of its release, whatever suffix it has."""
    assert release_of(version) == release


@pytest.mark.parametrize("version", ["", "1", "D4", "0.14.x", "0.14.5.1", "1!0.14.5", "latest", "0." + "1" * 5_000])
def test_text_that_is_not_a_version_of_prefect(version):
    """Any other text raises an error that names the text."""
    with pytest.raises(UnknownPrefectVersion):
        release_of(version)


@pytest.mark.parametrize("version", ["1.0rc1", "0.14.0rc2", "1.4"])
def test_versions_without_three_numbers_have_a_dialect(version):
    """The model accepts release candidates and short versions; both have the rules of their release."""
    assert dialect_for(version).version == ".".join(map(str, release_of(version)))


CLOUD = """
from prefect.client import Secret
from pytest_flowsecrets import FakeCloud

with FakeCloud(secrets={"TOKEN": "x"}) as cloud, cloud.flow_run():
    assert Secret("TOKEN").get() == "x"
"""


@pytest.mark.slow
@pytest.mark.skipif(VERSION is None or VERSION < (0, 15, 0), reason="a release candidate of a Prefect with API keys")
@pytest.mark.parametrize("version", ["1.0rc1", "0.15.0rc1"])
def test_fake_cloud_under_a_release_candidate(version, tmp_path):
    """The fake Cloud serves an installed release candidate; its metadata is all that differs from the release here."""
    folder = tmp_path / f"prefect-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: prefect\nVersion: {version}\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    subprocess.run([sys.executable, "-c", CLOUD], env={**os.environ, "PYTHONPATH": path}, check=True)
