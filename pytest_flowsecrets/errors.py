"""The errors and warnings of this package.

Each error carries data, names the next step, and never holds a secret's value: only names, files, lines and types. All
of them can be pickled, because pytest-xdist sends them from its workers to the controller.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence


def with_article(noun: str) -> str:
    """Return a noun, such as the name of a type, with "a" or "an" in front of it.

    Args:
        noun: the noun. One that starts with u is read as "you", as in ``UniversalRun``.
    """
    return f"{'an' if noun[:1].lower() in set('aeio') else 'a'} {noun}"


class FlowSecretsError(Exception):
    """The base class of every error that this package raises on purpose."""


class UsageError(FlowSecretsError):
    """An argument of a marker, a fixture or a function of this package is wrong."""


class NotOnRealServer(UsageError, AttributeError):  # noqa: N818
    """A test uses an attribute of the fake API, but ``--flowsecrets-server=real`` gives it the real server.

    Args:
        attribute: the name of the attribute.
    """

    def __init__(self, attribute: str) -> None:
        super().__init__(attribute)
        self.attribute = attribute

    def __str__(self) -> str:
        return (
            f"the real server has no .{self.attribute}: only the fake API has it; run this test with "
            "--flowsecrets-server=fake"
        )


class PrefectNotInstalled(FlowSecretsError):  # noqa: N818
    """A feature needs the real Prefect, which is not installed.

    Args:
        wanted_by: the feature that needs Prefect.
    """

    def __init__(self, wanted_by: str) -> None:
        super().__init__(wanted_by)
        self.wanted_by = wanted_by

    def __str__(self) -> str:
        return (
            f"{self.wanted_by} needs Prefect 0.5.5 to 1.4.1, which is not installed here: "
            "pip install 'pytest-flowsecrets[prefect]'"
        )


class UnsupportedPrefect(FlowSecretsError):  # noqa: N818
    """The installed Prefect is not supported, or has moved something that this package uses.

    Args:
        version: the installed version.
        moved: the name in Prefect that this release no longer has; empty if the version is not supported.
    """

    def __init__(self, version: str, moved: str = "") -> None:
        super().__init__(version, moved)
        self.version, self.moved = version, moved

    def __str__(self) -> str:
        if self.moved:
            return (
                f"Prefect {self.version} no longer has {self.moved}, which pytest-flowsecrets uses: "
                "pip install -U pytest-flowsecrets, or install an older Prefect 3"
            )
        return (
            f"Prefect {self.version} is installed, but pytest-flowsecrets supports only Prefect 0.5.5 to 1.4.1, 2.20 "
            "and 3: pip install -U prefect, or remove the secrets marker and fixtures from this test"
        )


class IncompatibleMarshmallow(FlowSecretsError):  # noqa: N818
    """Prefect failed because of marshmallow 4. No release up to 1.4.1 can serialize flows with it.

    Args:
        prefect: the installed version of Prefect.
        marshmallow: the installed version of marshmallow.
    """

    def __init__(self, prefect: str, marshmallow: str) -> None:
        super().__init__(prefect, marshmallow)
        self.prefect, self.marshmallow = prefect, marshmallow

    def __str__(self) -> str:
        return (
            f"Prefect {self.prefect} does not work with the installed marshmallow {self.marshmallow}: "
            "pip install 'marshmallow<4'"
        )


class ConfigSyntaxError(FlowSecretsError):
    """Prefect cannot read a TOML text.

    Args:
        path: the file to write or to read.
        line: the 1-based line of the error, or None if the parser does not report it.
        column: the 1-based column of the error, or None.
        reason: the parser's message.
        excerpt: the lines around the error, with every value masked.
    """

    def __init__(self, path: str, line: Optional[int], column: Optional[int], reason: str, excerpt: str = "") -> None:
        super().__init__(path, line, column, reason, excerpt)
        self.path, self.line, self.column, self.reason, self.excerpt = path, line, column, reason, excerpt

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        message = f"{place}: {self.reason}; `import prefect` would fail, so nothing has changed"
        return f"{message}\n{self.excerpt}" if self.excerpt else message


class SecretRejected(FlowSecretsError):  # noqa: N818
    """The real Prefect cannot load its configuration with a secret or file as the test wrote it.

    Args:
        names: the secrets or the file that the test set.
        prefect_version: the installed version.
        reason: the type of Prefect's own error. The text of that error may hold the value and is left out.
    """

    def __init__(self, names: str, prefect_version: str, reason: str) -> None:
        super().__init__(names, prefect_version, reason)
        self.names, self.prefect_version, self.reason = names, prefect_version, reason

    def __str__(self) -> str:
        return (
            f"Prefect {self.prefect_version} cannot load its configuration with {self.names}: {self.reason}; "
            "in production `import prefect` would fail; rename the secret, or write its value in another way"
        )


class SecretNotFound(FlowSecretsError, KeyError):  # noqa: N818
    """A mapping of secrets, such as ``local_secrets``, does not have a secret.

    Args:
        name: the name that the test asked for.
        similar: the name of an existing secret that it may stand for, or an empty text.
        place: ``cloud`` if the mapping is ``prefect_cloud.secrets``, or an empty text.
    """

    def __init__(self, name: str, similar: str = "", place: str = "") -> None:
        super().__init__(name, similar, place)
        self.name, self.similar, self.place = name, similar, place

    def __str__(self) -> str:
        advice = f"did you mean {self.similar!r}?" if self.similar else "set it first"
        return f"secret {self.name!r} does not exist: {advice}"


class IsolationEnded(FlowSecretsError):  # noqa: N818
    """The test uses the secrets or the home of an isolation that has ended or that is not the innermost one."""


class CloudUnreachable(FlowSecretsError, ConnectionError):  # noqa: N818
    """Code inside an isolation sent a request to the default address of Prefect Cloud."""


class WriteOnlySecret(FlowSecretsError):  # noqa: N818
    """The test tried to read a secret of the fake Prefect Cloud. As in Prefect Cloud, secrets are write-only.

    Args:
        name: the name of the secret.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return (
            f"secret {self.name!r} is write-only, as in Prefect Cloud: compare its value with "
            f"prefect_cloud.secrets.holds({self.name!r}, value), or read it as a flow run does, with "
            f"Secret({self.name!r}).get() inside `with prefect_cloud.flow_run():`"
        )


