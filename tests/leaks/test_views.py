"""Decoding before the search: many encoders, any depth, and original positions."""

from __future__ import annotations

import base64
import html
import json
import zlib
from urllib.parse import quote

import pytest

from pytest_flowsecrets.leaks.formats.secret_parts import Part
from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.search.finder import Finder
from pytest_flowsecrets.leaks.search.index import Index
from pytest_flowsecrets.leaks.search.skeletons import common, common_end

PLAIN, ODD = "tokab12Zz9xKq7Lm3", "aB3 <&'\"\\/% x9Kq7Lm"


def _each(value, form):
    return "".join(form(char) for char in value)


def _odd(value, form):
    return "".join(char if char.isalnum() else form(char) for char in value)


FORMS = {
    "hex with colons": ("hex", lambda value: value.encode().hex(":")),
    "hex with blanks": ("hex", lambda value: value.encode().hex(" ").upper()),
    "hex by two bytes": ("hex", lambda value: value.encode().hex(" ", 2)),
    "hex by two bytes, from the left": ("hex", lambda value: value.encode().hex(":", -2)),
    "hex by four bytes": ("hex", lambda value: value.encode().hex(" ", 4)),
    "hex by four bytes, from the left": ("hex", lambda value: value.encode().hex("-", -4)),
    "hex with dashes": ("hex", lambda value: value.encode().hex("-")),
    "quoted twice": ("url", lambda value: quote(quote(value, safe=""), safe="")),
    "quoted three times": ("url", lambda value: quote(quote(quote(value)))),
    "quoted wholly": ("url", lambda value: _each(value, lambda char: f"%{ord(char):02x}")),
    "references": ("html", lambda value: _odd(value, lambda char: f"&#{ord(char)};")),
    "references with zeros": ("html", lambda value: _odd(value, lambda char: f"&#{ord(char):05};")),
    "hexadecimal references": ("html", lambda value: _each(value, lambda char: f"&#x{ord(char):X};")),
    "references as of PHP": ("html", lambda value: html.escape(value).replace("&#x27;", "&#039;")),
    "HTML in HTML": ("html", lambda value: html.escape(html.escape(value))),
    "escapes of bytes": ("escaped", lambda value: _each(value, lambda char: f"\\x{ord(char):02x}")),
    "escapes of characters": ("escaped", lambda value: _each(value, lambda char: f"\\u{ord(char):04X}")),
    "octal escapes": ("escaped", lambda value: _each(value, lambda char: f"\\{ord(char):03o}")),
    "JSON of Go": ("escaped", lambda value: json.dumps(value).replace("&", "\\u0026").replace("<", "\\u003c")),
    "JSON of Gson": ("escaped", lambda value: json.dumps(value).replace("'", "\\u0027").replace("&", "\\u0026")),
    "JSON four times": ("escaped", lambda value: json.dumps(json.dumps(json.dumps({"a": json.dumps(value)})))),
    "repr of repr of JSON": ("escaped", lambda value: repr(repr(json.dumps({"a": value})))),
    "a bytearray": ("escaped", lambda value: repr(bytearray(value.encode()))),
    "UTF-16": ("utf-16", lambda value: repr(value.encode("utf-16"))),
    "UTF-16, the other order": ("utf-16", lambda value: repr(value.encode("utf-16-be"))),
    "UTF-32": ("utf-16", lambda value: repr(value.encode("utf-32"))),
    "UTF-16 as it is": ("utf-16", lambda value: value.encode("utf-16-le").decode("latin-1")),
    "user and password": ("base64", lambda value: "Basic " + base64.b64encode(f"me:{value}".encode()).decode()),
}


@pytest.mark.parametrize("value", [PLAIN, ODD], ids=["plain", "odd"])
@pytest.mark.parametrize("form", FORMS)
def test_each_encoding(form, value):
    """A value in each encoding is masked, and the surrounding text stays unchanged."""
    encoded = FORMS[form][1](value)
    masked = Redactor({value: ("A",)}).redact(f"é before {encoded} after é")
    assert masked.startswith("é before ")
    assert masked.endswith(" after é")
    assert "[secret A]" in masked
    rest = masked.replace("[secret A]", "")
    for part in (value[:6], value[-6:]):
        assert part not in rest
        assert FORMS[form][1](part).strip("'\"") not in rest


@pytest.mark.parametrize("form", FORMS)
def test_name_of_the_encoding(form):
    """The form of a finding is the name of the encoding."""
    encoded = FORMS[form][1](ODD)
    kinds = {match.form.split(",")[0] for match in Finder({ODD: ("A",)}).find(encoded)}
    assert FORMS[form][0] in kinds


def test_original_position():
    """What surrounds an encoded value is kept byte by byte, even if it is encoded itself."""
    text = f"&#60; before {_each(PLAIN, lambda char: f'&#{ord(char)};')}, {PLAIN} after &#62;&lt;"
    assert Redactor({PLAIN: ("A",)}).redact(text) == "&#60; before [secret A], [secret A] after &#62;&lt;"


