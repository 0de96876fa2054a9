"""Masking never changes objects of others: after a run, a test's objects are equal to what they were before."""

from __future__ import annotations

import abc
import collections.abc
import copy
import dataclasses
import gc
import types
from typing import ClassVar, NamedTuple
from unittest import mock

import pytest

from pytest_flowsecrets.leaks import artifacts
from pytest_flowsecrets.leaks.mask import masked_copies, reports

TOKEN = "k9TzWq4mLrV7"
MASK = "[secret TOKEN]"


def _clean(text, *_):
    if isinstance(text, bytes):
        return text.replace(TOKEN.encode(), MASK.encode()) if TOKEN.encode() in text else text
    return text.replace(TOKEN, MASK) if TOKEN in text else text


@dataclasses.dataclass
class Plain:
    one: object = None
    two: object = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    one: object = None
    two: object = None


class Slots:
    __slots__ = ("one", "unset")

    def __init__(self, one):
        self.one = one

    def __eq__(self, other):
        return type(self) is type(other) and self.one == other.one

    def toterminal(self, tw):
        tw.line(self.one)


class SlotsAndMore(Slots):
    __slots__ = "two"  # noqa: PLC0205 - one name is allowed, too
    __attrs_attrs__ = ()

    def __init__(self, one, two):
        super().__init__(one)
        self.two = two

    def __eq__(self, other):
        return super().__eq__(other) and self.two == other.two


class Named(NamedTuple):
    one: object
    two: object


def test_every_kind_of_object_is_copied():
    """``mask_data`` returns a masked copy of the same class and leaves the original unchanged."""
    inner = {"token": TOKEN, TOKEN: [TOKEN], "bytes": TOKEN.encode()}
    for kind in (Plain, Frozen, SlotsAndMore, Named, lambda *parts: list(parts), lambda *parts: parts):
        for one in (TOKEN, inner, Frozen(inner), [Plain((TOKEN,))], Slots(TOKEN), types.MappingProxyType(inner)):
            value = kind(one, "nothing")
            before = copy.deepcopy(value) if not isinstance(one, types.MappingProxyType) else kind(one, "nothing")
            masked = masked_copies.mask_data(value, _clean)
            assert value == before
            assert type(masked) is type(value)
            assert masked != before
    assert masked_copies.mask_data({TOKEN, "a"}, _clean) == {MASK, "a"}
    assert masked_copies.mask_data(frozenset([TOKEN]), _clean) == frozenset([MASK])


def test_what_holds_no_secret_is_the_same_object():
    """An object without a secret is returned itself, also if it refers to itself or is next to a copied one."""
    ring = Plain("nothing")
    ring.two = [ring]
    assert masked_copies.mask_data(ring, _clean) is ring
    quiet = Frozen(["nothing"])
    masked = masked_copies.mask_data([quiet, TOKEN], _clean)
    assert masked[0] is quiet
    assert masked_copies.mask_data(Plain, _clean) is Plain


def test_objects_that_refer_to_each_other():
    """Copies refer to each other, never to an original. An object with two references has one copy."""
    parent, child = Plain(), Plain(TOKEN)
    parent.one, parent.two, child.two = [child], child, parent
    masked = masked_copies.mask_data(parent, _clean)
    assert masked.two is masked.one[0]
    assert masked.two.one == MASK
    assert masked.two.two is masked
    assert (parent.two, child.one, child.two) == (child, TOKEN, parent)
    through = ([],)
    through[0].extend([through, TOKEN])
    assert masked_copies.mask_data(through, _clean)[0][1] == MASK
    assert through[0][1] == TOKEN


class Connection:
    """An object with a ``__del__`` that closes what it shares with the test."""

    closed: ClassVar[list] = []
    subclasses: ClassVar[list] = []

    def __init__(self, token, more=None):
        self.token, self.more = token, more

    def __init_subclass__(cls, **_):
        Connection.subclasses.append(cls)

    def __del__(self):
        Connection.closed.append(self.token)

    def toterminal(self, tw):
        tw.line(self.token)


class Registered(type):
    """A metaclass with its own code."""


class RegisteredConnection(Connection, metaclass=Registered):
    """A class that cannot be subclassed without its metaclass."""


class Pair(Named):
    def __del__(self):
        Connection.closed.append(self.one)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Connection, abc.ABCMeta("Abstract", (Connection,), {})])
def test_the_end_of_a_copy_runs_no_code(kind):
    """``__del__`` runs once, for the original. An object without a secret is not copied."""
    gc.collect()  # objects of other tests
    Connection.closed.clear()
    Connection.subclasses.clear()
    quiet, loud = kind("quiet"), kind(TOKEN)
    quiet.more = [quiet]
    pair = Pair(TOKEN, 1)
    masked = masked_copies.mask_data([quiet, loud, pair], _clean)
    assert masked[0] is quiet
    assert isinstance(masked[1], kind)
    assert isinstance(masked[2], Pair)
    assert (masked[1].token, type(masked[1]).__name__, masked[2].one) == (MASK, kind.__name__, MASK)
    del masked
    gc.collect()
    assert Connection.closed == Connection.subclasses == []
    assert loud.token == pair.one == TOKEN
    del loud
    gc.collect()
    assert Connection.closed == [TOKEN]


