"""The parts of encoded secrets: keys in PEM form, JSON Web Tokens, JSON and base64."""

from __future__ import annotations

import re
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.leaks.formats.sensitive_fields import SENSITIVE, Leaf, names_a_secret

_LINE = 12  # characters; a shorter line is not part of a key
_NUMBER = 6  # digits of a number that is searched for
_LITERAL = 20_000  # characters of a Python literal

# -- keys and tokens ---------------------------------------------------------------------------------------------------

_BREAKS = re.compile(r"\\r\\n|\\n|\s+")
_KEY_LINE = re.compile(r"[A-Za-z0-9+/]+={0,2}")
# The parts that the encodings of all keys of a kind share, in base64: PKCS #1, SEC 1, PKCS #8 (plain and encrypted) and
# OpenSSH. The modulus, the key itself, salts and public points are between them.
_COMMON_IN_KEYS = re.compile(
    r"\AMII[A-Za-z0-9+/]{3}IBAAK[A-Za-z0-9+/]{8}|"
    r"\AMI[A-Za-z0-9+/]{2,5}IBADANBgkqhkiG9w0BAQEFAASC[A-Za-z0-9+/]{4}[A-Za-z0-9+/]{1,6}gEAAo[A-Za-z0-9+/]{7}|"
    r"\AMHcCAQEEI|\AMIGkAgEBBDB?|\AMIHcAgEBBEI[AB]?|\AMC4CAQAwBQYDK2V[uw]BCIEI|"
    r"\AMIG[A-Za-z0-9+/]{1,2}AgEAMB[A-Za-z0-9+/]{4,60}BG(?:0wawIBAQQg|[A-Za-z0-9+/]{10,12})|"
    r"\AMII[A-Za-z0-9+/]{3}B[A-Za-z0-9+/]BgkqhkiG9w0BBQ0w[A-Za-z0-9+/]{2}ApBgkqhkiG9w0BBQwwHAQI|"
    r"CAggAMAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAE[A-Za-z0-9+/]BB[A-Za-z0-9+/]|"
    r"oAoGCCqGSM49AwEHoUQDQgAE|gBwYFK4EEACKhZANiAA[QRST]|oAcGBSuBBAAKoUQDQgAE|oUQDQgAE|RANCAA[QRST]|"
    r"\AMII[A-Za-z0-9+/]{3}IBADCCA[A-Za-z0-9+/]{2}GByqGSM44BAEw[A-Za-z0-9+/]{4}AoGBA|AgMBAAE|"
    r"\Ab3BlbnNzaC1rZXktdjEAAAAA[A-Za-z0-9+/]{30,70}?(?:AAAAB3NzaC1yc2E|AAAAdzc2gtcnNhAAAAAwEAAQAAA[A-Za-z0-9+/]{3}A|"
    r"AAAAtzc2gtZWQyNTUxOQAAACA?|AAABNlY2RzYS1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQ)|"
    r"A{3,6}[A-Za-z0-9+/]{1,70}={0,2}\Z"
)


def pem_leaves(text: str) -> Iterator[Leaf]:
    """Yield the lines of keys. Certificates and public keys count only if there is no private key."""
    blocks: List[Tuple[str, List[str]]] = []
    for chunk in text.split("-----BEGIN ")[1:] if text.lstrip().startswith("-----BEGIN ") else ():
        label, _, rest = chunk.partition("-----")
        lines = [line for line in _BREAKS.split(rest.partition("-----END")[0]) if _KEY_LINE.fullmatch(line)]
        blocks.append((label, lines))
    has_private = any("PRIVATE" in label for label, _ in blocks)
    for label, lines in blocks:
        if "PRIVATE" in label or not has_private:
            yield from _key_leaves(lines)


def _key_leaves(lines: List[str]) -> Iterator[Leaf]:
    """Yield the body of a key as one line, and each of its lines, without the parts that all keys of the kind share."""
    body = "".join(lines)
    common = [match.span() for match in _COMMON_IN_KEYS.finditer(body)]
    at = 0
    for begin, line in [(0, body), *_with_places(lines)] if body else ():
        at = begin + len(line)
        head = max([min(end, at) - begin for start, end in common if start <= begin < end], default=0)
        tail = max([at - max(start, begin) for start, end in common if start < at <= end], default=0)
        if len(line) - head - tail >= _LINE:
            yield Leaf(line, rank=SENSITIVE, head=head, tail=tail, opaque=True)


def _with_places(lines: List[str]) -> Iterator[Tuple[int, str]]:
    at = 0
    for line in lines:
        yield at, line
        at += len(line)


