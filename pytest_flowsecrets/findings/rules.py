"""The table of all rules, for the functions that apply them and for the reporters.

The functions are next to the data that they inspect: ``value_rules`` and ``type_rules`` (one text), ``name_rules`` and
``engine`` (a whole resolution), ``config_rules`` (a file), ``commands/linter/`` (other files), ``leaks/`` (leaks).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, NamedTuple

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
        explanation: why it is a problem, and what to do.
    """

    severity: str
    title: str
    explanation: str

    @property
    def name(self) -> str:
        """The title as one word in camel case, as SARIF names rules."""
        return "".join(f"{word[0].upper()}{word[1:]}" for word in re.findall(r"[A-Za-z0-9]+", self.title))


# fmt: off
#: The rules by subject, in the order of the documentation.
GROUPS: Dict[str, Dict[str, Rule]] = {
    "Configuration files": {
        "FS001": Rule("error", "A configuration file is not valid TOML or not UTF-8",
            "Prefect reads the file at import, so every import of Prefect fails. The usual cause is a value without "
            "quotes. Write KEY = 'value'."),
        "FS002": Rule("error", "Prefect's TOML parser reads a configuration file differently from TOML 1.0",
            "Prefect brings an old parser (toml 0.10.2) that rejects some valid files and misreads others. Write bare "
            "keys, single-line strings, and arrays with values of one type."),
        "FS003": Rule("error", "A configuration file starts with a byte order mark",
            "Prefect's TOML parser does not skip the mark, so every import of Prefect fails. Save the file as UTF-8 "
            "without a byte order mark."),
        "FS004": Rule("error", "A configuration file contains a key or table twice",
            "TOML forbids duplicates, so every import of Prefect fails. Keep one of them."),
        "FS005": Rule("error", "A key is the name of a method or attribute of Prefect's Config",
            "Prefect stores keys as attributes of an object and refuses names such as items, keys and update at "
            "import. Write the key in upper case."),
        "FS010": Rule("warning", "A dotted key defines a table",
            "In TOML, db.user is the key user in the table db, so Secret('db.user') does not exist. Quote the key."),
        "FS011": Rule("error", "The name of the table of secrets is misspelled",
            "Prefect reads secrets only from [context.secrets], in lower case. It ignores tables with other names "
            "without a message."),
        "FS015": Rule("error", "No secret works with this configuration",
            "The table of secrets, or a table around it, is overwritten by text. Use a table [context.secrets], or "
            "one variable for each secret."),
        "FS016": Rule("error", "use_local_secrets is not a boolean",
            "Prefect evaluates the text as a condition, and text such as 'yes' or 'no' counts as true. Write true or "
            "false."),
        "FS017": Rule("warning", "A variable names a configuration file that does not exist",
            "Prefect then reads neither that file nor the one in ~/.prefect, without a message. Correct the path, or "
            "remove the variable."),
    },
    "Names of variables": {
        "FS006": Rule("warning", "Two underscores in the name of a variable create a table",
            "Prefect splits the names of variables at two underscores, so DB__USER sets a key in a table and not a "
            "secret of that name. Such a name can be set only in config.toml."),
        "FS007": Rule("error", "The name of a variable is misspelled, so it sets no secret",
            "Only variables that start with PREFECT__CONTEXT__SECRETS__ set secrets. Prefect ignores others without a "
            "message."),
        "FS008": Rule("error", "The name in a variable is lower-cased",
            "Up to 0.6.6, Prefect converts the names of variables to lower case, so Secret('NAME') does not find the "
            "value. Use lower-case names in flows."),
        "FS009": Rule("error", "A variable sets a whole table",
            "Depending on the order of the variables, it replaces the secrets of config.toml. Set one variable for "
            "each secret."),
        "FS012": Rule("warning", "Two variables set the same secret",
            "Their names differ only in case, and the last one in the environment wins. Keep one of them."),
        "FS014": Rule("error", "A variable does not override the secret of a configuration file",
            "In releases that convert the names of variables to lower case, the two are different secrets. Use a "
            "lower-case name in config.toml."),
        "FS052": Rule("warning", "A variable lacks the prefix of secrets",
            "Prefect has a default secret of that name, but does not read a plain variable as that secret. Add the "
            "prefix PREFECT__CONTEXT__SECRETS__."),
    },
    "Values that change their type": {
        "FS020": Rule("warning", "A secret is read as a number",
            "Prefect evaluates values as Python or JSON, so 1.10 becomes 1.1. Write the suggested quotes, with which "
            "a flow gets the text as written."),
        "FS021": Rule("error", "A secret of zeros is read as 0",
            "A PIN such as 0000 becomes the number 0 and loses its length. Write the suggested quotes."),
        "FS022": Rule("error", "A phone number is read as a number",
            "A leading + is lost, because the text is a valid number. Write the suggested quotes."),
        "FS023": Rule("error", "A hexadecimal token is read as a number",
            "Digits with one e are a number in scientific notation, often infinity. Write the suggested quotes."),
        "FS024": Rule("warning", "A secret is read as a boolean",
            "The text true or false becomes a boolean. Write the suggested quotes if the flow needs text."),
        "FS025": Rule("error", "A secret is read as None",
            "The secret looks as if it were missing, and a default may replace it. Write the suggested quotes."),
        "FS026": Rule("warning", "A secret is read as a special number",
            "NaN and inf are numbers in JSON or Python. Write the suggested quotes if the flow needs text."),
        "FS028": Rule("error", "A secret is read as a Python literal",
            "Text such as 1,2 becomes a tuple. Write the suggested quotes."),
        "FS029": Rule("note", "Secret.get() decodes a secret that the context holds as text",
            "prefect.context.secrets holds the JSON text, and Secret.get() returns a table or list. Code that reads "
            "the context directly gets another value."),
        "FS035": Rule("warning", "A secret in Python syntax is read as a table or list by some releases only",
            "Releases before 0.11.0 read only JSON. Write JSON with double quotes, which all releases read."),
        "FS050": Rule("error", "An unquoted value in YAML is not a string",
            "Kubernetes rejects a manifest in which the value of a variable is a boolean or a number, and Docker "
            "Compose may change it. Put the value in quotes: --fix does."),
        "FS061": Rule("error", "An agent cannot pass on a variable to its flow runs",
            "Environment variables must be text, and Prefect has converted this one. No flow run starts. Write the "
            "suggested quotes."),
        "FS062": Rule("error", "Prefect needs a table, but the secret is text",
            "Storages, results and tasks of Prefect read keys of this secret, such as ACCESS_KEY, and fail on text. "
            "Write JSON with double quotes."),
    },
    "Values that lose characters": {
        "FS027": Rule("error", "A secret loses its quotes or escapes",
            "Prefect evaluates a text in quotes as a string literal. Write the suggested quotes around it."),
        "FS030": Rule("warning", "A $name in a secret is replaced by a variable",
            "Prefect expands variables in values. Wherever a variable of that name is set, the secret changes. Write "
            "the suggested escape."),
        "FS031": Rule("error", "A ${name} in a secret is removed",
            "Prefect looks it up in its configuration and removes it if there is no such key. Write the suggested "
            "escape."),
        "FS032": Rule("error", "A leading ~ is replaced by a home directory",
            "Prefect expands ~ in values. Write the suggested quotes."),
        "FS033": Rule("error", "A backslash in a variable is read as an escape",
            "Prefect decodes escapes in variables, so a path such as C:\\new contains a newline. Double each "
            "backslash."),
        "FS034": Rule("error", "Non-ASCII characters in a variable are garbled",
            "Prefect decodes the bytes of variables as Latin-1. Write \\u escapes."),
        "FS036": Rule("warning", "A secret ends with a newline",
            "The newline is part of the secret and usually comes from echo or from a file. Remove it."),
        "FS037": Rule("note", "A ${name} in a secret is replaced by a variable or key",
            "This is how Prefect refers to other values. If neither exists, the text is removed without a message."),
        "FS038": Rule("warning", "A secret is empty",
            "A flow gets an empty text and no error. Set a value, or remove the secret so that Prefect reports it as "
            "missing."),
    },
    "References that fail": {
        "FS013": Rule("error", "References form a circle",
            "The value depends on the hash seed of Python and can differ in each process. Write the value itself."),
        "FS040": Rule("error", "A reference leads to a value on which the import of Prefect fails",
            "Prefect expands the text again and again, and fails on a value that is not text. Refer to a variable "
            "that holds text."),
        "FS041": Rule("error", "A reference contains itself",
            "Prefect expands it without end, and the import fails. Remove the reference."),
        "FS042": Rule("error", "An escape in a variable is incomplete",
            "Prefect decodes escapes in variables at import and fails on this one. Double the backslash."),
        "FS043": Rule("error", "Secret.get() fails for a secret",
            "The value is valid for the import, but not for Secret.get(), for example bytes that are not JSON."),
    },
    "Kubernetes and Docker Compose": {
        "FS051": Rule("error", "Kubernetes does not allow a name",
            "The API server rejects the manifest. Names of objects have lower-case letters, digits, - and . only. "
            "--fix writes a name in lower case if nothing else is wrong."),
        "FS054": Rule("warning", "Docker Compose or Kubernetes changes a dollar",
            "They expand variables before Prefect sees the value. Write $$ for each $ of the secret."),
        "FS055": Rule("error", "Docker Compose cannot read a dollar",
            "A $ that does not start a variable is an error, and Compose does not load the file. Write $$."),
        "FS056": Rule("warning", "A container contains a variable twice",
            "The later value wins. Keep one of them."),
    },
    "Agents": {
        "FS053": Rule("warning", "Agents override a variable",
            "Agents set PREFECT__CLOUD__USE_LOCAL_SECRETS themselves for each flow run. Remove it."),
        "FS060": Rule("warning", "An agent does not pass on a secret to its flow runs",
            "Only a local agent passes on its environment. Use --env of the agent, run_config.env, or the template of "
            "flow runs."),
        "FS063": Rule("error", "The value of --env contains an equals sign",
            "These releases split the option at each equals sign and fail. Use run_config.env."),
    },
    "Templates of Prefect 2.20 and 3": {
        "FS070": Rule("error", "A template of Prefect is malformed",
            "Prefect knows {{ prefect.blocks.TYPE.NAME }}, {{ prefect.variables.NAME }} and {{ $NAME }}. It leaves "
            "other text as it is, drops it together with its key, or fails when it deploys or runs the flow. Correct "
            "the template."),
        "FS071": Rule("error", "A template names a block or variable that cannot exist",
            "Names of blocks have lower-case letters, digits and dashes only, so a legacy name such as "
            "GITHUB_ACCESS_TOKEN is github-access-token. Names of variables may also have underscores. --fix writes a "
            "name in lower case if nothing else is wrong."),
        "FS072": Rule("note", "A template becomes an empty text if its variable is missing",
            "Prefect replaces the template of a missing variable by an empty text, without an error. The file does "
            "not show whether the variable exists."),
        "FS073": Rule("error", "A template in the default of a variable stays as it is",
            "A worker replaces {{ $NAME }} in the job configuration, but not in the values that it inserts there. The "
            "flow run gets the braces. Write the template in job_configuration."),
        "FS074": Rule("error", "A deployment contains a secret in clear text",
            "prefect deploy replaces templates in a deployment by their values, so the API stores and shows the "
            "secret. Load the block in the flow, or write the template in a step or in the base job template."),
        "FS075": Rule("error", "A block template stands within other text",
            "Up to 3.6, a text with a block template may contain nothing else, and Prefect fails with a ValueError. "
            "Put the whole text into the block, or use Prefect 3.7 or later."),
        "FS076": Rule("error", "A base job template uses a variable that it does not have",
            "A worker drops the key of a placeholder without a variable, or uses an empty text. Add the variable to "
            "variables.properties, or correct its name."),
        "FS083": Rule("error", "A template in Python code stays as it is",
            "Only prefect deploy replaces {{ $NAME }}. flow.deploy(), to_deployment() and run_deployment() store it as "
            "text, and no worker replaces it. In parameters, nothing replaces any template. The flow run then gets the "
            "text with the braces. In job_variables, a worker replaces {{ prefect.blocks.secret.NAME }}."),
    },
    "Settings and values of Prefect 2.20 and 3": {
        "FS077": Rule("error", "A file contains a secret in clear text",
            "Everyone who can read the repository or the image can read the secret, even later in the history. In a "
            "URL, a secret can be a password, a token in place of the user name, a signature or the path of a webhook. "
            "Put the secret into a Secret block, or into an environment variable of the process."),
        "FS078": Rule("warning", "YAML changes a value of a deployment",
            "YAML 1.1 reads true, yes, 0123, 1:30 and times as other types, and the flow run gets another text, such "
            "as 'True' or '83'. Put the value in quotes: --fix does for variables of the environment."),
        "FS079": Rule("warning", "Prefect 2.20 and 3 ignore a legacy setting",
            "They read neither variables that start with PREFECT__ nor config.toml, so a secret in them is missing. "
            "flowsecrets migrate creates a Secret block for it."),
        "FS080": Rule("warning", "Prefect has no setting of a name",
            "Prefect ignores a misspelled setting without a message, except that 2.20 fails on one in a profile. Write "
            "the suggested name."),
        "FS081": Rule("warning", "A setting belongs to another release of Prefect",
            "A setting that was removed, or added later, is ignored without a message. A former name is still read, "
            "but a newer name takes precedence."),
        "FS082": Rule("warning", "Prefect does not read a file",
            "Prefect 2.20 and 3 do not read config.toml and backend.toml of the legacy line, and 2.20 and 3.0 read "
            "neither prefect.toml nor pyproject.toml. Use variables of the environment, or a profile."),
    },
    "Comments": {
        "FS090": Rule("warning", "An ignore comment silences nothing",
            "The finding that it silenced is gone, or its id is misspelled. A forgotten comment would hide the next "
            "finding of that rule. --fix removes it."),
    },
    "Leaks": {
        LEAK: Rule("error", "A secret leaked",
            "The value of a secret occurs in a place that others can read, such as a log, a state message or an "
            "artifact. The finding says where it comes from and how to prevent it."),
    },
}
# fmt: on
RULES: Dict[str, Rule] = {name: rule for rules in GROUPS.values() for name, rule in rules.items()}
#: The page that documents the rules, for tools that link to it.
DOCUMENTATION = "https://pypi.org/project/pytest-flowsecrets/"


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