class SecretReceived(FlowSecretsError, AssertionError):  # noqa: N818
    """The API received the value of a secret in a request other than the mutation that sets it.

    Args:
        name: the name of the secret.
        places: where the value was: the root fields of the operation, and the path to the value in the request.
    """

    def __init__(self, name: str, places: Sequence[str]) -> None:
        super().__init__(name, tuple(places))
        self.name, self.places = name, tuple(places)

    def __str__(self) -> str:
        lines = "".join(f"\n  {place}" for place in self.places)
        return f"the API received the value of secret {self.name!r}:{lines}"


class SecretChangedWarning(UserWarning):
    """``Secret(name).get()`` returns another value than the one that the test set."""


class TomlDialectWarning(UserWarning):
    """Prefect's own TOML parser (``toml`` 0.10.2) reads a key differently from TOML 1.0."""


class UnknownPrefectVersion(UsageError):  # noqa: N818
    """A version is not one of Prefect 0.5.0 to 1.4.1.

    Args:
        version: the text in question.
    """

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version

    def __str__(self) -> str:
        return f"{self.version!r} is not a Prefect version from 0.5.0 to 1.4.1, such as 0.14.22, or a dialect (D1-D11)"


class RouteUnavailable(FlowSecretsError):  # noqa: N818
    """A production route is not available here: the installed Prefect does not have it, or a package is missing.

    Tests with the ``secret_routes`` marker are skipped, with this message as the reason.
    """