@pytest.mark.parametrize(
    "text",
    [
        "&#1114112;&#x110000; is no character, &amp;amp; &apos;",
        "2026-11-22 04:31:11 12:13:14:15:16:17:18 00-11-22-33-44-55-66-77",
        "%25 %2525 %41%42%43%44%45%46",
        "C:\\\\Users\\\\x41 \\u0041 \\101 \\x00 \x00",
    ],
)
def test_text_without_a_secret(text):
    """A text with encodings but without a secret is returned itself."""
    assert Redactor({PLAIN: ("A",), ODD: ("B",)}).redact(text) is text


FILLER = "".join(f"line {number}: all is well here, {number * 7919 % 1000003:x}\n" for number in range(4_000))
RARE = {
    "once": ("%71", lambda value: quote(value, safe="")),
    "three times": ("%252571", lambda value: quote(quote(quote(value, safe=""), safe=""), safe="")),
    "in JSON in JSON": ('\\\\\\"', lambda value: json.dumps(json.dumps(value))),
    "beside what decodes to itself": ("\\U99999999", lambda value: json.dumps(value)),
}


@pytest.mark.parametrize("place", [0, 1, len(FILLER) // 2, len(FILLER)])
@pytest.mark.parametrize("form", RARE)
def test_rare_encodings_in_a_long_text(form, place):
    """A few encoded characters in a long text are decoded, and the mask replaces exactly the encoded value."""
    other, encode = RARE[form]
    before, after = FILLER[:place], FILLER[place:]
    text = f"{other} {before} <{encode(ODD)}> {after} {other}"
    expected = f"{other} {before} <{encode('HERE')}> {after} {other}".replace("HERE", "[secret S]")
    assert Redactor({ODD: ("S",)}).redact(text) == expected


@pytest.mark.parametrize("shift", range(5))
@pytest.mark.parametrize("encode", [base64.b32encode, base64.b85encode, base64.a85encode])
def test_rare_forms_after_paths_and_digests(encode, shift):
    """A value in base32 or base85 is found at any position of the data, after long runs of lower-case letters."""
    value = "correct-Horse-7Lm3-battery-X9"
    path = "tests/integration/test_everything.py 0123456789abcdef0123456789abcdef\n"
    finder = Finder({value: ("S",)})
    assert not finder.find(path * 200)
    assert finder.find(path * 200 + encode(b"x" * shift + value.encode()).decode() + " " + path)


@pytest.mark.slow
def test_slices_that_are_too_short():
    """Ten characters from the middle are not masked, however often they occur; twelve are masked."""
    value = "ghp_abcDEF0123456789xyzQRS"
    redactor = Redactor({value: ("S",)})
    assert redactor.redact("0123456789" * 30_000) == "0123456789" * 30_000
    assert redactor.redact("0123456789" * 30_000 + " DEF0123456789x ").endswith("9 [secret S] ")


def test_added_value_with_the_same_beginning():
    """A value that is added later is found, although an earlier value with the same beginning was found before."""
    redactor = Redactor({"ab3Kd9xQ12345678": ("A",)})
    assert redactor.redact("ab3Kd9xQ12345678 ab3Kd9xQ87654321") == "[secret A] [secret A]87654321"
    redactor.update({"ab3Kd9xQ12345678": ("A",), "ab3Kd9xQ87654321": ("B",)})
    assert redactor.redact("ab3Kd9xQ12345678 ab3Kd9xQ87654321") == "[secret A] [secret B]"


def test_a_truncated_value_in_a_row_of_dots():
    """The dots of passed tests are skipped, but the beginning of a value before such dots is masked."""
    redactor = Redactor({"ab3Kd9xQ1234": ("S",)})
    dots = "." * 60
    assert redactor.redact(dots) == dots
    assert redactor.redact(f"{dots} ab3Kd9{dots}") == f"{dots} [secret S]{dots}"


WORDS = "some, or words that are a secret sentence of many words here and there"
UMLAUTS = "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n-Kd9xQ1234zZ7\N{LATIN SMALL LETTER A WITH DIAERESIS}"
SIGNS = "~~~kQ7zTm???4xWp9LrB>>>2vYc8Nd~~?"
LONG = "kQ7zTm4xWp9LrB2vYc8NdH3sJf5GtK6q"


def _base64_of_json(text):
    return base64.b64encode(json.dumps({"a": text}, ensure_ascii=False).encode()).decode()


def _compressed(text):
    return base64.b64encode(zlib.compress(f"x {text} y".encode())).decode()


@pytest.mark.parametrize(
    ("value", "text", "masked"),
    [
        (ODD, json.dumps(ODD)[1:-1] + " x", "[secret S] x"),
        ("to\N{GRINNING FACE}ken-ab12Zz9x", r'"to\ud83d\ude00ken-ab12Zz9x"', '"[secret S]"'),
        ("ab3Kd9xQ1234", "...xQ1234", "...[secret S]"),
        ("ab3Kd9xQ1234", "ab3Kd9...", "[secret S]..."),
        (SIGNS, f"x {base64.b64encode(SIGNS.encode()).decode()} y", "x [secret S] y"),
        (SIGNS, f"x {base64.urlsafe_b64encode(SIGNS.encode()).decode()} y", "x [secret S] y"),
        (LONG, base64.b64encode(f"xyz{LONG}".encode()).decode(), "eHl6[secret S]"),
        (UMLAUTS, _base64_of_json(f"see {UMLAUTS} end"), "eyJhIjogInNlZS[secret S]BlbmQifQ=="),
        (LONG, _compressed(_compressed(_compressed(LONG))), "[secret S]"),
        (WORDS, f"{WORDS[:34]}!", f"{WORDS[:34]}!"),
        (WORDS, f"{WORDS[:35]}!", "[secret S]!"),
        (WORDS, f"{WORDS[:12]}...", "[secret S]..."),
        (WORDS, f"...{WORDS[-12:]}", "...[secret S]"),
        (LONG, f"{LONG[:28]}\nnote\n{LONG[28:]}", "[secret S]"),
        (LONG, f"{LONG[:4]}\nnote\n{LONG[4:]}", "[secret S]"),
        (LONG, f"{_each(LONG, lambda char: f'%{ord(char):02x}')} y", "[secret S] y"),
        (LONG, LONG.replace("z", "%7a") + " y", "[secret S] y"),
        ("kQ7zTm4x-Wp9LrB2v", "kQ7zTm4x~Wp9LrB2v", "[secret S]~[secret S]"),
        ("ab3Kd9xQ1234", f"{'.' * 20}xQ1234", f"{'.' * 20}[secret S]"),
        (LONG, f"x {LONG.encode().hex()[:10]} y", f"x {LONG.encode().hex()[:10]} y"),
        (LONG, f"x {LONG.encode().hex()[-12:]} y", "x [secret S] y"),
    ],
)
def test_parts_of_a_value_and_its_encodings(value, text, masked):
    """A value at the edge of a text, and a part of a value that is just long enough, are masked exactly."""
    assert Redactor({value: ("S",)}).redact(text) == masked


@pytest.mark.parametrize(
    ("text", "span"), [(b"...xQ1234", (3, 9)), (b"ab3Kd9...", (0, 6)), (b"api ab3Kd9...", (4, 10))]
)
def test_a_truncated_value_with_public_ends(text, span):
    """The secret part of a value is found next to an ellipsis, without the public text before and after it."""
    index = Index()
    index.add(Part("api ab3Kd9xQ1234 me@example", head=len("api "), tail=len(" me@example")), 0)
    assert [hit[:2] for hit in index.find(text)] == [span]


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("ab3Kd9xQ87654321", [("B", "raw")]),
        ("E   ab3Kd9xQ1234\nE       5678", [("A", "raw, wrapped")]),
        ("ab3Kd9xQ1234", [("A", "raw, truncated")]),
        ("x=3D=E2=82=AC a=3Dv7=3Dz2=3Dq", [("C", "quoted-printable")]),
    ],
)
def test_findings_of_values_with_the_same_beginning(text, findings):
    """Of two values with the same beginning, the one that is there is found, with its form."""
    finder = Finder({"ab3Kd9xQ12345678": ("A",), "ab3Kd9xQ87654321": ("B",), "a=v7=z2=q": ("C",)})
    assert [(match.names[0], match.form) for match in finder.find(text)] == findings


@pytest.mark.parametrize(("before", "address"), [("", 0x1230), ("all is well\n" * 500, 0)])
def test_lines_of_a_hex_dump(before, address):
    """Every line of a hex dump with a part of the value is masked, at any address in a short text."""
    data = b"\0\1\2\3\4\5\6" + LONG.encode() + b"\7\10\11"
    lines = [f"{address + at:08x}  {data[at : at + 4].hex(' ')}  |....|\n" for at in range(0, len(data), 4)]
    text = f"{before}{''.join(lines)}"
    assert Redactor({LONG: ("S",)}).redact(text) == f"{before}{lines[0]}[secret S]{lines[-1]}"


@pytest.mark.parametrize(
    ("one", "other", "size"), [("abc", "abcd", 3), ("abcd", "abc", 3), ("abx", "aby", 2), ("a", "b", 0), ("", "a", 0)]
)
def test_common_beginnings_and_ends(one, other, size):
    """The length of what two texts have in common at one end, whichever of them is longer."""
    assert common(one.encode(), other.encode()) == size
    assert common_end(one[::-1].encode(), other[::-1].encode()) == size
