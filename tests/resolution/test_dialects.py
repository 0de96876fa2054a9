"""The tables of dialects and lookups are complete and consistent."""

from __future__ import annotations

import pickle

import pytest

from pytest_flowsecrets.errors import UnknownPrefectVersion, UsageError
from pytest_flowsecrets.resolution.dialects import DIALECTS, LOOKUPS, SPANS, default_box, dialect_for
from pytest_flowsecrets.versions import release_of


def test_ranges_follow_each_other():
    """The ranges are in order and do not overlap."""
    edges = [release_of(edge) for row in DIALECTS for edge in (row.first, row.last)]
    assert edges == sorted(edges)
    assert [row.id for row in DIALECTS] == [f"D{number}" for number in range(1, 12)]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.5.0", "D1"),
        ("0.5.3", "D1"),
        ("0.5.4", "D2"),
        ("0.6.0", "D3"),
        ("0.6.5", "D4"),
        ("0.6.6", "D5"),
        ("0.6.7", "D6"),
        ("0.9.8", "D6"),
        ("0.10.0", "D7"),
        ("0.11.1", "D8"),
        ("0.11.2", "D9"),
        ("0.13.14", "D9"),
        ("0.13.15", "D10"),
        ("0.14.22", "D10"),
        ("0.15.0", "D11"),
        ("0.15.13+7.gabc", "D11"),
        ("1.4", "D11"),
        ("1.4.1", "D11"),
        ("D7", "D7"),
    ],
)
def test_dialect_for(version, expected):
    """`dialect_for` finds the row of each release and each id."""
    assert dialect_for(version).id == expected


@pytest.mark.parametrize("version", ["0.4.9", "1.4.2", "2.0.0", "3", "", "x", "0.14.5.1", "D12", "1." + "9" * 50])
def test_unknown(version):
    """An unsupported release is an error that pickles and says what to write."""
    with pytest.raises(UnknownPrefectVersion, match=r"0\.5\.0 to 1\.4\.1") as caught:
        dialect_for(version)
    assert isinstance(caught.value, UsageError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_spans_are_the_edges_of_both_tables():
    """A span starts exactly where a row of either table starts."""
    firsts = {row.first for row in DIALECTS} | {row.first for row in LOOKUPS}
    assert {first for first, _ in SPANS} == firsts
    for (_, last), (first, _) in zip(SPANS, SPANS[1:]):
        assert release_of(last) < release_of(first)


@pytest.mark.parametrize(
    ("version", "missing", "switches"),
    [
        ("0.5.0", None, "------"),
        ("0.5.1", None, "-d----"),
        ("0.5.3", None, "-dg---"),
        ("0.5.5", "Secret {} was not found.", "sdg---"),
        ("0.6.3", 'Local Secret "{}" was not found.', "sdg---"),
        ("0.6.7", 'Local Secret "{}" was not found.', "sdg-f-"),
        ("0.14.4", 'Local Secret "{}" was not found.', "sdgcf-"),
        ("1.4.1", 'Local Secret "{}" was not found.', "sdgcfl"),
    ],
)
def test_lookup(version, missing, switches):
    """`lookup` has the rules of the release: subscript, decoding, guard, context first, flag, local server."""
    row = dialect_for(version).lookup
    flags = (row.subscript, row.decodes, row.guarded, row.context_first, row.context_flag, row.server_is_local)
    assert (row.missing, flags) == (missing, tuple(letter != "-" for letter in switches))


@pytest.mark.parametrize(
    ("version", "python", "box"),
    [
        ("0.6.5", (3, 8), ""),
        ("0.6.6", (3, 8), "3.4.6"),
        ("0.8.1", (3, 8), "3.4.6"),
        ("0.9.0", (3, 8), "4.2.3"),
        ("0.13.7", (3, 9), "4.2.3"),
        ("0.13.8", (3, 8), "7.2.0"),
        ("0.14.22", (3, 5), "6.1.0"),
        ("0.14.22", (3, 6), "6.1.0"),
        ("1.4.1", (3, 7), "7.0.1"),
        ("1.4.1", (3, 9), "7.4.1"),
        ("1.4.1", (3, 10), "7.4.1"),
        ("1.4.1", (3, 11), "8.0.0"),
        ("1.4.1", (3, 13), "8.0.0"),
    ],
)
def test_default_box(version, python, box):
    """`default_box` is the version that pip installs for the release and the Python."""
    assert default_box(dialect_for(version), python) == box
