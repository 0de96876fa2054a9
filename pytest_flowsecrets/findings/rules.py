"""The table of all rules, for the functions that apply them and for the reporters.

The functions are next to the data that they inspect: ``value_rules`` and ``type_rules`` (one text), ``name_rules`` and
``agent_rules`` (a whole resolution), ``config_rules`` (a file), ``commands/files/`` (other files), ``leaks/`` (leaks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_flowsecrets.findings.model import Finding

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Origin

ALL_VERSIONS = "0.5.0-1.4.1"
LEAK = "secret-leak"


class Rule(NamedTuple):
    """A rule.

    Attributes:
        severity: the severity of its findings, unless a finding has another one: ``error``, ``warning`` or ``note``.
        title: what the rule reports.
    """

    severity: str
    title: str


# fmt: off
RULES = {
    "FS001": Rule("error", "A configuration file is not valid TOML or not UTF-8"),
    "FS002": Rule("error", "Prefect's TOML parser reads a configuration file differently from TOML 1.0"),
    "FS003": Rule("error", "A configuration file starts with a byte order mark"),
    "FS004": Rule("error", "A configuration file contains a key or table twice"),
    "FS005": Rule("error", "A key is the name of a method or attribute of Prefect's Config"),
    "FS006": Rule("warning", "Two underscores in the name of a variable create a table"),
    "FS007": Rule("error", "The name of a variable is misspelled, so it sets no secret"),
    "FS008": Rule("error", "The name in a variable is lower-cased"),
    "FS009": Rule("error", "A variable sets a whole table"),
    "FS010": Rule("warning", "A dotted key defines a table"),
    "FS011": Rule("error", "The name of the table of secrets is misspelled"),
    "FS012": Rule("warning", "Two variables set the same secret"),
    "FS013": Rule("error", "References form a circle"),
    "FS014": Rule("error", "A variable does not override the secret of a configuration file"),
    "FS015": Rule("error", "No secret works with this configuration"),
    "FS016": Rule("error", "use_local_secrets is not a boolean"),
    "FS017": Rule("warning", "A variable names a configuration file that does not exist"),
    "FS020": Rule("warning", "A secret is read as a number"),
    "FS021": Rule("error", "A secret of zeros is read as 0"),
    "FS022": Rule("error", "A phone number is read as a number"),
    "FS023": Rule("error", "A hexadecimal token is read as a number"),
    "FS024": Rule("warning", "A secret is read as a boolean"),
    "FS025": Rule("error", "A secret is read as None"),
    "FS026": Rule("warning", "A secret is read as a special number"),
    "FS027": Rule("error", "A secret loses its quotes or escapes"),
    "FS028": Rule("error", "A secret is read as a Python literal"),
    "FS029": Rule("note", "Secret.get() decodes a secret that the context holds as text"),
    "FS030": Rule("warning", "A $name in a secret is replaced by a variable"),
    "FS031": Rule("error", "A ${name} in a secret is removed"),
    "FS032": Rule("error", "A leading ~ is replaced by a home directory"),
    "FS033": Rule("error", "A backslash in a variable is read as an escape"),
    "FS034": Rule("error", "Non-ASCII characters in a variable are garbled"),
    "FS035": Rule("warning", "A secret in Python syntax is read as a table or list by some releases only"),
    "FS036": Rule("warning", "A secret ends with a newline"),
    "FS037": Rule("note", "A ${name} in a secret is replaced by a variable or key"),
    "FS038": Rule("warning", "A secret is empty"),
    "FS040": Rule("error", "A reference leads to a value on which the import of Prefect fails"),
    "FS041": Rule("error", "A reference contains itself"),
    "FS042": Rule("error", "An escape in a variable is incomplete"),
    "FS043": Rule("error", "Secret.get() fails for a secret"),
    "FS050": Rule("error", "An unquoted value in YAML is not a string"),
    "FS051": Rule("error", "Kubernetes does not allow a name"),
    "FS052": Rule("warning", "A variable lacks the prefix of secrets"),
    "FS053": Rule("warning", "Agents override a variable"),
    "FS054": Rule("warning", "Docker Compose or Kubernetes changes a dollar"),
    "FS055": Rule("error", "Docker Compose cannot read a dollar"),
    "FS056": Rule("warning", "A container contains a variable twice"),
    "FS060": Rule("warning", "An agent does not pass on a secret to its flow runs"),
    "FS061": Rule("error", "An agent cannot pass on a variable to its flow runs"),
    "FS062": Rule("error", "Prefect needs a table, but the secret is text"),
    "FS063": Rule("error", "The value of --env contains an equals sign"),
    LEAK: Rule("error", "A secret leaked"),
}
# fmt: on


def finding_of(  # noqa: PLR0913 (the columns of a finding)
    rule: str,
    name: str,
    origin: Origin,
    message: str,
    advice: str,
    *,
    versions: str = ALL_VERSIONS,
    severity: str = "",
) -> Finding:
    """Return a finding of a rule.

    Args:
        rule: the id of the rule.
        name: the secret, variable or key.
        origin: where it is written.
        message: what happens, without a value.
        advice: what to write.
        versions: the releases that are affected.
        severity: the severity, if it is not that of the rule.
    """
    return Finding(rule, severity or RULES[rule].severity, name, origin, message, versions, advice)
