"""Structured secrets: which texts are masked because of a value, and which are not."""

from __future__ import annotations

import base64
import json
import random

import pytest

from pytest_flowsecrets.leaks.formats.encoded_secrets import decoded
from pytest_flowsecrets.leaks.formats.secret_parts import parts_of, texts_in_data
from pytest_flowsecrets.leaks.formats.sensitive_fields import (
    PUBLIC,
    SENSITIVE,
    UNCLEAR,
    is_random,
    names_a_secret,
    rank,
)
from pytest_flowsecrets.leaks.mask.redactor import Redactor

from .structured import KINDS, LETTERS, structured

ENCODERS = {
    "raw": str,
    "json": json.dumps,
    "repr": repr,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in a line": lambda text: f"2026-01-01 INFO url: {text}, done",
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_sensitive_part_is_masked(kind):
    """Each sensitive part is masked alone and in the whole value, in several forms."""
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_public_frame_is_not_masked(kind):
    """The public frame and another secret of the same kind are not masked, whole or truncated, in any form."""
    mine = Redactor({structured(kind, 1).value: ("A",)})
    for number in range(2, 12):
        other = structured(kind, number)
        for text in [*other.public, other.value, *other.sensitive]:
            for encode in ENCODERS.values():
                for shown in (encode(text), f"{encode(text)[:40]}...", f"...{encode(text)[-20:]}"):
                    assert mine.redact(shown) == shown


def test_lines_of_a_key_printed_either_way():
    """A key with escaped line breaks is masked with real ones, with other ones, and in one line."""
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
    "A=first-a1b2c3\nthis-is-a-line-of-it\nok-short\nB=second-d4e5f6\n": [
        "first-a1b2c3",
        "this-is-a-line-of-it",
        "second-d4e5f6",
    ],
    "Server=db;Database=app;Trusted_Connection=yes": [],
    "x&y=z;a|b(c)": [],
    "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----": [],
}


@pytest.mark.parametrize("value", SENSITIVE_TEXTS)
def test_sensitive_texts(value):
    """The value itself comes first, then each sensitive text in it."""
    first, *others = [part.text for part in parts_of(value)]
    assert first == value
    assert [text for text in others if text not in SENSITIVE_TEXTS[value] and not text.startswith("/")] == []
    assert {*SENSITIVE_TEXTS[value]} <= {*others}


def test_a_value_without_a_format():
    """A value without a format is a single part without a public beginning or end."""
    assert parts_of("correct-horse-battery") == [("correct-horse-battery", 0, 0, False)]


def test_a_certificate_next_to_a_key_is_public():
    """A certificate next to a key is public, but a certificate alone is a secret."""
    key = structured("PKCS #8", 1).value
    certificate = structured("PKCS #8", 2).value.replace("PRIVATE KEY", "CERTIFICATE")
    shown = certificate.splitlines()[5]
    assert Redactor({key + certificate: ("A",)}).redact(shown) == shown
    assert Redactor({certificate: ("A",)}).redact(shown) == "[secret A]"


def test_data():
    """The same rule applies to mappings and sequences."""
    data = {"type": "object", "password": "hunter2xyz", "list": [b"tok-1aB2cD3", 5], "host": "db.example.com"}
    assert list(texts_in_data(data)) == ["hunter2xyz", "tok-1aB2cD3"]
    assert list(texts_in_data({"pin": 482913, "port": 543210})) == ["482913"]
    assert list(texts_in_data({"a": ["x-leaf", 5], "b": {"c": ("y-leaf",)}})) == ["x-leaf", "y-leaf"]


def test_formats_inside_each_other_end():
    """Repeated base64 is decoded a limited number of times."""
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
        ("aHVudGVyMgl4eXo=", "hunter2\txyz"),
        ("/////////////w==", ""),
    ],
)
def test_base64(text, plain):
    """Base64 of printable text is decoded, with or without padding."""
    assert decoded(text) == plain


