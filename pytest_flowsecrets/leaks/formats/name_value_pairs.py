"""Secrets in pairs of a name and a value: connection strings, files such as ``.env``, INI and YAML, command lines."""

from __future__ import annotations

import re
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from pytest_flowsecrets.leaks.formats.sensitive_fields import SENSITIVE, Leaf, names_a_secret, rank
from pytest_flowsecrets.leaks.formats.urls import quoted_leaves

LINE = 12  # characters; a shorter line occurs in other texts by chance
_VALUE = r"""("(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*'|\{{(?:[^}}]|\}}\}})*\}}|[^{separator}]*)"""
_PAIRS = {
    separator: re.compile(
        rf"(?:\A\??|[{separator}])\s*([A-Za-z_][\w .-]{{0,63}}?)\s*=\s*{_VALUE.format(separator=separator)}"
    )
    for separator in (";", "&", ",", r"\s")
}
_MANY = 3  # pairs that make a connection string even without the name of a secret


def connection_leaves(text: str) -> Iterator[Leaf]:
    """Yield values of ``name=value`` pairs.

    The separator is a semicolon (ODBC, ADO.NET, Azure), an ampersand (SAS), a comma (Redis) or a blank (libpq).
    """
    if "=" not in text or "\n" in text:
        return
    separator, pairs = _separated(text)
    if len(pairs) < _MANY and not _has_secret(pairs):
        return
    for name, value in pairs:
        if separator == "&" and "%" in value and rank(value, name) == SENSITIVE:
            yield from quoted_leaves(value)
        else:
            yield from _quoted_value(value, name)


def _separated(text: str) -> Tuple[str, List[Tuple[str, str]]]:
    """Return the first separator that gives pairs with a secret name, or else the one that gives the most pairs."""
    pairs_by: Dict[str, List[Tuple[str, str]]] = {each: pattern.findall(text) for each, pattern in _PAIRS.items()}
    with_secret = (each for each, pairs in pairs_by.items() if len(pairs) > 1 and _has_secret(pairs))
    separator = next(with_secret, max(pairs_by, key=lambda each: len(pairs_by[each])))
    return separator, pairs_by[separator]


def _has_secret(pairs: Iterable[Tuple[str, str]]) -> bool:
    return any(names_a_secret(name) for name, _ in pairs)


_DOUBLED = {"''": "'", '""': '"', "{}": "}"}  # the character that is doubled inside each pair of quotes


def _quoted_value(value: str, name: str) -> Iterator[Leaf]:
    """Yield a value without its quotes, and also as written between them if a quote in it is doubled."""
    value = value.strip()
    quote = _DOUBLED.get(value[:1] + value[-1:]) if len(value) > 1 else None
    inner = value[1:-1] if quote else value
    plain = inner.replace(quote * 2, quote) if quote else value
    yield Leaf(plain, name)
    if plain != inner:
        yield Leaf(inner, name, whole=True, opaque=True)


# -- files -------------------------------------------------------------------------------------------------------------

_ASSIGNMENT = re.compile(r"\s*(?:-\s+)?(?:export\s+|set\s+)?[\"']?([\w./@:-]{1,200}?)[\"']?\s*[:=]\s*(.*)")
_NETRC = re.compile(r"\b(login|password|account)\s+(\S+)")
_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'),?(?:\s*[#;].*)?""")
_COMMENT = re.compile(r"\s[#;]")
_FLOW = re.compile(r"\{(.*)\}", re.DOTALL)
_FLOW_PAIR = re.compile(
    r"""(?:\A|[,{])\s*["']?([\w.@-]{1,100})["']?\s*:\s+("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,{}\s][^,{}]*)"""
)
_PGPASS = re.compile(r"[^:#\s]*:(?:\d+|\*):[^:]*:[^:]*:(.+)")


def assignment_leaves(text: str) -> Iterator[Leaf]:
    """Yield the values in a file of names and values, or in one line of it.

    Such files are ``.env``, INI, YAML, ``.npmrc``, ``.netrc`` and ``.pgpass``.
    """
    lines = split_lines(text)
    leaves = [leaf for line in lines for leaf in _line_leaves(line)]
    named = sum(bool(leaf.name) for leaf in leaves)
    if (len(lines) > 1 and 2 * named >= len(leaves)) or any(names_a_secret(leaf.name) for leaf in leaves):
        yield from leaves


def split_lines(text: str) -> List[str]:
    """Return the stripped lines of a text. Escaped line breaks count if there are no real ones."""
    text = text.strip()
    return [line.strip() for line in text.split("\n" if "\n" in text else "\\n")]


def _line_leaves(line: str) -> List[Leaf]:
    if not line or line[0] in "#;[" or line.startswith("-----"):
        return []
    for parse in (_pgpass, command_leaves, _assignment, _netrc):
        leaves = list(parse(line))
        if leaves:
            return leaves
    return [Leaf(line)] if len(line) >= LINE else []


