"""Files that reporters wrote: secrets in them are masked, and the files stay readable."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.mask.written_files import masked_content

PLAIN = "k9TzWq4mLr"
ACROSS = 'kept" time='  # by chance, the end of one attribute and the beginning of the next


@pytest.fixture
def clean():
    redactor = Redactor({PLAIN: ("PLAIN",), ACROSS: ("ACROSS",), '"b": 1, "c"': ("JSON",)})
    return lambda text: redactor.redact(text) if isinstance(text, str) else redactor.redact_bytes(text)


def test_what_holds_none_is_left(clean):
    """``masked_content`` returns the same object if it contains no secret."""
    data = b"<a>nothing</a>"
    assert masked_content(data, clean) is data


def test_xml(clean):
    """In XML, attributes, texts and tails are masked, but a match across two of them is not."""
    data = f'<?xml version="1.0"?><a name="is {PLAIN}"><b name="not_kept" time="1">{PLAIN}</b>{PLAIN} é</a>'.encode()
    root = ET.fromstring(masked_content(data, clean))
    assert root.get("name") == "is [secret PLAIN]"
    assert root[0].attrib == {"name": "not_kept", "time": "1"}
    assert (root[0].text, root[0].tail) == ("[secret PLAIN]", "[secret PLAIN] é")


def test_json(clean):
    """In JSON, keys and texts are masked, but a match across two of them is not."""
    masked = masked_content(json.dumps({"a": [PLAIN], "b": 1, "c": 2, PLAIN: None}).encode(), clean)
    assert json.loads(masked) == {"a": ["[secret PLAIN]"], "b": 1, "c": 2, "[secret PLAIN]": None}


def test_json_lines(clean):
    """In JSON lines, each line is masked separately."""
    data = "".join(json.dumps(line) + "\n" for line in ({"a": PLAIN}, {"b": 1, "c": 2})).encode()
    assert [json.loads(line) for line in masked_content(data, clean).splitlines()] == [
        {"a": "[secret PLAIN]"},
        {"b": 1, "c": 2},
    ]


def test_anything_else(clean):
    """Other content, and broken XML, is masked as bytes."""
    assert masked_content(b"\xff " + PLAIN.encode(), clean) == b"\xff [secret PLAIN]"
    assert masked_content(f"<?xml <a>{PLAIN}".encode(), clean) == b"<?xml <a>[secret PLAIN]"