def test_an_object_with_a_metaclass_and_an_end_is_withheld():
    """An object with ``__del__`` and a metaclass is withheld, so no code of the metaclass runs."""
    report = types.SimpleNamespace(own=RegisteredConnection(TOKEN), quiet=RegisteredConnection("quiet"))
    quiet = report.quiet
    reports.mask_report(report, _clean, "[withheld]")
    assert report.own == "[withheld]"
    assert report.quiet is quiet


def test_a_mapping_that_makes_its_values_is_read_once():
    """A mapping that creates its values on access is read once, so the copy has the searched values."""

    class Computed(collections.abc.Mapping):
        reads = 0

        def __getitem__(self, key):
            self.reads += 1
            return "".join([TOKEN, str(self.reads)])

        def __iter__(self):
            return iter(["a"])

        def __len__(self):
            return 1

    assert masked_copies.mask_data(Computed(), _clean) == {"a": MASK + "1"}


def test_mocks_are_not_accessed():
    """Masking and searching access no attribute of a mock, which would record the access."""
    accessed = []

    class Watched(mock.MagicMock):
        def __getattr__(self, name):
            accessed.append(name)
            return super().__getattr__(name)

    double = Watched(spec=["serialize", "tasks"])
    accessed.clear()
    masked_copies.mask_data([double, TOKEN], _clean)
    list(artifacts.texts_in({"flow": double}, "searched"))
    assert double.mock_calls == []
    assert not {"serialize", "tasks"}.intersection(accessed)


def test_all_objects_of_a_run(run_tests, pytester):
    """Objects from properties, conftests, parameters, subtests and warnings are unchanged after a run."""
    pytester.makeconftest(
        """
import copy, dataclasses
import pytest

@dataclasses.dataclass(frozen=True)
class Settings:
    token: str
    more: object = None

TOKEN = "k9TzWq4mLr" + "V7"
KEPT = {}
def kept(name, value):
    KEPT[name] = value, copy.deepcopy(value)
    return value

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.cfg = kept(f"report {report.when}", Settings(TOKEN, [{"deep": Settings(TOKEN)}]))
    report.session_objects = [value for value, _ in KEPT.values()]

@pytest.fixture
def settings():
    return kept("fixture", Settings(TOKEN, {"a": [TOKEN]}))

def pytest_unconfigure():
    changed = [name for name, (value, before) in KEPT.items() if value != before]
    print(f"{len(KEPT)} objects, changed: {changed}")
"""
    )
    newest = int(pytest.__version__.split(".")[0]) >= 9
    result = run_tests(
        """
import warnings
import pytest
from conftest import KEPT, TOKEN, Settings, kept

PARAM = kept("parameter", Settings(TOKEN))
pytestmark = pytest.mark.secrets(kept("mark", {"TOKEN": TOKEN}))

@pytest.mark.parametrize("value", [PARAM, kept("list", [TOKEN, {"a": TOKEN}])], ids=repr)
def test_all(value, settings, record_property, record_testsuite_property, request):
    record_property("settings", settings)
    record_testsuite_property("suite", kept("suite", Settings(TOKEN)))
    request.node.own = settings
    warnings.warn(UserWarning(kept("warning", Settings(TOKEN))))
    raise RuntimeError(kept("error", Settings(TOKEN)))

def test_subtests(subtests, settings):
    with subtests.test(cfg=settings):
        assert settings.token == "other"
    assert settings.token == TOKEN

def test_next(settings):
    assert settings.token == TOKEN
    assert all(value == before for value, before in KEPT.values())
""",
        "--junit-xml=junit.xml",
        "-rA",
        plugins=[] if newest else ["pytest_subtests"],
    )
    result.stdout.fnmatch_lines(["*PASSED *::test_next", "10 objects, changed: []"])
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")
    assert TOKEN not in (pytester.path / "junit.xml").read_text()


hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

TEXTS = st.sampled_from([TOKEN, "quiet", f"the {TOKEN}", "", "[", MASK])
KEYS = st.sampled_from(["a", "b", TOKEN])
GRAPHS = st.recursive(
    TEXTS | st.integers() | st.none() | TEXTS.map(str.encode),
    lambda parts: st.one_of(
        st.lists(parts, max_size=4),
        st.dictionaries(KEYS, parts, max_size=3),
        st.tuples(parts, parts),
        st.builds(Plain, parts, parts),
        st.builds(Frozen, parts, parts),
        st.builds(Named, parts, parts),
        st.builds(SlotsAndMore, parts, parts),
        parts.map(lambda part: [part, part]),
    ),
    max_leaves=20,
)


@pytest.mark.slow
@hypothesis.given(GRAPHS)
def test_any_data(value):
    """No text of the masked data contains the secret, and the original is unchanged."""
    before = copy.deepcopy(value)
    masked = masked_copies.mask_data(value, _clean)
    assert value == before
    assert not [text for text, _ in artifacts.texts_in(masked, "") if _clean(text) is not text]
    assert (masked is value) == (not [text for text, _ in artifacts.texts_in(value, "") if _clean(text) is not text])
