"""Families of escapes, interleaved output, and linear search time: whatever the encoder, the value is masked."""

from __future__ import annotations

import base64
import binascii
import bz2
import csv
import gzip
import io
import json
import lzma
import quopri
import random
import re
import shlex
import string
import unicodedata
import zlib
from urllib.parse import quote

import pytest

from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.search.finder import Finder

TOKEN = "ghp_abcDEF0123456789xyzQRSkLmN7"
MARKS = "aB3'x\"9%K{q}7,L$m;Z.4-w=Q"
UMLAUTS = "Zü4ßéÄ-kennwort-Ñ7ø9"
CYRILLIC = "пароль-Ключ-Ёж-9"
VALUES = {"token": TOKEN, "marks": MARKS, "umlauts": UMLAUTS, "cyrillic": CYRILLIC}


def _csv(value):
    file = io.StringIO()
    csv.writer(file).writerow([value, 1])
    return file.getvalue()


def _each(value, form):
    return "".join(char if char.isascii() and char.isalnum() else form(char) for char in value)


ESCAPES = {
    "SQL": lambda value: value.replace("'", "''"),
    "CSV": _csv,
    "percent doubled": lambda value: value.replace("%", "%%"),
    "braces doubled": lambda value: value.replace("{", "{{").replace("}", "}}"),
    "dollars doubled": lambda value: value.replace("$", "$$"),
    "re.escape": re.escape,
    "repr of re.escape": lambda value: repr(re.escape(value)),
    "shell": shlex.quote,
    "printf %q": lambda value: _each(value, lambda char: "\\" + char),
    "quoted-printable": lambda value: quopri.encodestring(value.encode(), quotetabs=True).decode(),
    "YAML, upper case": lambda value: _each(
        value, lambda c: f"\\x{ord(c):02X}" if ord(c) < 256 else f"\\u{ord(c):04X}"
    ),
    "JavaScript, braces": lambda value: _each(value, lambda char: f"\\u{{{ord(char):x}}}"),
    "CSS": lambda value: _each(value, lambda char: f"\\{ord(char):x} "),
    "CSS, six digits": lambda value: _each(value, lambda char: f"\\{ord(char):06x}"),
    "HTML names": lambda value: _each(value, lambda char: {"'": "&apos;", "{": "&lcub;"}.get(char, f"&#{ord(char)};")),
    "NFD": lambda value: unicodedata.normalize("NFD", value),
    "NFC": lambda value: unicodedata.normalize("NFC", value),
    "NFKD in JSON": lambda value: json.dumps(unicodedata.normalize("NFKD", value)),
    "URL, Latin-1": lambda value: quote(value, encoding="latin-1" if value.isascii() or "ü" in value else "cp1251"),
    "UTF-16": lambda value: repr(value.encode("utf-16-le")),
    "UTF-16, the other order": lambda value: repr(value.encode("utf-16-be")),
    "base32": lambda value: base64.b32encode(f"x{value}, y".encode()).decode(),
    "base85": lambda value: base64.b85encode(f"xy{value}, z".encode()).decode(),
    "Ascii85": lambda value: base64.a85encode(f"{value}, z".encode()).decode(),
    "base64 of JSON": lambda value: base64.b64encode(json.dumps({"a": value}).encode()).decode(),
    "upper case": str.upper,
    "lower case": str.lower,
    "repr of gzip": lambda value: repr(gzip.compress(f"a flow: {value}".encode())),
    "repr of bz2": lambda value: repr(bz2.compress(f"a flow: {value}".encode())),
    "repr of xz": lambda value: repr(lzma.compress(f"a flow: {value}".encode())),
    "repr of zlib": lambda value: repr(zlib.compress(f"a flow: {value}".encode())),
    "base64 of bz2": lambda value: base64.b64encode(bz2.compress(f"a flow: {value}".encode())).decode(),
    "hexadecimal of gzip": lambda value: gzip.compress(f"a flow: {value}".encode()).hex(),
    "C array": lambda value: ", ".join(f"0x{byte:02x}" for byte in value.encode()),
    "repr of SQL in JSON": lambda value: json.dumps(repr(value.replace("'", "''"))),
}
MOJIBAKE = {"Latin-1": "latin-1", "Windows": "cp1251"}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("form", ESCAPES)
def test_families_of_escaping(form, name):
    """A value is masked in every family of escapes, and the surrounding text is kept."""
    value = VALUES[name]
    text = ESCAPES[form](value)
    masked = Redactor({value: ("A",)}).redact(f"before <{text}> after")
    assert masked.startswith("before <")
    assert masked.endswith("> after")
    rest = masked.replace("[secret A]", "")
    assert masked != rest
    assert len(rest) < 22 + 12, rest