class AgentFailed(FlowSecretsError):  # noqa: N818
    """A real agent cannot start or has ended, for example because the API rejects its key or does not respond.

    Args:
        agent: ``local`` or ``kubernetes``.
        reason: the type of Prefect's own error, or how the agent's process ended. The text of the error may hold the
            request and is left out.
        printed: the output of the agent's process, with the values of secrets masked.
    """

    def __init__(self, agent: str, reason: str, printed: str = "") -> None:
        super().__init__(agent, reason, printed)
        self.agent, self.reason, self.printed = agent, reason, printed

    def __str__(self) -> str:
        message = (
            f"the {self.agent} agent cannot start: {self.reason}; check the API's faults and the agent's key "
            "(.requests lists the API's responses)"
        )
        last = self.printed.strip().rpartition("\n")[2]
        return f"{message}; its last line of output (all of it: .printed): {last}" if last else message


class PrefectServerFailed(FlowSecretsError):  # noqa: N818
    """The real server of the installed Prefect cannot start, has ended, or does not answer.

    Args:
        version: of Prefect.
        reason: one line.
        advice: the next step.
        log: the end of the server's log, with the values of secrets masked.
    """

    def __init__(self, version: str, reason: str, advice: str, log: str = "") -> None:
        super().__init__(version, reason, advice, log)
        self.version, self.reason, self.advice, self.log = version, reason, advice, log

    def __str__(self) -> str:
        last = self.log.strip().rpartition("\n")[2]
        log = f"; the last line of its log (all of it: .log): {last}" if last else ""
        return f"the server of Prefect {self.version}: {self.reason}; {self.advice}{log}"


class FlowRunTimeout(FlowSecretsError):  # noqa: N818
    """A flow run took too long, and its process was ended.

    Args:
        seconds: the timeout.
        state: the state of the flow run at that moment.
        tasks: the slug and the state of each task run.

    Attributes:
        run: the FlowRun at that moment. It is None after this error was pickled.
    """

    run: Any = None

    def __init__(self, seconds: float, state: str, tasks: Sequence[str]) -> None:
        super().__init__(seconds, state, tuple(tasks))
        self.seconds, self.state, self.tasks = seconds, state, tuple(tasks)

    def __str__(self) -> str:
        tasks = f", its tasks: {', '.join(self.tasks)}" if self.tasks else ""
        return (
            f"the flow run was stopped after {self.seconds:g} s; its state is {self.state}{tasks}; .run has its logs; "
            "if the flow needs more time, raise run(…, timeout=)"
        )


class CreateContainerConfigError(FlowSecretsError):
    """Kubernetes cannot start a container because a Secret or ConfigMap, or a key of one, is missing.

    The error is named after the status of the pod. The flow run of such a pod stays Submitted.

    Args:
        kind: ``Secret`` or ``ConfigMap``.
        name: the name of the object.
        key: the missing key, or None if the whole object is missing.
        namespace: the namespace of the pod.
        wanted: the key that the pod needs from a missing object, or an empty text if it needs all keys.
    """

    def __init__(self, kind: str, name: str, key: Optional[str], namespace: str, wanted: str = "") -> None:
        super().__init__(kind, name, key, namespace, wanted)
        self.kind, self.name, self.key, self.namespace, self.wanted = kind, name, key, namespace, wanted

    def __str__(self) -> str:
        if self.key is not None:
            message, key = f"couldn't find key {self.key} in {self.kind} {self.namespace}/{self.name}", self.key
        else:
            message, key = f'{self.kind.lower()} "{self.name}" not found', self.wanted
        mapping = "cluster_secrets" if self.kind == "Secret" else "cluster_secrets.config_maps"
        entry = f"{{{key!r}: ...}}" if key else "{...}"
        return f"{message}; set {mapping}[{self.name!r}] = {entry}, or add optional: true to the reference"
