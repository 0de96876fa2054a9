"""A fixture of wider scope that a running test requests is set up outside the test's isolation."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("scope", ["session", "module", "class"])
def test_a_wider_fixture_never_sees_the_secrets_of_a_test(pytester, scope):
    """It sees the state without isolation, its declarations persist, and the test keeps its own changes."""
    pytester.makepyfile(
        f"""
        import os
        import pytest

        NAME = "PREFECT__CONTEXT__SECRETS__"

        @pytest.fixture(scope="{scope}")
        def wide():
            seen = {{name for name in os.environ if name.startswith(NAME)}}, os.environ["HOME"]
            os.environ["SET_BY_THE_FIXTURE"] = "x"
            yield seen
            assert not {{name for name in os.environ if name.startswith(NAME)}}

        HOME = os.environ["HOME"]

        class TestIt:
            @pytest.mark.secrets(own="first")
            def test_first(self, request, local_secrets):
                local_secrets["more"] = "added"
                home = os.environ["HOME"]
                assert request.getfixturevalue("wide") == (set(), HOME)
                assert dict(local_secrets) == {{"own": "first", "more": "added"}}
                assert os.environ["HOME"] == home != HOME
                local_secrets["own"] = "changed"
                assert local_secrets["own"] == "changed"

            @pytest.mark.secrets(own="second")
            def test_second(self, wide, local_secrets):
                assert wide == (set(), HOME)
                assert dict(local_secrets) == {{"own": "second"}}

            def test_third(self):
                assert os.environ["HOME"] == HOME
                assert os.environ["SET_BY_THE_FIXTURE"] == "x"
                assert not [name for name in os.environ if name.startswith(NAME)]
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=3)


def test_a_wider_fixture_that_fails(pytester):
    """After a failure of the fixture, the test's isolation is active again."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="session")
        def wide():
            raise LookupError

        @pytest.mark.secrets(own="value")
        def test_it(request, local_secrets):
            with pytest.raises(LookupError):
                request.getfixturevalue("wide")
            assert dict(local_secrets) == {"own": "value"}
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1)
