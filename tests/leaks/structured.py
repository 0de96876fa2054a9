"""Structured secrets of many kinds, as real services create them, generated from a number. Also used by a benchmark."""

from __future__ import annotations

import json
import random
import string
from base64 import b64encode, urlsafe_b64encode
from typing import Callable, Dict, List, NamedTuple
from urllib.parse import quote

LETTERS = string.ascii_letters + string.digits


class Structured(NamedTuple):
    """A structured secret.

    Attributes:
        value: the whole value.
        sensitive: texts that are a leak by themselves.
        public: texts that are no leak.
    """

    value: str
    sensitive: List[str]
    public: List[str]


def token(chance, size=32, alphabet=LETTERS):
    return "".join(chance.choice(alphabet) for _ in range(size))


def random_bytes(chance, size):
    return bytes(chance.randrange(256) for _ in range(size))


def base64(text):
    return b64encode(text if isinstance(text, bytes) else text.encode()).decode()


# The common beginnings of all keys of a kind from OpenSSL 3 and OpenSSH 9, in hexadecimal digits.
PKCS8 = "308204be020100300d06092a864886f70d0101010500048204a8308204a40201000282010100"
PKCS1 = "308204a30201000282010100"
SEC1 = "30770201010420"
SEC1_MIDDLE = "a00a06082a8648ce3d030107a14403420004"


def pem(label, der):
    digits, width = base64(der), 64
    lines = [digits[at : at + width] for at in range(0, len(digits), width)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def key(label, beginning, size, middle="", rest=0):
    def make(chance):
        der = bytes.fromhex(beginning) + random_bytes(chance, size) + bytes.fromhex(middle) + random_bytes(chance, rest)
        text = pem(label, der)
        lines = text.splitlines()
        return Structured(text, ["\n".join(lines[2:-1]), lines[-3], text], lines[:1])

    return make


def escaped_key(chance):
    plain = key("PRIVATE KEY", PKCS8, 900)(chance)
    return Structured(plain.value.replace("\n", "\\n"), plain.sensitive, plain.public)


def jwt(chance):
    def segment(data):
        return urlsafe_b64encode(json.dumps(data, separators=(",", ":")).encode()).decode().rstrip("=")

    header = segment({"alg": "HS256", "typ": "JWT"})
    payload = segment(
        {"sub": str(chance.randrange(10**9)), "name": "John Doe", "iat": 1516239022 + chance.randrange(9**8)}
    )
    signature = urlsafe_b64encode(random_bytes(chance, 32)).decode().rstrip("=")
    return Structured(
        f"{header}.{payload}.{signature}", [payload, signature], [header, "John Doe", f"{header}.e30.abc"]
    )


def database_url(scheme):
    def make(chance):
        password = token(chance, 18) + "/+@"
        value = f"{scheme}://deploy:{quote(password, safe='')}@db.example.com:5432/app?sslmode=require"
        return Structured(
            value, [password, quote(password, safe="")], [f"{scheme}://", "db.example.com:5432/app", "deploy"]
        )

    return make


def slack(chance):
    parts = f"T{token(chance, 8, string.ascii_uppercase + '23')}/B{token(chance, 8, string.ascii_uppercase + '23')}"
    secret = token(chance, 24)
    path = f"/services/{parts}/{secret}"
    return Structured(
        f"https://hooks.slack.com{path}", [path, secret], ["https://hooks.slack.com/services/", "hooks.slack.com"]
    )


def telegram(chance):
    secret = f"{chance.randrange(10**8, 10**9)}:{token(chance, 35)}"
    return Structured(
        f"https://api.telegram.org/bot{secret}/sendMessage", [secret], ["https://api.telegram.org/", "sendMessage"]
    )


def odbc(chance):
    password = f"{token(chance, 12)};{token(chance, 3)}"
    value = (
        "Driver={ODBC Driver 17 for SQL Server};Server=tcp:app.database.windows.net,1433;Database=app;Uid=deploy;"
        f"Pwd={{{password}}};Encrypt=yes;TrustServerCertificate=no;Connection Timeout=30;"
    )
    return Structured(value, [password], ["Driver={ODBC Driver 17 for SQL Server};", "app.database.windows.net,1433"])


def jdbc(chance):
    password = token(chance, 16)
    value = f"jdbc:sqlserver://db.example.com:1433;databaseName=app;user=deploy;password={password};encrypt=true"
    return Structured(value, [password], ["jdbc:sqlserver://db.example.com:1433", "databaseName=app"])


def jdbc_url(chance):
    password = token(chance, 16)
    value = f"jdbc:postgresql://db.example.com:5432/app?user=deploy&password={password}&ssl=true"
    return Structured(value, [password], ["jdbc:postgresql://db.example.com:5432/app"])


def azure(chance):
    secret = base64(random_bytes(chance, 64))
    value = f"DefaultEndpointsProtocol=https;AccountName=store;AccountKey={secret};EndpointSuffix=core.windows.net"
    return Structured(
        value, [secret], ["DefaultEndpointsProtocol=https", base64("DefaultEndpoints"), "core.windows.net"]
    )


def sas(chance):
    secret = base64(random_bytes(chance, 32))
    value = (
        "https://store.blob.core.windows.net/flows?sv=2020-08-04&ss=b&srt=sco&sp=rl&se=2030-01-01T00:00:00Z"
        f"&spr=https&sig={quote(secret, safe='')}"
    )
    return Structured(value, [secret, quote(secret, safe="")], ["https://store.blob.core.windows.net", "sv=2020-08-04"])


def redis(chance):
    password = token(chance, 43) + "="
    value = f"cache.redis.cache.windows.net:6380,password={password},ssl=True,abortConnect=False"
    return Structured(value, [password], ["cache.redis.cache.windows.net:6380", "abortConnect=False"])


def libpq(chance):
    password = f"{token(chance, 8)} {token(chance, 8)}"
    value = f"host=db.example.com port=5432 dbname=app user=deploy password='{password}' sslmode=require"
    return Structured(value, [password], ["host=db.example.com port=5432", "sslmode=require"])


def service_account(chance):
    inner = key("PRIVATE KEY", PKCS8, 900)(chance)
    data = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": token(chance, 40, "0123456789abcdef"),
        "private_key": inner.value,
        "client_email": "flows@my-project.iam.gserviceaccount.com",
        "client_id": token(chance, 21, string.digits),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "universe_domain": "googleapis.com",
    }
    public = ['{"type": "object"}', json.dumps({"type": "service_account", "project_id": "x"}), data["client_email"]]
    sensitive = [data["private_key_id"], *inner.sensitive]
    return Structured(json.dumps(data, indent=2), sensitive, [*public, data["auth_uri"], data["token_uri"]])