INSIDE = [
    ("[db]\nuser = svc\npassword = hunter2xyz\nhost = db.example\n", "hunter2xyz"),
    ('[db]\nuser = "svc"\npassword = "hunter2xyz"\n', "hunter2xyz"),
    ('resource "db" "x" {\n  username = "svc"\n  password = "hunter2xyz"\n}\n', "hunter2xyz"),
    ("spring.datasource.username = svc\nspring.datasource.password = hunter2xyz", "hunter2xyz"),
    ("login = svc\naccount = main\npassword  :  hunter2xyz", "hunter2xyz"),
    ("machine github.com login deploy password hunter2xyz", "hunter2xyz"),
    ("postgres://u:pa?ssw0rd9xy@host/db", "pa?ssw0rd9xy"),
    ("postgres://u:pa#ssw0rd9xy@host/db?email=me@example.com", "pa#ssw0rd9xy"),
    ("postgres://u:pa ssw0rd9xy@host/db", "pa ssw0rd9xy"),
    ("postgres://u:pa/s?w0#r;d9@xy@host:5432/db?sslmode=require", "pa/s?w0#r;d9@xy"),
    ("redis://:pa?ssw0rd9xy@host?token=tok-EN-99x", "tok-EN-99x"),
    ("https://u:hunter2xyz@example.com/a?email=me@example.com", "hunter2xyz"),
    ("password: sun7ab # note", "sun7ab"),
    ("user=svc\npassword='hunter2xyz' ; note\n", "hunter2xyz"),
    ("user=svc\npassword=hunter2xyz ; note\n", "hunter2xyz ; note"),
    ("a: 1\ndb: {user: svc, password: 'hunter2xyz', port: 1}\nc: 2", "hunter2xyz"),
    ("{user: svc, password: hunter2xyz}", "hunter2xyz"),
    ("Driver={x};Uid=u;Pwd={sun}}shine1};Encrypt=yes", "sun}shine1"),
    ("Driver={x};Uid=u;Pwd={sun}}shine1};Encrypt=yes", "sun}}shine1"),
    ('Server=db;Password="sun""shine1";x=y', 'sun"shine1'),
    ("<a><password>sun&amp;shine1</password></a>", "sun&shine1"),
    ("<db user='svc' password='sun&amp;shine1'/>", "sun&shine1"),
    ("<a><password><![CDATA[sun<shine1]]></password></a>", "sun<shine1"),
    ('\ufeff{"user": "svc", "password": "hunter2xyz"}', "hunter2xyz"),
    ("mysql -u root --password=sun7ab -h db", "sun7ab"),
    ("mysql -u root -phunter2xyz db", "hunter2xyz"),
    ("psql --password sun7ab db", "sun7ab"),
    ("tool --api-token hunter2xyz -v", "hunter2xyz"),
    ("a=1;b=2&password=hunter2xyz", "hunter2xyz"),
    ("PGPASSWORD=sun7ab psql -h db", "sun7ab"),
    ("curl -u svc:hunter2xyz https://example.com/a", "hunter2xyz"),
    ("curl -H 'Authorization: Bearer hunter2xyz' https://example.com/a", "hunter2xyz"),
    ("curl -s https://u:hunter2xyz@example.com/a", "hunter2xyz"),
    ("docker login -u svc -p hunter2xyz registry.example.com", "hunter2xyz"),
    ("set -e\nredis-cli -a hunter2xyz ping\n", "hunter2xyz"),
    ("session=hunter2xyz; csrftoken=qwertyuiopas", "hunter2xyz"),
    ("Cookie: session=hunter2xyz; csrftoken=qwertyuiopas", "qwertyuiopas"),
    ("Set-Cookie: sid=hunter2xyz; Path=/; HttpOnly", "hunter2xyz"),
    *[
        (f'{{"id": "a8Fk2Lq0Xz7Rt5Bn", "{name}": "hunterxyz"}}', "hunterxyz")
        for name in ("psw", "pswd", "passcode", "passkey", "bearer", "db_pass", "dbpass", "csrf_value", "otp", "jwt")
    ],
]