@pytest.mark.parametrize("charset", ["latin-1", "cp1251"])
@pytest.mark.parametrize("value", [UMLAUTS, CYRILLIC])
def test_text_in_a_wrong_character_set(value, charset):
    """A value whose UTF-8 was decoded with another character set is masked."""
    text = value.encode().decode(charset, "replace")
    if "\ufffd" in text:
        pytest.skip("not all bytes are characters of this set")
    assert Redactor({value: ("A",)}).redact(f"<{text}>") == "<[secret A]>"


COMPRESSIONS = {"gzip": gzip.compress, "bz2": bz2.compress, "zlib": zlib.compress, "xz": lzma.compress}


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_compressed_files(name):
    """A value in a compressed payload is found, wherever the payload begins and whatever follows it."""
    data = COMPRESSIONS[name](f"secrets: {TOKEN}".encode())
    finder = Finder({TOKEN: ("A",)})
    for file in (data, b"header" + data + b"and more", data[:-6]):
        assert "compressed" in {match.form for match in finder.each(file)}
    masked = Redactor({TOKEN: ("A",)}).redact_bytes(b"header" + data + b"and more")
    assert masked == b"header[secret A]and more"


def _lines(value, width):
    return [value[at : at + width] for at in range(0, len(value), width)]


def _prefixed(prefix, width=12):
    return lambda value: "".join(f"{prefix}{part}\n" for part in _lines(value, width))


def _numbered(form, width):
    return lambda value: "".join(form.format(n, part) for n, part in enumerate(_lines(value, width)))


def _hexdump(value):
    data = f"Authorization: {value}".encode()
    rows = [data[at : at + 16] for at in range(0, len(data), 16)]
    return "".join(
        f"{16 * n:08x}  {row.hex(' '):<48} |{row.decode('ascii', 'replace')}|\n" for n, row in enumerate(rows)
    )


def _xxd(value):
    data = f"Authorization: {value}".encode()
    rows = [data[at : at + 16] for at in range(0, len(data), 16)]
    return "".join(f"{16 * n:08x}: {row.hex(' ', -2):<40} {row.decode()}\n" for n, row in enumerate(rows))


INTERLEAVED = {
    "cells of a table": _numbered("│ row │ {1:<12} │ 20{0:02} │\n", 12),
    "narrow cells of a table": _numbered("│ {1:<5} │\n", 5),
    "ASCII table": _numbered("| {0} | {1:<8} | x |\n", 8),
    "comment": _prefixed("# ", 5),
    "docstring": _prefixed(" * ", 5),
    "slashes": _prefixed("// ", 5),
    "quoted mail": _prefixed("> ", 5),
    "timestamps": _numbered("2026-11-26 04:31:{0:02},123 INFO worker-{0} | {1}\n", 8),
    "log prefix": _numbered("[flow-run-{0}] DEBUG prefect.TaskRunner: {1}\n", 9),
    "traceback": _prefixed("E       ", 9),
    "narrow traceback": _prefixed("E       ", 5),
    "carriage returns": lambda value: "\r".join(_lines(value, 4)),
    "CRLF": lambda value: "\r\n".join(_lines(value, 4)),
    "backspaces": lambda value: "".join(f"{char}\b{char}" for char in value),
    "a typing error": lambda value: f"{value[:9]}x\b{value[9:]}",
    "zero-width spaces": "\u200b".join,
    "soft hyphens": lambda value: "\u00ad".join(_lines(value, 4)),
    "byte order marks": lambda value: "\ufeff".join(_lines(value, 4)),
    "colors": lambda value: "".join(f"\x1b[38;5;{n}m{char}\x1b[0m" for n, char in enumerate(value)),
    "colors in JSON": lambda value: json.dumps("".join(f"\x1b[1m{part}\x1b[0m" for part in _lines(value, 5))),
    "links of terminals": lambda value: "".join(
        f"\x1b]8;;http://h/{n}\x1b\\{p}\x1b]8;;\x07" for n, p in enumerate(_lines(value, 9))
    ),
    "pprint": lambda value: "(" + "\n ".join(map(repr, _lines(value, 5))) + ")",
    "pprint of bytes": lambda value: "(" + "\n ".join(repr(part.encode()) for part in _lines(value, 5)) + ")",
    "quoted-printable lines": lambda value: "=\n".join(_lines(value, 6)),
    "escaped lines": lambda value: "\\n".join(_lines(value, 6)),
    "hexdump -C": _hexdump,
    "xxd": _xxd,
    "hexadecimal columns": lambda value: "\n".join(part.encode().hex(" ") for part in _lines(value, 8)),
    "base64 lines in a log": lambda value: "".join(
        f"12:00:0{n} out: {part}\n" for n, part in enumerate(_lines(base64.b64encode(value.encode()).decode(), 16))
    ),
}