def in_base64(make, *public):
    def encoded(chance):
        plain = make(chance)
        return Structured(base64(plain.value), [*plain.sensitive, base64(plain.value)], [*plain.public, *public])

    return encoded


def docker(chance):
    password = f"dckr_pat_{token(chance, 27)}"
    login = {
        "username": "deploy",
        "password": password,
        "email": "ci@example.com",
        "auth": base64(f"deploy:{password}"),
    }
    value = json.dumps({"auths": {"https://index.docker.io/v1/": login}})
    return Structured(value, [password, login["auth"]], ['{"auths": {"https://index.docker.io/v1/"', "ci@example.com"])


def tokens(chance):
    items = [token(chance, 20) for _ in range(3)]
    return Structured(",".join(items), items, [])


def quoted(chance):
    inner = token(chance, 24)
    return Structured(f'"{inner}"', [inner], [])


def kubeconfig(chance):
    inner = key("RSA PRIVATE KEY", PKCS1, 900)(chance)
    value = (
        "apiVersion: v1\nkind: Config\ncurrent-context: production\nclusters:\n- name: production\n  cluster:\n"
        "    server: https://cluster.example.com:6443\nusers:\n- name: deploy\n  user:\n"
        f"    client-key-data: {base64(inner.value)}\n"
    )
    return Structured(value, inner.sensitive, ["apiVersion: v1", "kind: Config", "https://cluster.example.com:6443"])


def netrc(chance):
    password = token(chance, 20)
    value = f"machine github.com\n  login deploy\n  password {password}\n"
    return Structured(value, [password], ["machine github.com", "login deploy"])


def aws(chance):
    secret, identifier = (
        token(chance, 40, LETTERS + "/+"),
        f"AKIA{token(chance, 16, string.ascii_uppercase + '234567')}",
    )
    value = f"[default]\nregion = us-east-1\naws_access_key_id = {identifier}\naws_secret_access_key = {secret}\n"
    return Structured(value, [secret], ["region = us-east-1", "aws_secret_access_key = ", "[default]"])


def npmrc(chance):
    secret = f"npm_{token(chance, 36)}"
    value = f"registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken={secret}\nalways-auth=true"
    return Structured(value, [secret], ["registry=https://registry.npmjs.org/", "always-auth=true"])


def basic(chance):
    password = token(chance, 20)
    return Structured(f"Basic {base64(f'deploy:{password}')}", [password, base64(f"deploy:{password}")], ["deploy:"])


def pypi(chance):
    value = f"pypi-AgEIcHlwaS5vcmc{token(chance, 150)}"
    return Structured(value, [value[20:40]], ["pypi-AgEIcHlwaS5vcmc"])


KINDS: Dict[str, Callable[[random.Random], Structured]] = {
    "PKCS #8": key("PRIVATE KEY", PKCS8, 1180),
    "PKCS #1": key("RSA PRIVATE KEY", PKCS1, 1180),
    "SEC 1": key("EC PRIVATE KEY", SEC1, 32, SEC1_MIDDLE, 64),
    "escaped key": escaped_key,
    "JWT": jwt,
    "PostgreSQL URL": database_url("postgresql"),
    "MongoDB URL": database_url("mongodb+srv"),
    "Slack webhook": slack,
    "Telegram bot": telegram,
    "ODBC": odbc,
    "JDBC": jdbc,
    "JDBC URL": jdbc_url,
    "Azure storage": azure,
    "SAS": sas,
    "Redis": redis,
    "libpq": libpq,
    "service account": service_account,
    "service account in base64": in_base64(service_account, base64('{\n  "type": "authorized_user",\n')),
    "key in base64": in_base64(key("PRIVATE KEY", PKCS8, 900), base64("-----BEGIN PRIVATE KEY-----\n")),
    "Docker config": docker,
    "list": tokens,
    "quoted value": quoted,
    "kubeconfig": kubeconfig,
    ".netrc": netrc,
    "AWS credentials": aws,
    ".npmrc": npmrc,
    "basic authorization": basic,
    "PyPI token": pypi,
}


def structured(kind, number):
    """Return the secret of a kind with a number."""
    return KINDS[kind](random.Random(f"{kind} {number}"))