@pytest.mark.parametrize(("value", "secret"), INSIDE)
def test_secrets_of_each_notation(value, secret):
    """The secret is masked alone and in the whole value."""
    mine = Redactor({value: ("A",)})
    for text in (secret, value):
        masked = mine.redact(f"<{text}>")
        assert "[secret A]" in masked
        assert secret not in masked


@pytest.mark.parametrize(
    "value",
    [
        "docker run -p 8080:80 registry.example.com/app",
        "curl -H 'Accept: application/json' https://example.com/a",
        "curl --password-policy --token -s https://example.com/a",
        "it isn't - not really -x",
        "tool --token --verbose",
        "ssh://deploy@example.com:22/a",
        "theme=dark; language=de",
        "theme=midnight-blue; session=hunter2xyz",
        f"tar -x {'a ' * 20_000}",
        "A=first -x",
    ],
)
def test_commands_and_pairs_without_a_secret(value):
    """Options, ports and other words of a command are not secrets by themselves."""
    words = ("8080:80", "application/json", "-s", "dark", "midnight-blue", "-x", "--verbose", "deploy")
    assert not [part for part in parts_of(value) if part.text in words]


HEADS = [
    "hvs.CAESI",
    "IQoJb3JpZ2luX2Vj",
    "FwoGZXIvYXdz",
    "ya29.a0A",
    "ATATT3xFfGF0",
    "AGE-SECRET-KEY-1",
    "xoxb-123456789012-",
    "ENC[AES256_GCM,data:",
    "$argon2id$v=19$m=65536,t=3,p=4$",
    "pbkdf2_sha256$260000$",
    "$2b$12$",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI",
]


@pytest.mark.parametrize("head", HEADS)
def test_the_beginning_of_all_tokens_of_a_service(head):
    """The common beginning is not masked, alone or with another token. More of the same token is masked."""
    chance = random.Random(head)
    one, other = ("".join(chance.choices(LETTERS, k=60)) for _ in range(2))
    mine = Redactor({f"{head}{one}": ("A",)})
    for text in (head, f"{head}{other}", f"{head}{other[:4]}..."):
        assert mine.redact(text) is text
    assert mine.redact(f"<{head}{one}>") == "<[secret A]>"
    assert mine.redact(f"<{head}{one[:16]}>") == "<[secret A]>"
    assert mine.redact(f"...{one[-12:]}") == "...[secret A]"


@pytest.mark.parametrize("head", ["glpat-", "dckr_pat_", "sk_live_", "github_pat_"])
def test_the_beginning_of_short_tokens(head):
    """The beginning of a token that its service documents is public, however short the rest is."""
    mine = Redactor({f"{head}aB3dE6gH9jK2mN5pQ8sT": ("A",)})
    assert mine.redact(f"{head}aBzzzzzz") == f"{head}aBzzzzzz"
    assert mine.redact(f"{head}aB3dE6gH!") == "[secret A]!"


def test_the_end_of_all_tokens_of_a_service():
    """A comment or a type at the end of a token is not masked."""
    key = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'aB3dE6gH9jK2mN5pQ8sT' * 2} ci@build-7"
    assert Redactor({key: ("A",)}).redact("see ci@build-7") == "see ci@build-7"
    assert Redactor({key: ("A",)}).redact(f"{key}.") == "[secret A]."
    value = f"ENC[AES256_GCM,data:{'aB3dE6gH9jK2mN5pQ8sT' * 3},type:string]"
    mine = Redactor({value: ("A",)})
    assert mine.redact(",iv:x,type:string]") == ",iv:x,type:string]"
    assert mine.redact(value) == "[secret A]"


def element(tag, *contents):
    content = b"".join(contents)
    size = len(content)
    return bytes([tag, size] if size < 128 else [tag, 0x82, size >> 8, size & 255]) + content


def key_store(number):
    """Return a PKCS #12 key store with the outline that OpenSSL 3 creates."""
    chance = random.Random(number)
    data, salt = (bytes(chance.choices(range(256), k=size)) for size in (600, 8))
    kind = element(6, bytes.fromhex("2a864886f70d010701"))
    safe = element(0x30, element(2, b"\0"), kind, element(4, salt), element(4, data))
    content = element(0x30, kind, element(0xA0, element(4, element(0x30, safe))))
    checksum = element(0x30, element(5), element(4, salt[::-1]), element(2, b"\x08\0"))
    return base64.b64encode(element(0x30, element(2, b"\x03"), content, checksum)).decode()


