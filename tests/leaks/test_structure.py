"""Structured secrets: what is looked for because of a value, and what is not."""

from __future__ import annotations

import base64
import json

import pytest

from pytest_flowsecrets.leaks.encoded import decoded
from pytest_flowsecrets.leaks.redact import Redactor
from pytest_flowsecrets.leaks.sensitive import PUBLIC, SENSITIVE, UNCLEAR, is_random, names_a_secret, rank
from pytest_flowsecrets.leaks.structure import parts_of, texts_in_data

from .structured import KINDS, structured

ENCODERS = {
    "raw": str,
    "json": json.dumps,
    "repr": repr,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in a line": lambda text: f"2026-01-01 INFO url: {text}, done",
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_sensitive_part_is_known(kind):
    """Alone and in the whole, in several forms; nothing of its first and last twelve characters is left."""
    secret = structured(kind, 1)
    mine = Redactor({secret.value: ("A",)})
    for text in [secret.value, *secret.sensitive]:
        for encode in ENCODERS.values():
            masked = mine.redact(encode(text))
            assert "[secret A]" in masked, text
            assert not [
                part
                for part in secret.sensitive
                if encode(part) in masked or (part[-12:] in masked and "-----" not in part)
            ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_public_frame_is_no_leak(kind):
    """Nor another secret of the same kind, whole or cut, in any form."""
    mine = Redactor({structured(kind, 1).value: ("A",)})
    for number in range(2, 12):
        other = structured(kind, number)
        for text in [*other.public, other.value, *other.sensitive]:
            for encode in ENCODERS.values():
                for shown in (encode(text), f"{encode(text)[:40]}...", f"...{encode(text)[-20:]}"):
                    assert mine.redact(shown) == shown


def test_lines_of_a_key_printed_either_way():
    """A key with escaped line breaks is found with real ones, and the other way round, and in one line."""
    for value in (structured("PKCS #8", 1).value, structured("PKCS #8", 1).value.replace("\n", "\\n")):
        lines = structured("PKCS #8", 1).value.splitlines()
        mine = Redactor({value: ("A",)})
        for text in ("\n".join(lines[2:7]), "\\n".join(lines[2:7]), "".join(lines[1:-1]), " ".join(lines), lines[9]):
            masked = mine.redact(text)
            assert "[secret A]" in masked
            assert not [line for line in lines[2:-2] if line in masked]


SENSITIVE_TEXTS = {
    "db://me:a%2Fb%2Fcd@c@host/x": ["a%2Fb%2Fcd@c", "a/b/cd@c"],
    "postgres://me:pass/w0rd9@host/x": ["pass/w0rd9"],
    "https://ghp_abcdefghi@host": ["ghp_abcdefghi"],
    "https://ghp_abcDEF012345:x-oauth-basic@github.com/a/b": ["ghp_abcDEF012345", "x-oauth-basic"],
    "ssh://git@host:22/a:b@c": [],
    "https://example.com/": [],
    "https://example.com/services/team/hook": ["/services/team/hook"],
    "https://example.com/callback?state=aB1cD2eF3#access_token=tok-EN-99x": ["aB1cD2eF3", "tok-EN-99x"],
    "jdbc:oracle:thin:scott/tiger99x@//db:1521/x": ["tiger99x"],
    '{"a": "inside"}': ["inside"],
    "{'a': 'inside'}": ["inside"],
    '{"pin": 482913, "port": 543210, "x": null}': ["482913"],
    '{"words": "correct horse battery staple", "url": "postgres://u:hunter2x@h/d"}': [
        "postgres://u:hunter2x@h/d",
        "hunter2x",
    ],
    '["correct horse battery staple", "inside"]': ["correct horse battery staple"],
    "{broken": [],
    "[" * 100_000: [],
    '"text-in"': ["text-in"],
    "`ghp_abcDEF`": ["ghp_abcDEF"],
    "-----BEGIN\nabcdefghijklmn\nshort": ["abcdefghijklmn"],
    "first-line-of-it\nsecond-line-of-it": ["first-line-of-it", "second-line-of-it"],
    "git clone https://ghp_abcdefghijk@github.com/a/b": ["ghp_abcdefghijk"],
    "https://ghp_abcdefghijk@a.example, amqp://u:hunter2xyz@b.example": ["ghp_abcdefghijk", "hunter2xyz"],
    "tok-aa,tok-bb": ["tok-aa", "tok-bb"],
    '{"Bucket": "flows", "Key": "flows/my-flow", "SecretAccessKey": "hunter2xyz"}': ["hunter2xyz"],
    "db.example.com:5432:app:deploy:hunter2xyz\n# comment\n": ["hunter2xyz"],
    "deploy:hunter2-xyz": ["hunter2-xyz"],
    "X-Api-Key: hunter2xyz": ["hunter2xyz"],
    "BlobEndpoint=https://x.example/;SharedAccessSignature=sv=2020-08-04&ss=b&sig=a1B2c3D4": [
        "sv=2020-08-04&ss=b&sig=a1B2c3D4",
        "a1B2c3D4",
    ],
    "app:hunter2xyz@tcp(127.0.0.1:3306)/db?parseTime=true": ["hunter2xyz"],
    "<server id='x'><username>deploy</username><password>hunter2xyz</password></server>": ["hunter2xyz"],
    '<add name="app" connectionString="Server=db;Pwd=hunter2xyz"/>': ["Server=db;Pwd=hunter2xyz", "hunter2xyz"],
    "sig=hunter2%2Bxyz&sv=2020-08-04": ["hunter2+xyz", "hunter2%2Bxyz"],
    "password=hunter2xyz host=db": ["hunter2xyz"],
    'Password="hunter2;xyz";Server=db': ["hunter2;xyz"],
    "eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJlLTE": ["c2lnbmF0dXJlLTE"],
    "A=first-a1b2c3\nB=second-d4e5f6\n": ["first-a1b2c3", "second-d4e5f6"],
    "Server=db;Database=app;Trusted_Connection=yes": [],
    "x&y=z;a|b(c)": [],
    "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----": [],
}


@pytest.mark.parametrize("value", SENSITIVE_TEXTS)
def test_what_is_looked_for(value):
    """The value itself first, then each sensitive text in it."""
    first, *others = [part.text for part in parts_of(value)]
    assert first == value
    assert [text for text in others if text not in SENSITIVE_TEXTS[value] and not text.startswith("/")] == []
    assert {*SENSITIVE_TEXTS[value]} <= {*others}


def test_a_value_without_a_format_is_looked_for_as_it_is():
    """With its cuts."""
    assert parts_of("correct-horse-battery") == [("correct-horse-battery", 0, 0, False)]


def test_a_certificate_beside_a_key_is_public():
    """Without a key it is what somebody has declared."""
    key = structured("PKCS #8", 1).value
    certificate = structured("PKCS #8", 2).value.replace("PRIVATE KEY", "CERTIFICATE")
    shown = certificate.splitlines()[5]
    assert Redactor({key + certificate: ("A",)}).redact(shown) == shown
    assert Redactor({certificate: ("A",)}).redact(shown) == "[secret A]"


def test_data():
    """Values that are mappings or sequences follow the same rule."""
    data = {"type": "object", "password": "hunter2xyz", "list": [b"tok-1aB2cD3", 5], "host": "db.example.com"}
    assert list(texts_in_data(data)) == ["hunter2xyz", "tok-1aB2cD3"]
    assert list(texts_in_data({"a": ["x-leaf", 5], "b": {"c": ("y-leaf",)}})) == ["x-leaf", "y-leaf"]


def test_formats_inside_each_other_end():
    """Base64 of base64 and so on is decoded a few times only."""
    text = "hunter2-and-more"
    for _ in range(9):
        text = base64.b64encode(text.encode()).decode()
    assert len(parts_of(text)) < 9


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("aHVudGVyMg==", ""),
        ("aHVudGVyMnh5eg", "hunter2xyz"),
        ("aHVudGVyMnh5\neg==", "hunter2xyz"),
        ("/////////////w==", ""),
    ],
)
def test_base64(text, plain):
    """Only printable texts; with or without padding."""
    assert decoded(text) == plain