@pytest.mark.parametrize("name", ["token", "marks"])
@pytest.mark.parametrize("form", INTERLEAVED)
def test_interleaved_output(form, name):
    """Nothing of a value remains, whatever separates its parts."""
    value = VALUES[name]
    text = INTERLEAVED[form](value)
    masked = Redactor({value: ("A",)}).redact(f"before: {text} :after")
    assert masked.startswith("before: ")
    assert masked.endswith(" :after")
    assert "[secret A]" in masked
    rest = re.sub(r"\W", "", masked.replace("[secret A]", " "))
    letters = re.sub(r"\W", "", value)
    encoded = value.encode().hex(), re.sub(r"\W", "", base64.b64encode(value.encode()).decode())
    for whole in (letters, *encoded):
        assert not [whole[at : at + 5] for at in range(len(whole) - 4) if whole[at : at + 5] in rest], masked


@pytest.mark.parametrize("start", range(1, 18))
def test_slices_of_the_middle(start):
    """Any twelve consecutive characters of a token are masked, but seven from the middle are not."""
    mine = Redactor({TOKEN: ("A",)})
    assert mine.redact(f"id={TOKEN[start : start + 12]};") == "id=[secret A];"
    part = TOKEN[start : start + 7]
    assert mine.redact(f"id={part};") == f"id={part};"


def test_the_shortest_value_in_base32():
    """Eight characters are masked in a longer text in base32, where twelve characters depend on nothing else."""
    text = base64.b32encode(f"login{TOKEN[-8:]} and more".encode()).decode()
    assert Redactor({TOKEN[-8:]: ("A",)}).redact(f"id: {text}") == f"id: {text[:8]}[secret A]{text[21:]}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("correct-horse-battery-staple", "the horse-battery of CORRECT-HORSE-BATTERY-STAPLE"),
        ("github_token_name", "GITHUB_TOKEN_NAME, github token name, github-token-name"),
        ("https://accounts.example.com/oauth2/auth?key=Zx81Kq", "https://accounts.example.com/oauth2/auth"),
        ('{"type": "service_account", "key": "Zx81Kq"}', '"type": "service_account", "other": 1'),
        ("abcd1234efgh5678", "abcd 1234 efgh 5678, abcd-1234-efgh-5678"),
        (
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIyIn0.Gfx6VO9tcxwk6xqx9yYzSfebfeakZp5JYIgP_edcw_A",
        ),
    ],
)
def test_what_only_looks_alike(value, text):
    """The words of a value in another order, case or punctuation, and a public JWT header or URL, are not masked."""
    assert Redactor({value: ("A",)}).redact(text) is text


@pytest.mark.slow
def test_thousand_secrets_with_a_common_beginning():
    """Each of a thousand secrets with a common beginning is masked by its own name."""
    values = {f"sk-live-0123456789-{number:04}-{number * 7919 % 10007:05}": (f"S{number}",) for number in range(1000)}
    text = " ".join(values)
    assert Redactor(values).redact(text) == " ".join(f"[secret {names[0]}]" for names in values.values())


@pytest.mark.parametrize("length", range(16, 40))
def test_runs_of_one_character(length):
    """A run that is long enough to contain a secret is masked, and no other character is lost."""
    masked = Redactor({"x" * 16: ("A",), "x" * 16 + "Q": ("B",)}).redact(f"<{'x' * length}> <{'x' * length}Q>")
    assert "x" * 16 not in masked
    assert "Q" not in masked


ALPHABET = [
    *map(chr, range(256)),
    "\\n",
    "\\x4",
    "&#",
    "%2",
    "\x1b[",
    "\x1b]8;;",
    "\nE ",
    "eJw",
    "H4sI",
    "=\n",
    "\u200b",
]


@pytest.mark.slow
def test_texts_of_one_character():
    """Long runs of any character are masked without an error, even if secrets consist of the same characters."""
    chance = random.Random(5)
    values = [unit * 12 for unit in ALPHABET if len((unit * 12).strip()) >= 6]
    values += ["".join(chance.choice(string.printable) for _ in range(20)) for _ in range(20)]
    mine = Redactor({value: (f"S{number}",) for number, value in enumerate(values)})
    for unit in ALPHABET:
        masked = mine.redact(f"a{unit * 300}b")
        assert unit * 12 not in masked or unit * 12 not in values
        assert isinstance(mine.redact_bytes((unit * 300).encode()), bytes)


def test_text_that_only_looks_encoded():
    """Text that looks encoded or compressed but is not stays unchanged."""
    mine = Redactor({TOKEN: ("A",)})
    for text in (
        "BZh91AY&SY",
        "\x1f\x8b\x08 no gzip",
        "QlpoOTFBWSZTWQ",
        "x\x9c",
        "\xfd7zXZ\x00",
        "0x41 0xzz",
        "\\ud800",
    ):
        assert mine.redact(f"<{text}>") == f"<{text}>"
    assert mine.redact_bytes(binascii.unhexlify("1f8b0800") + b"..") == binascii.unhexlify("1f8b0800") + b".."
