"""Forms, search and masking, without pytest."""

from __future__ import annotations

import base64
import gzip
import json
import pydoc_data.topics
import random
import string
import sys
import zlib

import pytest

from pytest_flowsecrets.leaks.mask.redactor import WITHHELD, Redactor
from pytest_flowsecrets.leaks.search.encodings import forms_of
from pytest_flowsecrets.leaks.search.finder import Finder

from .disguises import FORMS, value_of

TOKEN = "ghp_abcDEF0123456789xyzQRS"


def redactor(*values, **named):
    return Redactor(
        {**{value: (f"S{number}",) for number, value in enumerate(values)}, **{v: (n,) for n, v in named.items()}}
    )


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_masked(form):
    """A value in each form is masked inside another text, which stays unchanged."""
    value = value_of("redact", form)
    disguised = FORMS[form][1](value)
    masked = redactor(TOKEN=value).redact(f"before {disguised} after")
    assert "[secret TOKEN]" in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert value[:8] not in masked


def test_a_text_without_secrets_is_the_same_object():
    """A text without secrets is returned itself, not a copy."""
    text = "nothing to see " * 1000
    assert redactor(TOKEN).redact(text) is text
    assert redactor().redact(text) is text
    data = text.encode()
    assert redactor(TOKEN).redact_bytes(data) is data


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (TOKEN, "[secret S0]"),
        (f"x{TOKEN}y", "x[secret S0]y"),
        (f"{TOKEN}{TOKEN}", "[secret S0][secret S0]"),
        (TOKEN[:8], "[secret S0]"),
        (TOKEN[:7], TOKEN[:7]),
        (f"{TOKEN[:20]}!", "[secret S0]!"),
        (f"é{TOKEN}€ {TOKEN}", "é[secret S0]€ [secret S0]"),
        ("'ghp_abc '\n  'DEF0123456789xyzQRS'", "'[secret S0]'"),
        ("E   ghp_abcDEF012\nE       3456789xyzQRS", "E   [secret S0]"),
        ("\x1b[31mghp_\x1b[0mabcDEF0123456789xyzQRS", "\x1b[31m[secret S0]"),
    ],
)
def test_examples(text, masked):
    """A token is replaced by its mask, and the surrounding text stays unchanged."""
    assert redactor(TOKEN).redact(text) == masked


def test_secrets_that_contain_each_other_or_overlap():
    """Of a secret inside another one, the longer is masked; of two that overlap, both."""
    both = redactor("abcdefghijkl", "cdefghij")
    assert both.redact("abcdefghijkl cdefghij") == "[secret S0] [secret S1]"
    assert redactor("0123456789", "56789abcde").redact("0123456789abcde") == "[secret S0][secret S1]"


@pytest.mark.parametrize(
    "value", [r"a.*b+c?[x](y){2}|\d^$", "\\" * 8, "(((((((((", "[secret S0]", "secret", "[hidden 1]", "........."]
)
def test_odd_secrets(value):
    """Secrets of regex metacharacters, or of the characters of a mask, are masked."""
    mine = redactor(value)
    once = mine.redact(f"a {value} b")
    assert value not in once
    assert mine.redact(once) == once


def test_a_name_that_is_a_value():
    """A mask does not show a name that contains the value."""
    assert redactor(TOKENTOKEN="TOKENTOKEN").redact("x TOKENTOKEN") == "x [secret #1]"


def test_a_mask_that_makes_another_secret():
    """The masked text is searched again, because a mask can form another secret."""
    mine = redactor(A="0123456789", B="x[secret A]y")
    assert mine.redact("x0123456789y") == "[secret B]"


def test_what_cannot_be_masked_is_withheld():
    """If each mask forms another secret, the text is withheld."""
    mine = redactor(**{chr(65 + number): f"+{'-' * 8}{number}" for number in range(3)})
    mine.mask = lambda _: "+--------0"
    assert mine.redact("+--------1") == WITHHELD
    assert mine.redact_bytes(b"+--------1") == b""


@pytest.mark.slow
def test_piece_borders():
    """A secret that begins in one piece of a large text and ends in the next is masked."""
    for shift in range(0, 40, 3):
        text = "x" * ((1 << 19) - shift) + TOKEN + "é" + "x" * 1000
        assert redactor(TOKEN).redact(text) == text.replace(TOKEN, "[secret S0]")


