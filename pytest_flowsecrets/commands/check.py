"""``flowsecrets check``: a linter for files that contain secrets."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Tuple

from pytest_flowsecrets.commands.files.reading import LARGEST, TEMPLATE, Unreadable, checked_bytes, decoded, read_bytes
from pytest_flowsecrets.commands.inputs import dialects_of, machine_of
from pytest_flowsecrets.commands.linter.checker import Checker
from pytest_flowsecrets.commands.linter.configuration import (
    FileIgnores,
    Selection,
    Settings,
    merged,
    read_settings,
    target_of,
)
from pytest_flowsecrets.commands.linter.discovery import STDIN, Discovery, kind_of
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.findings import reporters, terminal

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

TEXT_FORMATS = ("text", "concise", "full")


class Source(NamedTuple):
    """A file to check.

    Attributes:
        path: the file, or ``-`` for the standard input.
        name: the name for messages, and for the type.
        is_explicit: whether the command line names it, and not only its folder.
    """

    path: str
    name: str
    is_explicit: bool

    def text(self) -> str:
        """Read the text of the file."""
        if self.path != STDIN:
            return decoded(self.name, read_bytes(self.path))
        source = sys.stdin.buffer.read(LARGEST + 1)
        return decoded(self.name, checked_bytes(self.name, source))


def run(arguments: Any) -> int:
    """Check files.

    Args:
        arguments: parsed arguments.

    Returns:
        0 without findings, 1 with findings, 2 if a file cannot be read.
    """
    settings = merged(arguments, read_settings(arguments.config))
    arguments.prefect_version, arguments.python_version = settings.prefect_version, settings.python_version
    arguments.all_versions = settings.all_versions
    if arguments.fix and STDIN in arguments.files:
        raise UsageError("--fix cannot change the standard input: use --diff")
    check = _Run(arguments, settings)
    for source in check.sources():
        check.check(source)
    check.report()
    return 2 if check.errors else int(bool(check.findings or (check.changed and arguments.diff)))


class _Run:
    """One run of the linter.

    Attributes:
        findings: the findings that remain.
        errors: the files that cannot be checked.
        changed: the texts of files before and after fixes, by name.
    """

    def __init__(self, arguments: Any, settings: Settings) -> None:
        self.arguments, self.settings = arguments, settings
        selection = Selection(settings.select, (*settings.ignore, *settings.extend_ignore), settings.place)
        self.file_ignores = FileIgnores(settings.per_file_ignores, settings.folder, settings.place)
        target = target_of(settings.prefect_version, all_versions=settings.all_versions)
        dialects = [] if target.is_rest else dialects_of(arguments)
        self.checker = Checker(dialects, machine_of(arguments), selection, target)
        self.findings: List[Finding] = []
        self.errors: List[Unreadable] = []
        self.changed: Dict[str, Tuple[str, str]] = {}
        self.texts: Dict[str, List[str]] = {}
        self.counts = {"files": 0, "fixed": 0, "templates": 0}

    def sources(self) -> List[Source]:
        """Return the files to check."""
        named = [path for path in self.arguments.files if path != STDIN]
        search = Discovery(self.settings.exclude, gitignore=self.settings.respect_gitignore)
        results = [Source(path, path, path in named) for path in search.files(named)]
        if STDIN in self.arguments.files:
            results.append(Source(STDIN, self.arguments.stdin_filename or "<stdin>", is_explicit=True))
        return results

    def check(self, source: Source) -> None:
        """Check a file, and fix it if asked to.

        Args:
            source: the file.
        """
        try:
            kind = self.arguments.kind or self._kind(source)
            text = source.text()
            results = self._results(source, kind, text)
            if self.arguments.fix or self.arguments.diff:
                results = self._fix(source, kind, text, results)
        except Unreadable as error:
            if source.is_explicit or not _may_be_foreign(source, error):
                self.errors.append(error)
            elif error.reason == TEMPLATE:
                self.counts["templates"] += 1  # of a Helm chart, for example
            return
        self.counts["files"] += 1
        self.findings += results
        self.texts[source.name] = self.changed.get(source.name, ("", text))[1].split("\n")

    def _kind(self, source: Source) -> str:
        if source.path == STDIN and not self.arguments.stdin_filename:
            raise UsageError("the type of the standard input is unknown: add --stdin-filename or --as")
        return kind_of(source.name)

    def _results(self, source: Source, kind: str, text: str) -> List[Finding]:
        results = [
            each
            for each in self.checker.check_text(source.name, kind, text)
            if not self.file_ignores.ignores(source.name, each.id)
        ]
        return [each for each in results if self.settings.notes or each.severity != "note"]

    def _fix(self, source: Source, kind: str, text: str, results: List[Finding]) -> List[Finding]:
        from pytest_flowsecrets.commands.linter.fixes import fixed_text
        from pytest_flowsecrets.migration.sources import replace_file

        after, count = fixed_text(text, results, lambda changed: self._results(source, kind, changed))
        if after == text:
            return results
        if not self.arguments.diff:
            problem = replace_file(source.path, after.encode("utf-8"))
            if problem:
                raise Unreadable(source.name, f"not fixed: {problem}")
        self.counts["fixed"] += count
        self.changed[source.name] = text, after
        return self._results(source, kind, after)

    def report(self) -> None:
        """Write the findings, the errors and the summary."""
        for error in self.errors:
            print(error, file=sys.stderr)
        for pattern in self.file_ignores.unused:
            print(f"flowsecrets: {self.settings.place}.per-file-ignores: {pattern!r} silences nothing", file=sys.stderr)
        with ExitStack() as stack:
            path = self.settings.output_file
            stream = stack.enter_context(_created(path)) if path else sys.stdout
            if self.arguments.diff:
                self._write_diff(stream)
            else:
                self._write(stream)

    def _write_diff(self, stream: Any) -> None:
        from pytest_flowsecrets.commands.linter.fixes import diff

        for name, (before, after) in self.changed.items():
            for line in diff(name, before, after, show_values=self.arguments.show_values):
                print(line, file=stream)

    def _write(self, stream: Any) -> None:
        style = terminal.style_of(stream, self.arguments.color)
        chosen = self.settings.format
        if chosen == "text":
            chosen = "full" if terminal.is_terminal(stream) else "concise"
        results = list(map(reporters.with_line, self.findings)) if self.arguments.show_values else self.findings
        counts = {**self.counts, "suppressed": self.checker.suppressed, "unreadable": len(self.errors)}
        output = reporters.Output(stream, style, self.texts, [str(error) for error in self.errors], counts)
        reporters.write(results, chosen, output)
        if self.settings.format in TEXT_FORMATS and not self.arguments.quiet:
            stream.flush()  # the summary follows the findings, also if both go to one pipe
            style = terminal.style_of(sys.stderr, self.arguments.color)
            print(terminal.summary(results, counts, style), file=sys.stderr)


def _may_be_foreign(source: Source, error: Unreadable) -> bool:
    """Return whether a file that cannot be read is probably for another program, or for another release of Python."""
    return error.reason == TEMPLATE or source.name.endswith(".py")


def _created(path: str) -> Any:
    folder = os.path.dirname(path)
    try:
        if folder:
            os.makedirs(folder, exist_ok=True)
        return open(path, "w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"--output-file {path}: {(error.strerror or type(error).__name__).lower()}") from None
