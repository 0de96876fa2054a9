"""A test for each place where pytest writes a text of a test."""

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


def test_compared(secret):
    assert secret == "something else"


def test_compared_in_a_list(secret):
    assert ["first", secret, "last"] == ["first", "other", "last"]


def test_compared_in_a_dict(secret):
    assert {"left": 1, "token": secret} == {"left": 1, "token": "other"}


def test_contained(secret):
    assert "absent" in secret


def test_compared_in_long_text(secret):
    assert "a " * 400 + secret + " b" * 400 == "c"


def test_compared_in_lines(secret):
    assert f"one\n{secret}\nthree" == "one\ntwo\nthree"


@dataclasses.dataclass
class Account:
    token: str


def test_compared_in_a_dataclass(secret):
    assert Account(secret) == Account("other")


def test_said_by_assert(secret):
    assert len(secret) == 0, secret


def test_printed(secret):
    print(secret)
    assert 0


def test_printed_by_a_passing_test(secret):
    print(secret)


def test_printed_to_stderr(secret):
    sys.stderr.write(secret)
    assert 0


def test_printed_in_bytes(secret):
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\xff\xfe" + secret.encode() + b"\x00")
    assert 0


def test_written_to_the_descriptor(secret):
    os.write(1, secret.encode())
    assert 0


def test_printed_by_a_child(secret):
    subprocess.run([sys.executable, "-S", "-c", "import sys; print(sys.argv[1])", secret], check=True)
    assert 0


def test_logged(secret):
    logging.getLogger("app").warning("token %s", secret)
    assert 0


def test_logged_by_a_passing_test(secret):
    logging.getLogger("app").error(secret)


def test_logged_with_traceback(secret):
    try:
        raise ValueError(secret)
    except ValueError:
        logging.getLogger("app").exception("failed")


def test_raised(secret):
    raise RuntimeError(secret)


class OddError(Exception):
    def __init__(self, secret):
        self.secret = secret

    def __str__(self):
        return "odd " + self.secret


def test_raised_with_its_own_text(secret):
    raise OddError(secret)


def test_raised_as_key(secret):
    {}[secret]


def test_raised_from(secret):
    try:
        raise ValueError(secret)
    except ValueError as error:
        raise RuntimeError("the cause is above") from error


def test_raised_while_handling(secret):
    try:
        raise ValueError(secret)
    except ValueError:
        raise RuntimeError("the context is above")


def test_raised_with_many_lines(secret):
    raise RuntimeError("\n".join(["first", secret, "last"]))


def test_raised_with_a_note(secret):
    error = RuntimeError("see the note")
    if sys.version_info >= (3, 11):
        error.add_note(secret)
    raise error


def test_raised_in_a_group(secret):
    if sys.version_info < (3, 11):
        raise RuntimeError(secret)
    raise ExceptionGroup("several", [ValueError(secret), TypeError(secret)])


def test_local(secret):
    holder = {"token": secret}
    assert holder is None


def _called(argument):
    raise LookupError


def test_argument(secret):
    _called(secret)


def test_fixture_setup(fails_in_setup):
    pass


def test_fixture_teardown(fails_in_teardown):
    pass


def test_fixture_prints(prints_around):
    assert 0


def test_skipped(secret):
    pytest.skip(secret)


def test_expected_to_fail(secret):
    pytest.xfail(secret)


def test_marked_to_fail(secret, request):
    request.node.add_marker(pytest.mark.xfail(reason=secret))
    raise RuntimeError(secret)


def test_passed_unexpectedly(secret, request):
    request.node.add_marker(pytest.mark.xfail(reason=secret, strict=True))


def test_passed_against_a_mark(secret, request):
    request.node.add_marker(pytest.mark.xfail(reason=secret, strict=False))


def test_failed(secret):
    pytest.fail(secret)


def test_failed_without_traceback(secret):
    pytest.fail(secret, pytrace=False)


def test_not_matched(secret):
    with pytest.raises(ValueError, match="absent"):
        raise ValueError(secret)


def test_not_matching(secret):
    with pytest.raises(ValueError, match="absent" + secret.replace("\\", "").replace("(", "")):
        raise ValueError("other")


def test_not_warned(secret):
    with pytest.warns(UserWarning, match="absent"):
        warnings.warn(secret, stacklevel=1)


def test_import_skipped(secret):
    pytest.importorskip("no_such_module", reason=secret)


def test_approximate(secret):
    assert {"a": secret} == pytest.approx({"a": 1.0})


def test_warned(secret):
    warnings.warn(secret, stacklevel=1)


class OddWarning(UserWarning):
    def __init__(self, secret, other):
        super().__init__(secret, other)


def test_warned_in_a_class_of_its_own(secret):
    warnings.warn(OddWarning(secret, 1), stacklevel=1)


def test_deprecated(secret):
    warnings.warn(secret, DeprecationWarning, stacklevel=1)


def test_raised_in_a_thread(secret):
    def fail():
        raise RuntimeError(secret)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


class Unraisable:
    def __init__(self, secret):
        self.secret = secret

    def __del__(self):
        raise RuntimeError(self.secret)


def test_unraisable(secret):
    Unraisable(secret)
    gc.collect()


def test_recorded(secret, record_property):
    record_property("token", secret)
    record_property(secret, 1)


def test_recorded_for_the_suite(secret, record_testsuite_property):
    record_testsuite_property("token", secret)


def test_recorded_as_attribute(secret, record_xml_attribute):
    record_xml_attribute("token", secret)


def test_added_as_section(secret, request):
    request.node.add_report_section("call", "remarks", secret)
    assert 0


def test_cached(secret, cache):
    cache.set("torture/" + str(abs(hash(secret))), secret)


def test_subtest(secret, request):
    try:
        subtests = request.getfixturevalue("subtests")
    except pytest.FixtureLookupError:
        pytest.skip("no subtests")
    with subtests.test(msg=secret, token=secret):
        print(secret)
        assert secret == "other"


def test_interrupting_assertions(secret):
    try:
        assert secret == 1
    except AssertionError as error:
        raise AssertionError(str(error)) from None


def test_unittest(secret):
    unittest.TestCase().assertEqual(secret, "other")


def test_unittest_subtest(secret):
    case = unittest.TestCase()
    with case.subTest(token=secret):
        case.assertIn("absent", [secret])


def test_disabled_capture(secret, capsys):
    with capsys.disabled():
        print(secret)


def test_read_capture(secret, capsys):
    print(secret)
    assert capsys.readouterr().out == "other"


def test_exits(secret):
    sys.exit(secret)


def test_recursion(secret):
    def again(argument, depth):
        return again(argument, depth + 1) if depth < 4 else {}[argument]

    again(secret, 0)


def test_compared_in_a_set(secret):
    assert {secret} == {"other"}


def test_compared_in_a_tuple_of_bytes(secret):
    assert (secret.encode(), 1) == (b"other", 1)


def test_repr_raises(secret):
    class Odd:
        def __repr__(self):
            raise RuntimeError(secret)

    odd = Odd()
    assert odd is None