def test_lone_surrogates_and_binary():
    """Secrets next to lone surrogates and arbitrary bytes are masked, and the rest stays unchanged."""
    odd = "\ud800" + TOKEN + "\udcff"
    assert redactor(TOKEN).redact(odd) == "\ud800[secret S0]\udcff"
    assert redactor("tok\udcffen\udc80 value").redact("a tok\udcffen\udc80 value b") == "a [secret S0] b"
    data = bytes(range(256))
    assert redactor(TOKEN).redact_bytes(data + TOKEN.encode() + data) == data + b"[secret S0]" + data


@pytest.mark.slow
def test_a_line_of_fifty_megabytes():
    """A secret at the end of a line of 50 MB is masked."""
    line = "0123456789" * 5_000_000 + TOKEN
    assert redactor(TOKEN).redact(line).endswith("789[secret S0]")


def test_short_secrets():
    """Registered secrets of two to six characters are masked."""
    assert (
        redactor("ab", "abc", "12345", "qwerty").redact("ab abc 12345 xqwerty")
        == "[secret S0] [secret S1] [secret S2] x[secret S3]"
    )


def test_ordinary_beginnings_are_not_masked():
    """A scheme or the header of a key alone is not masked."""
    url, key = (
        "https://hooks.example/T00/B00/XyZ12345",
        f"-----BEGIN RSA PRIVATE KEY-----\n{'MIIEabc' * 9}\n-----END RSA PRIVATE KEY-----\n",
    )
    mine = redactor(url, key)
    for text in (
        "https://hooks.example/docs",
        "-----BEGIN RSA PRIVATE KEY-----",
        base64.b64encode(b"https://other").decode(),
    ):
        assert mine.redact(text) is text
    assert mine.redact(f"<{url}>") == "<[secret S0]>"
    assert mine.redact("..." + url[-6:]) == "...[secret S0]"


def test_short_parts_need_an_ellipsis():
    """Half of a short value is masked only next to an ellipsis."""
    mine = redactor("s3cr3t-12")
    assert mine.redact("s3cr3 s3cr3...") == "s3cr3 [secret S0]..."
    assert mine.redact("...3t-12 3t-12") == "...[secret S0] 3t-12"
    assert mine.redact("s3cr3…") == "[secret S0]…"


def test_truncated_values_do_not_join_complete_ones_in_other_lines():
    """The text between a value and a truncated one in the next or the previous line stays."""
    value = "AKIANEWKEY7Q2W9E4R6T"
    text = f'assert key == "{value}"\nassert "AKIAOL...9E4R6T" == "AKIANEWKEY7Q...Y7Q2W9E4R6T"\nE  differs: "{value}"'
    masked = redactor(KEY=value).redact(text)
    assert masked.replace("[secret KEY]", "#") == (
        'assert key == "#"\nassert "AKIAOL...9E4R6T" == "#...#"\nE  differs: "#"'
    )


def test_words_of_a_value_are_not_masked():
    """Of a value of words, a longer part is needed, or an ellipsis."""
    mine = redactor("from the variable", "correct-horse-battery-staple")
    for text in ("a variable", "variables", "correct-hor", base64.b64encode(b"variable").decode()):
        assert mine.redact(text) is text
    assert mine.redact("...variable") == "...[secret S0]"
    assert mine.redact("correct-horse-b") == "[secret S1]"


@pytest.mark.parametrize("value", ["pa$$ 'w\"o\\rd\t<&>%\nxyz", "!@#$%^&*()_+;:<>,./", "x&y=z;a|b(c)"])
def test_punctuation_is_not_a_word(value):
    """Eight characters with several kinds of punctuation are a leak, as in other values."""
    mine = redactor(value)
    for part in (value[:8], value[-8:]):
        assert mine.redact(f"before {part} after") == "before [secret S0] after"
    assert redactor("--------------------------x").redact("---------") == "---------"


@pytest.mark.parametrize("level", range(10))
def test_payloads_of_every_level(level):
    """A value in a zlib payload of every level is masked, whatever its first bytes are."""
    for text in (f"{TOKEN}", f'{{"x": "{TOKEN}"}}', f"\x00\x01{TOKEN}", f"{'a flow ' * 20}{TOKEN}", f"ééé{TOKEN}"):
        packed = base64.b64encode(zlib.compress(text.encode(), level)).decode()
        assert redactor(TOKEN).redact(f"flow: {packed}.") == "flow: [secret S0]."


def test_colors_at_each_escape():
    """A value is masked if a highlighter colors its quotes and escapes separately."""
    value = "aX'7\"b\\c"
    colored = "\x1b[33maX\x1b[39;49;00m\x1b[33m\\'\x1b[39;49;00m\x1b[33m7\"b\x1b[39;49;00m\x1b[33m\\\\\x1b[39;49;00mc"
    assert redactor(value).redact(f"é \x1b[1m'{colored}'\x1b[0m é") == "é \x1b[1m'\x1b[33m[secret S0]'\x1b[0m é"


