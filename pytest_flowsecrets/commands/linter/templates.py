"""Rules about the templates of Prefect 2.20 and 3: ``{{ prefect.blocks.secret.NAME }}`` and similar placeholders.

Prefect replaces placeholders in three places: `prefect deploy` replaces those in a deployment, a step those in its own
inputs, and a worker those in the base job template and then in the job variables. A placeholder that Prefect does not
recognize stays as text, and one that it cannot replace is dropped or replaced by an empty text, without an error.

``flow.deploy()`` and the other functions for deployments replace no placeholders. In their ``job_variables``, a worker
replaces blocks and variables. Nothing replaces ``{{ $NAME }}``, or a placeholder in their ``parameters``.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Iterator, NamedTuple, Optional, Tuple

from pytest_flowsecrets.commands.files.python_calls import UNKNOWN
from pytest_flowsecrets.findings.model import Edit
from pytest_flowsecrets.findings.rules import finding_of
from pytest_flowsecrets.resolution.layers import Origin

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

REST_VERSIONS = "2.20.0-2.20.27, 3.0.0-3.9.1"
STORED_VERSIONS = "3.0.0-3.9.1"
WITHOUT_TEXT_VERSIONS = "2.20.0-2.20.27, 3.0.0-3.6.29"

DEPLOYMENT, JOB_VARIABLES, STEP, TEMPLATE, DEFAULT, CODE, CODE_PARAMETERS = (
    "a deployment",
    "job variables of a deployment",
    "a step",
    "a base job template",
    "the default of a variable",
    "job_variables in Python",
    "parameters in Python",
)
_BRACES = re.compile(r"\{\{(.*?)\}\}")
_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}")  # what Prefect recognizes
_PREFIXES = ("blocks", "variables")
_MISSPELLED = re.compile(r"(?:prefect[.\s]|blocks\.|variables\.)", re.IGNORECASE)
_BLOCK_NAME = re.compile(r"[a-z0-9-]+")
_VARIABLE_NAME = re.compile(r"[a-z0-9_-]+")
_SECRET_NAME = re.compile(
    r"(?:^|[_.-])(?:api_?key|token|password|passwd|pass|pwd|secret|secret_?key|access_?key|auth_?string|private_?key)$",
    re.IGNORECASE,
)
# Types of blocks that hold no secret.
_PLAIN_BLOCKS = ("local-file-system", "json", "string", "date-time", "remote-file-system")


class Text(NamedTuple):
    """A text with templates in a file.

    Attributes:
        value: the text.
        source: the text of the file.
        start: the offset in the file where the text starts.
        end: the offset in the file after the text.
        name: the key of the text.
        region: where it stands: :data:`DEPLOYMENT`, :data:`STEP` and so on.
        path: the name of the file.
    """

    value: str
    source: str
    start: int
    end: int
    name: str
    region: str
    path: str


class _Placeholder(NamedTuple):
    text: Text
    written: str
    inner: str
    at: int  # the offset in the file

    @property
    def origin(self) -> Origin:
        return origin_at(self.text, self.at)

    def finding(self, rule: str, message: str, advice: str, versions: str = REST_VERSIONS) -> Finding:
        return finding_of(rule, self.text.name, self.origin, message, advice, versions=versions)


def origin_at(text: Text, at: int) -> Origin:
    """Return the place of an offset in the file.

    Args:
        text: a text in the file.
        at: the offset.
    """
    line = text.source.count("\n", 0, at) + 1
    first = text.source.count("\n", 0, text.start) + 1
    last = text.source.count("\n", 0, max(text.end - 1, text.start)) + 1
    return Origin("env", text.path, line, at - (text.source.rfind("\n", 0, at) + 1) + 1, lines=(first, max(line, last)))


def is_secret_name(name: str) -> bool:
    """Return whether a name is usually that of a secret.

    Args:
        name: a key or a variable.
    """
    return _SECRET_NAME.search(name) is not None


def is_template(value: str) -> bool:
    """Return whether a text contains placeholders, so that its value is not in the file.

    Args:
        value: the text.
    """
    return "{{" in value or "{%" in value or "$" in value


def template_findings(text: Text) -> Iterator[Finding]:
    """Apply the rules to the placeholders of a text.

    Args:
        text: the text.
    """
    at = text.start
    for match in _BRACES.finditer(text.value):
        written = match.group()
        position = text.source.find(written, at, text.end)
        at = position + len(written) if position >= 0 else at
        placeholder = _Placeholder(text, written, match.group(1).strip(), max(position, text.start))
        yield from _placeholder_findings(placeholder)


def _placeholder_findings(placeholder: _Placeholder) -> Iterator[Finding]:
    name = placeholder.inner
    if placeholder.text.region == CODE_PARAMETERS:
        yield from _parameter(placeholder)
    elif UNKNOWN in name:  # no rule about names applies
        if name.startswith("$"):
            yield from _environment(placeholder)
    elif _PLACEHOLDER.fullmatch(placeholder.written) is None:
        if _MISSPELLED.match(name) or name.startswith("$"):
            message = "Prefect does not recognize this template, and the text stays as it is"
            advice = "write {{ prefect.blocks.TYPE.NAME }}, {{ prefect.variables.NAME }} or {{ $NAME }}, no filters"
            yield placeholder.finding("FS070", message, advice)
    elif name.startswith("$"):
        yield from _environment(placeholder)
    elif name.startswith("prefect.blocks."):
        yield from _block(placeholder)
    elif name.startswith("prefect.variables."):
        yield from _variable(placeholder)
    elif _MISSPELLED.match(name):
        yield placeholder.finding("FS070", _dropped(placeholder.text.region), _suggestion(name))


def _parameter(placeholder: _Placeholder) -> Iterator[Finding]:
    if placeholder.inner.startswith(("$", "prefect.blocks.", "prefect.variables.")):
        message = "nothing replaces a template in the parameters of a deployment: the flow gets the braces"
        yield placeholder.finding("FS083", message, "load the block or the variable in the flow")


def _dropped(region: str) -> str:
    if region in (JOB_VARIABLES, DEPLOYMENT, STEP, TEMPLATE):
        return "Prefect has no such template: it drops the text, and with it the key if there is no other text"
    return "Prefect has no such template, and the text stays as it is"


def _suggestion(name: str) -> str:
    first, *rest = name.split(".")
    words = rest if first.lower() == "prefect" else [first, *rest]
    near = difflib.get_close_matches(words[0].lower() if words else "", _PREFIXES, 1, 0.5)
    if not near and words and words[0].lower() in ("secret", "secrets"):
        return f"write {{{{ prefect.blocks.secret.{'.'.join(words[1:]) or 'NAME'} }}}}"
    if near and len(words) > 1:
        return f"write {{{{ prefect.{near[0]}.{'.'.join(words[1:])} }}}}"
    return "write {{ prefect.blocks.TYPE.NAME }} or {{ prefect.variables.NAME }}"


def _block(placeholder: _Placeholder) -> Iterator[Finding]:
    parts = placeholder.inner.split(".")[2:]
    if len(parts) < 2 or not all(parts[:2]):  # noqa: PLR2004 (a type and a name)
        message = "the template names no type and block: Prefect fails with a ValueError"
        yield placeholder.finding("FS070", message, "write {{ prefect.blocks.TYPE.NAME }}")
        return
    kind, name = parts[:2]
    for word, what in ((kind, "type of block"), (name, "block")):
        if not _BLOCK_NAME.fullmatch(word):
            yield _impossible(placeholder, word, what, word.lower().replace("_", "-"))
    text = placeholder.text
    if text.region in (DEPLOYMENT, JOB_VARIABLES) and kind not in _PLAIN_BLOCKS:
        yield _stored(placeholder)
    if text.value.strip() != placeholder.written:
        message = "a block template stands within other text: Prefect fails with a ValueError"
        advice = "use Prefect 3.7 or later, or put the whole text into the block"
        yield placeholder.finding("FS075", message, advice, WITHOUT_TEXT_VERSIONS)


def _stored(placeholder: _Placeholder) -> Finding:
    message = (
        "`prefect deploy` replaces this by the value, and stores it in clear text in the deployment, where everyone "
        "with access to the API can read it"
    )
    advice = "load the block in the flow, or write the template in the base job template of the work pool"
    versions = STORED_VERSIONS if placeholder.text.region == JOB_VARIABLES else REST_VERSIONS
    return placeholder.finding("FS074", message, advice, versions)


def _impossible(placeholder: _Placeholder, word: str, what: str, name: str) -> Finding:
    message = f"no {what} can have the name {word!r}: names have lower-case letters, digits and dashes only"
    if what == "variable":
        message = f"no variable can have the name {word!r}: names have lower-case letters, digits, _ and - only"
    finding = placeholder.finding("FS071", message, f"write {name}")
    if name != word.lower():  # another character: the name that is meant is not certain
        return finding
    start = placeholder.text.source.find(word, placeholder.at, placeholder.at + len(placeholder.written))
    return replace(finding, edits=(Edit(start, start + len(word), name),)) if start >= 0 else finding


def _variable(placeholder: _Placeholder) -> Iterator[Finding]:
    name = re.split(r"[.\[]", placeholder.inner[len("prefect.variables.") :], maxsplit=1)[0]
    if not _VARIABLE_NAME.fullmatch(name):
        yield _impossible(placeholder, name, "variable", name.lower())
        return
    message = f"whether the variable {name!r} exists is unknown here: if not, the template becomes an empty text"
    yield placeholder.finding("FS072", message, f"check it with `prefect variable inspect {name}`")


def _environment(placeholder: _Placeholder) -> Iterator[Finding]:
    name, region = placeholder.inner.lstrip("$"), placeholder.text.region
    if region == CODE:
        message = "only `prefect deploy` replaces {{ $NAME }}, not this function: the flow run gets the braces"
        use = "the value of os.environ" if UNKNOWN in name else f"os.environ[{name!r}]"
        advice = (
            "for a secret, write {{ prefect.blocks.secret.NAME }}, which the worker replaces; for another value, "
            f"use {use}, whose value the deployment stores"
        )
        yield placeholder.finding("FS083", message, advice)
        return
    if region == DEFAULT:
        message = "a worker does not replace variables of the environment in defaults: the text stays as it is"
        yield placeholder.finding("FS073", message, "write the template in job_configuration")
        return
    if region in (DEPLOYMENT, JOB_VARIABLES) and (is_secret_name(name) or is_secret_name(placeholder.text.name)):
        yield replace(_stored(placeholder), versions=REST_VERSIONS)
        return
    where = {STEP: "step", TEMPLATE: "worker"}.get(region, "process that deploys")
    message = f"if {name} is not set in the environment of the {where}, the template becomes an empty text"
    yield placeholder.finding("FS072", message, f"set {name} there")


def span_of(node: object) -> Tuple[int, int]:
    """Return the offsets in which a node of PyYAML is written.

    Args:
        node: the node.
    """
    return node.start_mark.index, node.end_mark.index  # type: ignore[attr-defined]


def first_name(written: str) -> Optional[str]:
    """Return the first part of a placeholder for a value that is not Prefect's own, or None.

    Args:
        written: the placeholder with its braces.
    """
    match = _PLACEHOLDER.fullmatch(written)
    if match is None or match.group(1).startswith(("$", "prefect.", "ctx.")):
        return None
    return re.split(r"[.\[]", match.group(1), maxsplit=1)[0]


def placeholders(value: str) -> Iterator[str]:
    """Yield the placeholders of a text, with their braces.

    Args:
        value: the text.
    """
    return (match.group() for match in _BRACES.finditer(value))
