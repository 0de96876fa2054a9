"""A test for each place where pytest writes what a test says."""

import dataclasses
import gc
import logging
import os
import subprocess
import sys
import threading
import unittest
import warnings

import pytest


def test_compared(told):
    assert told == "something else"


def test_compared_in_a_list(told):
    assert ["first", told, "last"] == ["first", "other", "last"]


def test_compared_in_a_dict(told):
    assert {"left": 1, "token": told} == {"left": 1, "token": "other"}


def test_contained(told):
    assert "absent" in told


def test_compared_in_long_text(told):
    assert "a " * 400 + told + " b" * 400 == "c"


def test_compared_in_lines(told):
    assert f"one\n{told}\nthree" == "one\ntwo\nthree"


@dataclasses.dataclass
class Account:
    token: str


def test_compared_in_a_dataclass(told):
    assert Account(told) == Account("other")


def test_said_by_assert(told):
    assert len(told) == 0, told


def test_printed(told):
    print(told)
    assert 0


def test_printed_by_a_passing_test(told):
    print(told)


def test_printed_to_stderr(told):
    sys.stderr.write(told)
    assert 0


def test_printed_in_bytes(told):
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\xff\xfe" + told.encode() + b"\x00")
    assert 0


def test_written_to_the_descriptor(told):
    os.write(1, told.encode())
    assert 0


def test_printed_by_a_child(told):
    subprocess.run([sys.executable, "-S", "-c", "import sys; print(sys.argv[1])", told], check=True)
    assert 0


def test_logged(told):
    logging.getLogger("app").warning("token %s", told)
    assert 0


def test_logged_by_a_passing_test(told):
    logging.getLogger("app").error(told)


def test_logged_with_traceback(told):
    try:
        raise ValueError(told)
    except ValueError:
        logging.getLogger("app").exception("failed")


def test_raised(told):
    raise RuntimeError(told)


class OddError(Exception):
    def __init__(self, told):
        self.told = told

    def __str__(self):
        return "odd " + self.told


def test_raised_with_its_own_text(told):
    raise OddError(told)


def test_raised_as_key(told):
    {}[told]


def test_raised_from(told):
    try:
        raise ValueError(told)
    except ValueError as error:
        raise RuntimeError("the cause is above") from error


def test_raised_while_handling(told):
    try:
        raise ValueError(told)
    except ValueError:
        raise RuntimeError("the context is above")


def test_raised_with_many_lines(told):
    raise RuntimeError("\n".join(["first", told, "last"]))


def test_raised_with_a_note(told):
    error = RuntimeError("see the note")
    if sys.version_info >= (3, 11):
        error.add_note(told)
    raise error


def test_raised_in_a_group(told):
    if sys.version_info < (3, 11):
        raise RuntimeError(told)
    raise ExceptionGroup("several", [ValueError(told), TypeError(told)])


def test_local(told):
    holder = {"token": told}
    assert holder is None


def _called(argument):
    raise LookupError


def test_argument(told):
    _called(told)


def test_fixture_setup(fails_in_setup):
    pass


def test_fixture_teardown(fails_in_teardown):
    pass


def test_fixture_prints(prints_around):
    assert 0


def test_skipped(told):
    pytest.skip(told)


def test_expected_to_fail(told):
    pytest.xfail(told)


def test_marked_to_fail(told, request):
    request.node.add_marker(pytest.mark.xfail(reason=told))
    raise RuntimeError(told)


def test_passed_unexpectedly(told, request):
    request.node.add_marker(pytest.mark.xfail(reason=told, strict=True))


def test_passed_against_a_mark(told, request):
    request.node.add_marker(pytest.mark.xfail(reason=told, strict=False))


def test_failed(told):
    pytest.fail(told)


def test_failed_without_traceback(told):
    pytest.fail(told, pytrace=False)


def test_not_matched(told):
    with pytest.raises(ValueError, match="absent"):
        raise ValueError(told)


def test_not_matching(told):
    with pytest.raises(ValueError, match="absent" + told.replace("\\", "").replace("(", "")):
        raise ValueError("other")


def test_not_warned(told):
    with pytest.warns(UserWarning, match="absent"):
        warnings.warn(told, stacklevel=1)


def test_import_skipped(told):
    pytest.importorskip("no_such_module", reason=told)


def test_approximate(told):
    assert {"a": told} == pytest.approx({"a": 1.0})


def test_warned(told):
    warnings.warn(told, stacklevel=1)


class OddWarning(UserWarning):
    def __init__(self, told, other):
        super().__init__(told, other)


def test_warned_in_a_class_of_its_own(told):
    warnings.warn(OddWarning(told, 1), stacklevel=1)


def test_deprecated(told):
    warnings.warn(told, DeprecationWarning, stacklevel=1)


def test_raised_in_a_thread(told):
    def fail():
        raise RuntimeError(told)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


class Unraisable:
    def __init__(self, told):
        self.told = told

    def __del__(self):
        raise RuntimeError(self.told)


def test_unraisable(told):
    Unraisable(told)
    gc.collect()


def test_recorded(told, record_property):
    record_property("token", told)
    record_property(told, 1)


def test_recorded_for_the_suite(told, record_testsuite_property):
    record_testsuite_property("token", told)


def test_recorded_as_attribute(told, record_xml_attribute):
    record_xml_attribute("token", told)


def test_added_as_section(told, request):
    request.node.add_report_section("call", "remarks", told)
    assert 0


def test_cached(told, cache):
    cache.set("torture/" + str(abs(hash(told))), told)


def test_subtest(told, request):
    try:
        subtests = request.getfixturevalue("subtests")
    except pytest.FixtureLookupError:
        pytest.skip("no subtests")
    with subtests.test(msg=told, token=told):
        print(told)
        assert told == "other"


def test_interrupting_assertions(told):
    try:
        assert told == 1
    except AssertionError as error:
        raise AssertionError(str(error)) from None


def test_unittest(told):
    unittest.TestCase().assertEqual(told, "other")


def test_unittest_subtest(told):
    case = unittest.TestCase()
    with case.subTest(token=told):
        case.assertIn("absent", [told])


def test_disabled_capture(told, capsys):
    with capsys.disabled():
        print(told)


def test_read_capture(told, capsys):
    print(told)
    assert capsys.readouterr().out == "other"


def test_exits(told):
    sys.exit(told)


def test_recursion(told):
    def again(argument, depth):
        return again(argument, depth + 1) if depth < 4 else {}[argument]

    again(told, 0)


def test_compared_in_a_set(told):
    assert {told} == {"other"}


def test_compared_in_a_tuple_of_bytes(told):
    assert (told.encode(), 1) == (b"other", 1)


def test_repr_raises(told):
    class Odd:
        def __repr__(self):
            raise RuntimeError(told)

    odd = Odd()
    assert odd is None