_DESCENDED = b"\x30\x31\xa0\xa1"  # sequences, sets and explicit tags
_SKIPPED = b"\x05\x06"  # null and object identifiers
_SMALL = 4  # bytes of a version number


def pkcs12_leaves(text: str) -> Iterator[Leaf]:
    """Yield the content of a key store in base64, without the algorithms before it and the checksum after it."""
    from base64 import b64decode

    digits = "".join(text.split()) if text.lstrip().startswith("MI") else ""
    data = b64decode(digits[: len(digits) & -4]) if _KEY_LINE.fullmatch(digits) else b""
    if data[:2] == b"\x30\x82" and data[4:8] == b"\x02\x01\x03\x30":
        _, end = _element(data, 7)
        yield Leaf(digits[-(-4 * _der_head(data) // 3) : 4 * end // 3], rank=SENSITIVE, opaque=True)


def _element(data: bytes, at: int) -> Tuple[int, int]:
    """Return where the content of an element in DER (X.690 section 8.1.3) begins and ends."""
    size, begin = data[at + 1] if at + 1 < len(data) else 0, at + 2
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(data[at + 2 : begin], "big")
    return begin, begin + size


def _der_head(data: bytes) -> int:
    """Return the number of bytes before the first content that is neither a version nor the name of an algorithm."""
    at = 0
    while at < len(data):
        begin, end = _element(data, at)
        tag = data[at]
        if tag in _DESCENDED or data[at : at + 1] + data[begin : begin + 1] == b"\x04\x30":
            at = begin
        elif tag in _SKIPPED or (tag == 2 and end - begin <= _SMALL):  # noqa: PLR2004 - an integer
            at = end
        else:
            return begin
    return len(data)


_JOSE = re.compile(r"(eyJ[\w-]{5,})\.([\w-]*)((?:\.[\w-]*){1,3})")


def jwt_leaves(text: str) -> Iterator[Leaf]:
    """Yield the signature or ciphertext, and the payload as a whole, because other tokens make the same claims."""
    token = _JOSE.fullmatch(text.strip())
    if not token:
        return
    payload = token.group(2)
    if len(payload) >= _LINE:
        yield Leaf(payload, rank=SENSITIVE, whole=True, opaque=True)
    for segment in token.group(3).split("."):
        if len(segment) >= _LINE:
            yield Leaf(segment, rank=SENSITIVE, opaque=True)


# -- JSON and Python literals ------------------------------------------------------------------------------------------


def parsed(text: str) -> Any:
    """Return the value of a JSON text (RFC 8259) or a Python literal, or None if the text is neither."""
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > _LITERAL:
        return None
    import ast

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def json_leaves(text: str) -> Iterable[Leaf]:
    """Return the texts in JSON or in a Python literal, with their keys."""
    begin = text.lstrip()
    return data_leaves(parsed(begin)) if begin[:1] in ("{", "[") else ()


def data_leaves(data: Any, name: str = "") -> Iterator[Leaf]:
    """Yield the texts in mappings and sequences with their nearest key, and numbers with the name of a secret."""
    pending: List[Tuple[str, Any]] = [(name, data)]
    while pending:
        key, part = pending.pop()
        text = _text_of(key, part)
        if text is not None:
            yield Leaf(text, key)
        elif isinstance(part, Mapping):
            pending += reversed([(str(inner), value) for inner, value in part.items()])
        elif isinstance(part, (list, tuple, set, frozenset)):
            pending += reversed([(key, value) for value in part])


def _text_of(key: str, part: Any) -> Optional[str]:
    """Return a text, bytes or a number with a secret's name as text; None for anything else."""
    if isinstance(part, str):
        return part
    if isinstance(part, (bytes, bytearray)):
        return bytes(part).decode("utf-8", "surrogateescape")
    is_number = isinstance(part, int) and names_a_secret(key) and len(str(part)) >= _NUMBER
    return str(part) if is_number else None


# -- base64 ------------------------------------------------------------------------------------------------------------

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")


def decoded(text: str) -> str:
    """Return the decoded text of base64 (RFC 4648, standard or URL-safe), or an empty string if it is not printable."""
    from base64 import urlsafe_b64decode

    digits = "".join(text.split())
    if not _BASE64.fullmatch(digits):
        return ""
    bare = digits.rstrip("=").translate({ord("+"): "-", ord("/"): "_"})
    try:
        plain = urlsafe_b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8")
    except ValueError:
        return ""
    return plain if plain.translate({9: None, 10: None, 13: None}).isprintable() else ""


def base64_leaves(text: str) -> Iterator[Leaf]:
    """Yield the decoded text of base64."""
    plain = decoded(text)
    if plain:
        yield Leaf(plain, rank=SENSITIVE)