def test_false_payloads():
    """Text that begins like a compressed payload but is none stays unchanged."""
    mine = redactor(TOKEN)
    for text in ("H4sI", "eJw" * 50, "H4sI" + "A" * 200, "eJy!"):
        assert mine.redact(text) is text


@pytest.mark.parametrize("noise", [100, 4_000, 100_000])
def test_a_payload_that_breaks_off(noise):
    """A truncated or damaged payload is searched as far as it can be read."""
    content = f"{TOKEN} {bytes(random.Random(1).choices(range(256), k=noise)).hex()}"
    whole = base64.b64encode(zlib.compress(content.encode())).decode()
    mine = redactor(TOKEN)
    for end in ("", "!", "\n\nend"):
        assert mine.redact(whole[: len(whole) * 9 // 10] + end).startswith("[secret S0]")
    damaged = f"{whole[:140]}{'A' * 40}{whole[180:]}"
    assert mine.redact(f"flow: {damaged}").startswith("flow: [secret S0]")


@pytest.mark.parametrize("encode", [bytes.hex, base64.b64encode, repr], ids=["hex", "base64", "repr"])
def test_the_end_of_a_long_payload(encode):
    """A payload is masked if the value is at its end, after thousands of characters."""
    packed = encode(gzip.compress(f"{random.Random(1).getrandbits(40_000):x} {TOKEN}".encode()))
    text = packed.decode() if isinstance(packed, bytes) else packed
    assert len(text) > 6_000
    assert "[secret S0]" in redactor(TOKEN).redact(f"flow: {text} end")


@pytest.mark.slow
def test_a_payload_that_unpacks_without_end():
    """Only the first 16 MB of an unpacked payload are searched."""
    mine = redactor(TOKEN)
    for before, is_masked in (("", True), ("0" * 17_000_000, False)):
        packed = base64.b64encode(zlib.compress(f"{before}{TOKEN}{'0' * 17_000_000}".encode())).decode()
        assert (mine.redact(packed) != packed) is is_masked


def test_another_name():
    """A value that gets another name is shown by its new first name. An added value has its own name."""
    mine = Redactor({TOKEN: ("A",)})
    assert mine.redact(TOKEN) == "[secret A]"
    mine.update({TOKEN: ("B", "A"), "Zx8k2Wq9": ("C",)})
    assert mine.redact(f"{TOKEN} Zx8k2Wq9") == "[secret B] [secret C]"
    assert [match.names for match in mine.find(TOKEN)] == [("B", "A")]


@pytest.mark.parametrize("text", [".", ". ", "(", "ä", "", "é."])
def test_short_texts_of_a_stream(text):
    """Short texts with no character of any value pass unchanged and are kept for the next text."""
    mine = redactor(TOKEN)
    assert mine.redact_next("before", text) == (text, f"before{text}")


@pytest.mark.parametrize("size", range(1, 26))
@pytest.mark.parametrize("value", [TOKEN, "Zx8k2W", "correct-horse-battery-staple"])
def test_a_stream_of_pieces(value, size):
    """Of a value written in pieces, at most half is shown, however short the pieces are."""
    mine, before, shown = redactor(value), "", ""
    text = f"token: {value}, and so on; {value}\n"
    for start in range(0, len(text), size):
        part, before = mine.redact_next(before, text[start : start + size])
        shown += part
    assert value not in shown
    assert value[len(value) // 2 + 1 :] not in shown
    assert "and so on" in shown


def test_a_stream_of_lines():
    """A value that is written line by line is masked as soon as its first eight characters are written."""
    mine, before, shown = redactor(TOKEN), "", ""
    for part in ("token: ghp_abcDE", "\n", "F01234", "\n", "56789xyzQRS", "\n", "done\n"):
        text, before = mine.redact_next(before, part, [])
        shown += text
    assert before.strip() == "done"
    assert "F0" not in shown
    assert "yz" not in shown
    assert shown.endswith("done\n")


def test_names_are_shown_safely():
    """Control characters in a name are escaped in the mask."""
    assert redactor(**{"a\nb\x1b[31m": TOKEN}).redact(TOKEN) == "[secret a\\nb\\x1b[31m]"
    assert repr(redactor(TOKEN)) == "<Redactor <Finder of 1 values>>"


def test_more_values_later():
    """``update`` adds names to a value and adds values."""
    finder = Finder({TOKEN: ("A",)})
    finder.update({TOKEN: ("A", "B"), "another-value": ("C",)})
    assert [match.names for match in finder.find(f"{TOKEN} another-value")] == [("A", "B"), ("C",)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # modules warn when their deprecated objects are read
def test_no_false_alarm_in_the_documentation_of_the_standard_library():
    """None of 200 typical tokens is found in the documentation of the standard library."""
    chance = random.Random(7)
    kinds = [
        string.ascii_letters + string.digits,
        "0123456789abcdef",
        string.ascii_letters + string.digits + "+/",
        string.ascii_uppercase,
    ]
    tokens = {"".join(chance.choice(kinds[number % 4]) for _ in range(12 + number % 40)) for number in range(200)}
    finder = Finder(dict.fromkeys(tokens, ("T",)))
    texts = [*pydoc_data.topics.topics.values()]
    for module in list(sys.modules.values()):
        for thing in [module, *vars(module).values()]:
            text = getattr(thing, "__doc__", None)
            texts += [text] if isinstance(text, str) else []
    assert list(finder.find("\n".join(dict.fromkeys(texts)))) == []


hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

VALUES = st.lists(
    st.text(min_size=6, max_size=40).filter(lambda text: len(text.strip()) >= 6), min_size=1, max_size=4, unique=True
)
FILLING = st.text(max_size=30)


def decoded(data):
    """Return a form as text, or nothing if it is in another character set."""
    try:
        return [data.decode("utf-8", "surrogatepass")]
    except UnicodeDecodeError:
        return []


@pytest.mark.slow
@hypothesis.given(VALUES, st.data())
def test_nothing_of_a_generated_secret_is_left(values, data):
    """No form of any secret remains in the masked text, and masking it again changes nothing."""
    mine = Redactor({value: (f"S{number}",) for number, value in enumerate(values)})
    every = [text for value in values for form in forms_of(value) for text in decoded(form.text)]
    parts = data.draw(st.lists(st.one_of(FILLING, st.sampled_from(every)), max_size=8))
    text = "".join(parts)
    masked = mine.redact(text)
    assert not [form for form in every if form in masked]
    assert mine.redact(masked) is masked
    assert masked is text or masked != text


BREAKS = st.sampled_from("bE-|>+ \t\n'\",\\nré")


@pytest.mark.slow
@hypothesis.given(st.text(BREAKS, min_size=6, max_size=30), st.text(BREAKS, max_size=30), st.booleans())
@hypothesis.example("b" * 12, "\nb\n", False)
@hypothesis.example("\t" * 30, "rr'\n" + "\t" * 22 + "bbb", False)
def test_secrets_made_of_what_a_break_consists_of(value, text, inside):
    """A secret of the characters of line breaks is masked in any text without an error."""
    text = f"{text}{value}{text}" if inside else text
    mine = redactor(value)
    assert value not in mine.redact(text)
    assert isinstance(mine.redact_bytes(text.encode()), bytes)


@pytest.mark.slow
@hypothesis.given(VALUES, st.text(max_size=200))
def test_a_text_is_changed_only_where_a_secret_is(values, text):
    """``redact`` returns the same text if and only if ``find`` finds nothing."""
    mine = Redactor({value: (f"S{number}",) for number, value in enumerate(values)})
    assert (mine.redact(text) is text) == (not mine.find(text))


@pytest.mark.slow
@hypothesis.given(st.binary(max_size=300), st.text(min_size=8, max_size=20))
def test_bytes(data, value):
    """A secret between any bytes is masked."""
    mine = Redactor({value: ("S",)})
    inside = value.encode("utf-8", "surrogatepass")
    assert inside not in mine.redact_bytes(data + inside + data)


@pytest.mark.slow
@hypothesis.given(st.text(min_size=8, max_size=30), st.integers(0, 5), st.integers(0, 40))
def test_base64_at_any_place_of_a_longer_text(value, before, after):
    """A secret in base64 is masked in all three alignments."""
    data = b"x" * before + value.encode("utf-8", "surrogatepass") + b"y" * after
    masked = Redactor({value: ("S",)}).redact(base64.b64encode(data).decode())
    assert "[secret S]" in masked or len(value.strip()) < 6


@pytest.mark.slow
@hypothesis.given(
    st.recursive(
        st.text(min_size=10, max_size=20),
        lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(), inner, min_size=1),
        max_leaves=5,
    )
)
def test_json_in_json(data):
    """Texts in data that is dumped as JSON twice are masked."""
    from pytest_flowsecrets.leaks.registry import texts_of

    leaves = [text for text in texts_of(data) if len(text.strip()) >= 6]
    masked = Redactor(dict.fromkeys(leaves, ("S",))).redact(json.dumps(json.dumps(data)))
    assert not [leaf for leaf in leaves if leaf in masked]