def test_key_stores():
    """The outline that two key stores share is not masked, but a part of the content is."""
    mine, other = Redactor({key_store(1): ("A",)}), key_store(2)
    assert mine.redact(other) is other
    assert mine.redact(key_store(1)) == "[secret A]"
    assert "[secret A]" in mine.redact(key_store(1)[:200])
    for broken in (key_store(1)[:16], "MIIB", f"MIIBAAIBAz{'AF' * 40}", "MIIACgIBAzACBQAFAAU="):
        assert Redactor({broken: ("A",)}).redact(f"<{broken}>") in ("<[secret A]>", f"<{broken}>")


WHOLES = [
    ("192.168.100.200", "192.168.100.201"),
    ("fe80::1234:5678:9abc", "fe80::1234:5678:9abd"),
    ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
    ("arn:aws:iam::123456789012:role/deploy", "arn:aws:iam::123456789012:role/other"),
    ("/home/ci/.ssh/id_rsa", "/home/ci/.ssh/known_hosts"),
    ("C:\\Users\\ci\\key.pem", "C:\\Users\\ci\\other.pem"),
    ("registry.example.com/team/app:1.2.3", "registry.example.com/team/app:1.2.4"),
    ("db.example.com:5432", "db.example.com:5433"),
    ("svc@project.iam.gserviceaccount.com", "other@project.iam.gserviceaccount.com"),
    ("test-secret-value", "test-secret-name"),
    ("my-test-secret-value", "my-test-secret-name"),
    ("TEST_SECRET_VALUE", "TEST_SECRET_NAME"),
    ("test-secret-1", "test-secret-2"),
]


@pytest.mark.parametrize(("value", "other"), WHOLES)
def test_what_is_a_leak_only_as_a_whole(value, other):
    """Addresses, dates, paths, resource names and a few words are masked only as a whole."""
    mine = Redactor({value: ("A",)})
    assert mine.redact(other) is other
    assert mine.redact(f"<{value}>") == "<[secret A]>"


def test_what_only_looks_like_words():
    """A part of a license key or a passphrase is masked."""
    assert "[secret A]" in Redactor({"XKCDQ-ZBVWM-PLTRH": ("A",)}).redact("XKCDQ-ZBVWM-")
    assert "[secret A]" in Redactor({"correct-horse-battery-staple": ("A",)}).redact("correct-horse-bat")


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
    """Tokens look random; words, names, dates, numbers and placeholders do not."""
    assert [text for text in RANDOM.split() if not is_random(text)] == []
    assert [text for text in WORDS.split() if is_random(text)] == []


def test_names_of_secrets():
    """Names of secrets are recognized in any case and with any punctuation, but not longer names that contain them."""
    secret = "password Pwd AccountKey SharedAccessKey _authToken client_secret aws_secret_access_key private_key api-key ssh-key"
    other = "token_uri SharedAccessKeyName AccountName client_email auth_uri keyspace monkey private_key_id author compass key public_key"
    assert [name for name in secret.split() if not names_a_secret(name)] == []
    assert [name for name in other.split() if names_a_secret(name)] == []


def test_ranks():
    """The rank of a part depends on its name, then on its look."""
    assert rank("anything", "password") == SENSITIVE
    assert rank("abcDEF0123456789xyz") == rank("aB3/x9Kd2Lm4Qp7.com") == SENSITIVE
    assert rank("x9Kd2Lm4Qp7aB3.qwRtyUiopAsdfGhjkl") == SENSITIVE
    assert rank("abcDEF0123456789xyz", "client_email") == PUBLIC
    assert rank("www.ab12cd34ef56.example") == rank("2020-08-04") == rank("https://example.com/a") == PUBLIC
    assert rank("inside") == rank("a few words", "x") == UNCLEAR