def _pgpass(line: str) -> Iterator[Leaf]:
    entry = _PGPASS.fullmatch(line)
    if entry:
        yield Leaf(entry.group(1), "password")


def _assignment(line: str) -> Iterator[Leaf]:
    assignment = _ASSIGNMENT.fullmatch(line)
    if assignment and not assignment.group(2).startswith("//"):
        yield from _assigned(*assignment.groups())


def _netrc(line: str) -> Iterator[Leaf]:
    for name, value in _NETRC.findall(line):
        yield Leaf(value, name)


def _assigned(name: str, value: str) -> Iterator[Leaf]:
    """Yield the value of a name without a comment after it, or the values in a flow mapping of YAML."""
    quoted = _QUOTED.fullmatch(value)
    bare = quoted.group(1) if quoted else _COMMENT.split(value, 1)[0].rstrip()
    inner = list(flow_leaves(bare))
    yield from inner or _quoted_value(bare, name)
    if not (inner or quoted) and bare != value:
        yield Leaf(value, name, whole=True, opaque=True)  # other formats have no comments


def flow_leaves(text: str) -> Iterator[Leaf]:
    """Yield the values in a flow mapping of YAML, with their keys."""
    mapping = _FLOW.fullmatch(text.strip())
    for name, value in _FLOW_PAIR.findall(mapping.group(1)) if mapping else ():
        yield from _quoted_value(value, name)


# -- command lines: options, accounts of HTTP clients, variables before the command ------------------------------------

_LONGEST = 20_000  # characters of a command line
_WORD_ASSIGNMENT = re.compile(r"(?:-{1,2})?([A-Za-z_][\w.-]*)=(.+)", re.DOTALL)
_ACCOUNT_OPTIONS = frozenset({"-u", "-U", "--user", "--proxy-user"})  # curl(1), as user:password
_HEADER_OPTIONS = frozenset({"-H", "--header"})
_HEADER = re.compile(r"([\w-]+):\s*(?:(?:Bearer|Basic|Token)\s+)?(\S+)", re.IGNORECASE)
_URL_ACCOUNT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#@:\s]*):?([^/?#\s]*)@\S+")
# Short options for a password: docker-login(1), mysql(1), sshpass(1), redis-cli. In docker-run(1) `-p` is a port.
_PASSWORD_OPTIONS = {
    "-p": re.compile(r"(?:\S*/)?(?:(?:docker|podman|helm registry) login|mysql|mariadb|sshpass|mongo)"),
    "-a": re.compile(r"(?:\S*/)?redis-cli"),
}


def command_leaves(text: str) -> Iterator[Leaf]:
    """Yield the secrets in a command line that has an option."""
    words = _words(text) if " -" in text else []
    command = " ".join(word for word in words if not _WORD_ASSIGNMENT.fullmatch(word))
    for word, after in zip(words, [*words[1:], ""]) if command else ():
        yield from _word_leaves(command, word, after)


def _words(text: str) -> List[str]:
    import shlex

    line = text.strip().replace("\\\n", " ")
    try:
        return shlex.split(line) if len(line) <= _LONGEST and "\n" not in line else []
    except ValueError:
        return []


def _word_leaves(command: str, word: str, after: str) -> Iterator[Leaf]:
    """Yield the secret in a word, or in the word after it if the first one is an option."""
    results = (rule(command, word, after) for rule in _RULES)
    secret = next((result for result in results if result is not None), "")
    if secret:
        yield Leaf(secret, "password", rank=SENSITIVE)


# Each rule returns the secret, an empty string if there is none, or None if the rule does not apply to the word.


def _in_assignment(_command: str, word: str, _after: str) -> Optional[str]:
    assignment = _WORD_ASSIGNMENT.fullmatch(word)
    if not assignment:
        return None
    return assignment.group(2) if names_a_secret(assignment.group(1)) else ""


def _in_url(_command: str, word: str, _after: str) -> Optional[str]:
    account = _URL_ACCOUNT.fullmatch(word)
    return account.group(2) or account.group(1) if account else None


def _after_account_option(_command: str, word: str, after: str) -> Optional[str]:
    return after.partition(":")[2] if word in _ACCOUNT_OPTIONS else None


def _after_header_option(_command: str, word: str, after: str) -> Optional[str]:
    if word not in _HEADER_OPTIONS:
        return None
    header = _HEADER.fullmatch(after)
    return header.group(2) if header and names_a_secret(header.group(1)) else ""


def _with_short_option(command: str, word: str, after: str) -> Optional[str]:
    pattern = _PASSWORD_OPTIONS.get(word[:2])
    return word[2:] or after if pattern and pattern.match(command) else None


def _after_long_option(_command: str, word: str, after: str) -> Optional[str]:
    return after if word.startswith("--") and names_a_secret(word) and not after.startswith("-") else None


_RULES: Tuple[Callable[[str, str, str], Optional[str]], ...] = (
    _in_assignment,
    _in_url,
    _after_account_option,
    _after_header_option,
    _with_short_option,
    _after_long_option,
)
