"""The parsers of the subcommands that read files. A function for each adds its options and the code that it runs.

The code of a subcommand is imported only when the subcommand runs.
"""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict, Tuple

from pytest_flowsecrets.errors import UsageError

KINDS = (
    *("toml", "prefect-toml", "profiles", "pyproject", "env", "dockerfile", "makefile", "systemd", "supervisor"),
    *("yaml", "shell", "python"),
)
FLOW_RUN = ("agent_env", "run_env", "job_template", "task_definition", "cluster_secrets")
FORMATS = ("text", "concise", "full", "json", "github", "sarif")
EXIT_STATUS = (
    "exit status: 0 without findings, 1 with findings or failures,\n             2 for wrong usage or unreadable files"
)


def examples(*lines: str) -> Dict[str, Any]:
    """Return the arguments of a parser whose help ends with examples."""
    text = "\n".join(("examples:", *(f"  {line}" for line in lines), "", EXIT_STATUS))
    return {"epilog": text, "formatter_class": HelpFormatter}


class HelpFormatter(argparse.HelpFormatter):
    """Wraps texts without line breaks, such as descriptions, and keeps the line breaks of others, such as examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


# -- demo --------------------------------------------------------------------------------------------------------------


def _add_demo(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "demo",
        help="run the tests of a small example project on the installed Prefect",
        description="Write a small project with flows and tests, and run its tests on the installed Prefect.",
        **examples("flowsecrets demo", "flowsecrets demo --keep example"),
    )
    parser.add_argument("--keep", metavar="DIR", help="write the project to this new folder and keep it")
    parser.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    from pytest_flowsecrets.commands.demo import demo

    return 0 if demo(arguments.keep) else 1


# -- explain -----------------------------------------------------------------------------------------------------------


def _add_explain(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "explain",
        help="show the value that a flow gets for each secret, and its source",
        description="Show what a flow gets for each secret: its source, what it overrides, and each conversion. For "
        "Prefect 2.20 and 3, show the same for settings, and the Secret blocks of secrets.",
        **examples(
            "flowsecrets explain",
            "flowsecrets explain SLACK_WEBHOOK_URL --env-file prod.env",
            "flowsecrets explain --agent kubernetes --job-template job.yaml",
            "flowsecrets explain api.url GITHUB_ACCESS_TOKEN --prefect 3",
        ),
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="secrets, or settings of Prefect 3 such as api.url (default: all)"
    )
    _add_sources(parser)
    parser.add_argument("--show-values", action="store_true", help="show the values themselves")
    parser.add_argument("--json", action="store_true", help="print JSON")
    _add_versions(parser)
    _add_flow_run(parser)
    parser.set_defaults(run=_explain)


def _add_flow_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "secrets of a flow run that an agent starts",
        "--config, --backend and --env-file belong to the agent's machine.",
    )
    group.add_argument("--agent", metavar="KIND", help="the kind of agent: local, docker, kubernetes or ecs")
    group.add_argument(
        "--agent-env", metavar="NAME=value", action="append", help="a variable of `prefect agent … start --env`"
    )
    group.add_argument(
        "--run-env", metavar="NAME=value", action="append", help="a variable in the env of the run config"
    )
    group.add_argument("--job-template", metavar="FILE", help="the template of a Kubernetes job (YAML)")
    group.add_argument("--task-definition", metavar="FILE", help="the definition of an ECS task (YAML)")
    group.add_argument(
        "--cluster-secrets", metavar="FILE", action="append", help="manifests of Kubernetes Secrets (YAML)"
    )


def _explain(arguments: argparse.Namespace) -> int:
    run_options = [name for name in FLOW_RUN if getattr(arguments, name) is not None]
    if arguments.agent is None and run_options:
        raise UsageError(f"--{run_options[0].replace('_', '-')} needs --agent")
    if arguments.agent is not None:
        from pytest_flowsecrets.commands.explain import run_with_agent

        return run_with_agent(arguments)
    from pytest_flowsecrets.commands.inputs import rest_version

    version = rest_version(arguments)
    if version is not None:
        from pytest_flowsecrets.commands import explain_settings

        return explain_settings.run(arguments, version)
    from pytest_flowsecrets.commands import explain

    return explain.run(arguments)


# -- check -------------------------------------------------------------------------------------------------------------


def _add_check(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "check",
        help="find problems in config.toml, .env, manifests, Dockerfiles, templates and scripts",
        description="Find problems with secrets in files. `flowsecrets rule FS021` explains a finding.",
        **examples(
            "flowsecrets check .",
            "flowsecrets check config.toml 'deploy/**/*.yaml' --ignore FS052",
            "flowsecrets check . --format sarif --output-file findings.sarif",
            "flowsecrets check --fix job.yaml",
            "helm template . | flowsecrets check - --stdin-filename job.yaml",
        ),
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="files, folders and globs; - for the standard input")
    _add_check_input(parser.add_argument_group("files"))
    _add_check_rules(parser.add_argument_group("rules"))
    _add_check_output(parser.add_argument_group("output"))
    parser.set_defaults(run=_check)


def _add_check_input(group: Any) -> None:
    group.add_argument(
        "--as", dest="kind", choices=KINDS, help="the type of the files (default: inferred from the name)"
    )
    group.add_argument("--stdin-filename", metavar="NAME", help="the file name of the standard input")
    group.add_argument(
        "--exclude", metavar="PATTERN", action="append", help="skip matching files in folders, as in .gitignore"
    )
    group.add_argument("--no-respect-gitignore", action="store_true", help="also check files that .gitignore excludes")
    group.add_argument(
        "--config", metavar="FILE", help="read [tool.flowsecrets] in this file (default: pyproject.toml)"
    )


def _add_check_rules(group: Any) -> None:
    group.add_argument(
        "--select", metavar="RULES", action="append", help="check only these rules or prefixes, such as FS02"
    )
    group.add_argument("--ignore", metavar="RULES", action="append", help="skip these rules or prefixes")
    group.add_argument(
        "--extend-ignore", metavar="RULES", action="append", help="skip these in addition to the settings"
    )
    group.add_argument("--no-notes", action="store_true", help="omit findings of the severity note")
    _add_versions(group)


def _add_check_output(group: Any) -> None:
    group.add_argument(
        "--format", choices=FORMATS, help="the output format; text is full on a terminal, else concise (default: text)"
    )
    group.add_argument(
        "--json", dest="format", action="store_const", const="json-array", help="print the findings as a JSON array"
    )
    group.add_argument("--output-file", metavar="FILE", help="write the findings to this file")
    group.add_argument("--fix", action="store_true", help="change the files where a fix is certain")
    group.add_argument("--diff", action="store_true", help="show the fixes, and change nothing")
    group.add_argument("--show-values", action="store_true", help="print the lines to write, which contain the values")
    group.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="use colors (default: auto)"
    )
    group.add_argument("-q", "--quiet", action="store_true", help="omit the summary")


def _check(arguments: argparse.Namespace) -> int:
    from pytest_flowsecrets.commands import check

    return check.run(arguments)


# -- rule --------------------------------------------------------------------------------------------------------------


def _add_rule(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "rule",
        help="explain the rules of check",
        description="Explain rules of `flowsecrets check`.",
        **examples("flowsecrets rule FS021", "flowsecrets rule --all"),
    )
    parser.add_argument("names", nargs="*", metavar="RULE", help="rules such as FS021")
    parser.add_argument("--all", action="store_true", help="list all rules")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_rule)


def _rule(arguments: argparse.Namespace) -> int:
    from pytest_flowsecrets.commands import rule

    return rule.run(arguments)


# -- migrate -----------------------------------------------------------------------------------------------------------


def _add_migrate(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "migrate",
        help="plan the migration of a legacy configuration and of flows to Prefect 3, and carry it out",
        description="Plan Secret blocks and variables for a legacy configuration, and the changes of Python files.",
        **examples("flowsecrets migrate flows/", "flowsecrets migrate flows/ --write", "flowsecrets migrate --apply"),
    )
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="files and folders with Python code to change")
    _add_sources(parser)
    parser.add_argument(
        "--prefect-version", metavar="X", help="the legacy release (default: the installed one, else 1.4.1)"
    )
    parser.add_argument("--python-version", metavar="X.Y", help="the Python of the legacy flow (default: this one)")
    parser.add_argument(
        "--target", type=int, choices=(2, 3), help="the new Prefect (default: the installed one, else 3)"
    )
    parser.add_argument(
        "--rename", metavar="OLD=new", action="append", default=[], help="choose another name for a block"
    )
    parser.add_argument(
        "--cloud-secret",
        metavar="NAME",
        action="append",
        default=[],
        help="plan a block for this secret of Prefect Cloud, too",
    )
    parser.add_argument("--diff", action="store_true", help="show the changes in the Python files")
    parser.add_argument("--write", action="store_true", help="change the Python files")
    execution = parser.add_mutually_exclusive_group()
    execution.add_argument("--dry-run", action="store_true", help="create nothing (default)")
    execution.add_argument("--apply", action="store_true", help="create the blocks and variables with Prefect's client")
    parser.add_argument("--replace", action="store_true", help="replace blocks and variables that have another value")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_migrate, all_versions=False)


def _migrate(arguments: argparse.Namespace) -> int:
    from pytest_flowsecrets.commands import migrate

    return migrate.run(arguments)


def _add_sources(parser: Any) -> None:
    parser.add_argument("--config", metavar="FILE", help="a user's config.toml (default: this machine's)")
    parser.add_argument("--backend", metavar="FILE", help="a backend.toml (default: this machine's)")
    parser.add_argument("--env-file", metavar="FILE", action="append", help="read the environment from this file")


def _add_versions(parser: Any) -> None:
    parser.add_argument(
        "--prefect-version",
        "--prefect",
        metavar="X",
        help="the release of Prefect (default: the installed one, else 1.4.1)",
    )
    parser.add_argument("--python-version", metavar="X.Y", help="the Python of the flow (default: this one)")
    parser.add_argument(
        "--all-versions",
        action="store_true",
        help="show the results of all releases, once for each range of releases that agree",
    )


COMMANDS: Tuple[Callable[[Any], None], ...] = (
    _add_demo,
    _add_explain,
    _add_check,
    _add_rule,
    _add_migrate,
)
