"""These tests pass unchanged on Prefect 0.5 to 1.4 and on Prefect 3."""

import pytest
from report import report


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="x")
def test_marker():
    assert report() == "token x"


def test_rotation(local_secrets):
    local_secrets["GITHUB_ACCESS_TOKEN"] = "old"
    assert report() == "token old"
    local_secrets["GITHUB_ACCESS_TOKEN"] = "new"
    assert report() == "token new"
    assert local_secrets["GITHUB_ACCESS_TOKEN"] == "new"


def test_missing_secret(local_secrets):
    assert "GITHUB_ACCESS_TOKEN" not in local_secrets
    with pytest.raises(ValueError, match=r"(?i)github.access.token"):
        report()


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="x")
class TestIsolation:
    def test_change(self, local_secrets):
        del local_secrets["GITHUB_ACCESS_TOKEN"]
        assert not local_secrets

    def test_next_test_has_its_own_secrets(self, local_secrets):
        assert dict(local_secrets.items())
        assert report() == "token x"
