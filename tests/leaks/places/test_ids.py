"""Ids of parameters: in progress, durations, the cache, names of temporary folders and names in JUnit."""

import pytest
from conftest import CHOSEN
from disguises import FORMS, name_of, value_of


def _params(place):
    return [
        pytest.param(
            FORMS[form][1](value_of(place, form)),
            marks=pytest.mark.secrets({name_of(place, form): value_of(place, form)}),
        )
        for form in CHOSEN
    ]


@pytest.mark.parametrize("text", _params("id"))
def test_id(text, tmp_path):
    (tmp_path / "file").write_text("")
    assert 0


@pytest.mark.parametrize("text", [1], ids=lambda _: FORMS["raw"][1](value_of("id_of_a_later_mark", "raw")))
def test_id_of_a_later_mark(text, tmp_path):
    assert 0


@pytest.mark.secrets({name_of("id_of_a_later_mark", "raw"): value_of("id_of_a_later_mark", "raw")})
def test_later():
    pass


@pytest.fixture(params=_params("fixture_param"))
def parametrized(request):
    return request.param


def test_fixture_param(parametrized):
    pass