RANDOM = """
abcDEF0123456789xyz XyZ12345 Zx8k2Wq9 x7Kq-9Lm2-pQ4z wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY T024F7K9P
3f2b8c1e-1111-2222-3333-444455556666 123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11 abc123def456 s3cr3tWebhookToken
AKIAIOSFODNN7EXAMPLE YWxhZGRpbjpvcGVuc2VzYW1l 0123456789abcdef0123456789abcdef01234567 thisisaverylongpassphrase
"""
WORDS = """
service_account googleapis.com sendMessage oauth2 x86_64 HmacSHA256 us-central1 application/json wordpress2021 v2beta1
XXXXXXXXXXXXXXXXXXXX T00000000 base64url 2020-08-04T00:00:00Z TLS_AES_256_GCM_SHA384 python3.11-slim my-project-123456
deploy@my-project.iam.gserviceaccount.com arn:aws:iam::123456789012:role/deploy-role docker.io/library/python:3.11
0123456789012345678901234567890123456789 ODBC_Driver_17_for_SQL_Server
"""


def test_what_looks_random():
    """Tokens do; words, names, dates, numbers and placeholders do not."""
    assert [text for text in RANDOM.split() if not is_random(text)] == []
    assert [text for text in WORDS.split() if is_random(text)] == []


def test_names_of_secrets():
    """In any case and with any punctuation; names that only hold such a word are others."""
    secret = "password Pwd AccountKey SharedAccessKey _authToken client_secret aws_secret_access_key private_key api-key ssh-key"
    other = "token_uri SharedAccessKeyName AccountName client_email auth_uri keyspace monkey private_key_id author compass key public_key"
    assert [name for name in secret.split() if not names_a_secret(name)] == []
    assert [name for name in other.split() if names_a_secret(name)] == []


def test_ranks():
    """By name, by look, and neither."""
    assert rank("anything", "password") == SENSITIVE
    assert rank("abcDEF0123456789xyz") == SENSITIVE
    assert rank("abcDEF0123456789xyz", "client_email") == PUBLIC
    assert rank("www.ab12cd34ef56.example") == rank("2020-08-04") == rank("https://example.com/a") == PUBLIC
    assert rank("inside") == rank("a few words", "x") == UNCLEAR
