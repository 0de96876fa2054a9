"""Forms in which a value can leave a process, independent of the package's own forms. Also used in ``places/``."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import shlex
import textwrap
import zlib
from urllib.parse import quote, quote_plus, urlencode

SALT = "no secret at all"
PLAIN, ODD = "plain", "odd"


def value_of(place, form):
    """Return a secret that is used only for one place and one form."""
    digest = base64.b64encode(hashlib.sha256(f"{SALT} {place} {form}".encode()).digest(), b"Zz").decode().strip("=")
    if FORMS[form][0] == PLAIN:
        return f"tok{digest[:28]}"
    return f"{digest[:10]} <é&'\"\\/%$ {digest[10:24]}"


def name_of(place, form):
    return f"{place}_{form}".upper()


def _inside(value, before):
    return base64.b64encode(f"{'user'[:before]}{value}, and more".encode()).decode()


def _lines(text, width):
    return "\n".join(textwrap.wrap(text, width))


# name -> (kind of value, how it is disguised)
FORMS = {
    "raw": (PLAIN, lambda value: value),
    "repr": (ODD, repr),
    "ascii": (ODD, ascii),
    "bytes": (ODD, lambda value: repr(value.encode())),
    "json": (ODD, json.dumps),
    "json_unicode": (ODD, lambda value: json.dumps(value, ensure_ascii=False)),
    "json_twice": (ODD, lambda value: json.dumps(json.dumps({"a": value}))),
    "repr_of_json": (ODD, lambda value: repr(json.dumps([value]))),
    "base64_0": (PLAIN, lambda value: _inside(value, 0)),
    "base64_1": (PLAIN, lambda value: _inside(value, 1)),
    "base64_2": (PLAIN, lambda value: _inside(value, 2)),
    "base64_urlsafe": (ODD, lambda value: base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")),
    "base64_lines": (PLAIN, lambda value: base64.encodebytes(f"{'x' * 40}{value}{'y' * 50}".encode()).decode()),
    "hex": (PLAIN, lambda value: value.encode().hex()),
    "hex_upper": (ODD, lambda value: value.encode().hex().upper()),
    "quoted": (ODD, quote),
    "quoted_all": (ODD, lambda value: quote(value, safe="")),
    "form": (ODD, lambda value: urlencode({"token": value})),
    "plus": (ODD, quote_plus),
    "html": (ODD, html.escape),
    "shell": (ODD, shlex.quote),
    "lines": (PLAIN, lambda value: _lines(value, 13)),
    "prefix": (PLAIN, lambda value: f"{value[:12]}..."),
    "suffix": (PLAIN, lambda value: f"...{value[-12:]}"),
    "half": (PLAIN, lambda value: value[: len(value) // 2]),
    "gzip": (PLAIN, lambda value: base64.b64encode(gzip.compress(json.dumps({"x": value}).encode(), mtime=0)).decode()),
    "zlib": (PLAIN, lambda value: base64.b64encode(zlib.compress(f"a flow with {value}".encode())).decode()),
}
FEW = ["raw", "json", "base64_1"]


def traces_of(place, form):
    """Return texts that must not occur in anything that a run wrote: the disguised value, its parts, the value."""
    value = value_of(place, form)
    disguised = FORMS[form][1](value)
    if form == "base64_lines":
        traces = [base64.b64encode(value[shift:].encode()).decode()[:16] for shift in range(3)]
    elif form.startswith("base64_") and form != "base64_urlsafe":
        traces = [base64.b64encode(value[shift:].encode()).decode()[:24] for shift in range(3)]
    elif form in ("prefix", "suffix"):
        traces = [disguised.strip(".")]
    else:
        traces = [*disguised.split("\n"), disguised.strip("'\"b")]
    return [*dict.fromkeys([*traces, value, value[:10] if FORMS[form][0] == PLAIN else value])]
