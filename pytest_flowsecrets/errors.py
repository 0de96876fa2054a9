"""The errors and warnings of this package.

They carry data, say the next step, and never hold a secret's value: names, files, lines and types only. Each one
pickles, because pytest-xdist sends them from its workers to the terminal.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence


class FlowSecretsError(Exception):
    """Base of every error that this package raises on purpose."""


class UsageError(FlowSecretsError):
    """An argument of ours is wrong: a marker's, a fixture's, a function's."""


class PrefectNotInstalled(FlowSecretsError):  # noqa: N818
    """The real Prefect is needed and not there."""

    def __init__(self, wanted_by: str) -> None:
        super().__init__(wanted_by)
        self.wanted_by = wanted_by

    def __str__(self) -> str:
        return (
            f"{self.wanted_by} needs Prefect 0.5.5 to 1.4.1, which is not installed here: "
            "pip install 'pytest-flowsecrets[prefect]'"
        )


class UnsupportedPrefect(FlowSecretsError):  # noqa: N818
    """A Prefect is installed whose secrets work in another way (2.x, 3.x, or older than 0.5.5)."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version

    def __str__(self) -> str:
        return (
            f"Prefect {self.version} is installed; pytest-flowsecrets gives secrets to Prefect 0.5.5 to 1.4.1 only: "
            "pip install 'prefect<=1.4.1', or take the secrets marker and fixtures off this test"
        )


class IncompatibleMarshmallow(FlowSecretsError):  # noqa: N818
    """Prefect failed because of marshmallow 4, which no release up to 1.4.1 can serialize flows with.

    Args:
        prefect: the installed version of Prefect.
        marshmallow: the installed version of marshmallow.
    """

    def __init__(self, prefect: str, marshmallow: str) -> None:
        super().__init__(prefect, marshmallow)
        self.prefect, self.marshmallow = prefect, marshmallow

    def __str__(self) -> str:
        return (
            f"Prefect {self.prefect} does not work with marshmallow {self.marshmallow}, which is installed here: "
            "pip install 'marshmallow<4'"
        )


class ConfigSyntaxError(FlowSecretsError):
    """A TOML text that Prefect could not read.

    Args:
        path: the file that was to be written or read.
        line: 1-based line of the fault, or None where the parser did not tell.
        column: 1-based column of the fault, or None.
        reason: what the parser said.
        excerpt: the lines around the fault, with every value masked.
    """

    def __init__(self, path: str, line: Optional[int], column: Optional[int], reason: str, excerpt: str = "") -> None:
        super().__init__(path, line, column, reason, excerpt)
        self.path, self.line, self.column, self.reason, self.excerpt = path, line, column, reason, excerpt

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        message = f"{place}: {self.reason}; `import prefect` would fail, so nothing was changed"
        return f"{message}\n{self.excerpt}" if self.excerpt else message


class SecretRejected(FlowSecretsError):  # noqa: N818
    """The real Prefect refuses to load with a secret written like this.

    Args:
        names: the secrets, or the file, that were being set.
        prefect_version: the installed version.
        reason: type of Prefect's own error, without its text, which may hold the value.
    """

    def __init__(self, names: str, prefect_version: str, reason: str) -> None:
        super().__init__(names, prefect_version, reason)
        self.names, self.prefect_version, self.reason = names, prefect_version, reason

    def __str__(self) -> str:
        return (
            f"Prefect {self.prefect_version} cannot load its configuration with {self.names}: {self.reason}; "
            "in production `import prefect` would fail. Rename the secret or write its value in another way"
        )


class IsolationEnded(FlowSecretsError):  # noqa: N818
    """Secrets or home of an isolation are used that has ended, or that another one covers."""


class CloudUnreachable(FlowSecretsError, ConnectionError):  # noqa: N818
    """Something asked the default address of Prefect Cloud from inside an isolation."""


class WriteOnlySecret(FlowSecretsError):  # noqa: N818
    """The value of a secret of the fake Prefect Cloud was asked for; as in Prefect Cloud, it cannot be had.

    Args:
        name: of the secret.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return (
            f"secret {self.name!r} can be set, not read, as in Prefect Cloud: compare it with "
            f"prefect_cloud.secrets.holds({self.name!r}, value), or read it as a flow run does, with "
            f"Secret({self.name!r}).get() inside `with prefect_cloud.executing():`"
        )


class SecretReceived(FlowSecretsError, AssertionError):  # noqa: N818
    """The API was sent the value of a secret, by something else than the mutation that sets it.

    Args:
        name: of the secret.
        places: where its value stood: root fields of the operation, and the way to the value in what was sent.
    """

    def __init__(self, name: str, places: Sequence[str]) -> None:
        super().__init__(name, tuple(places))
        self.name, self.places = name, tuple(places)

    def __str__(self) -> str:
        shown = "".join(f"\n  {place}" for place in self.places)
        return f"the API was sent the value of the secret {self.name!r}:{shown}"


class SecretChangedWarning(UserWarning):
    """What ``Secret(name).get()`` gives differs from what the test gave."""


class TomlDialectWarning(UserWarning):
    """Prefect's own TOML parser (``toml`` 0.10.2) reads a key differently from TOML 1.0."""


class UnknownPrefectVersion(UsageError):  # noqa: N818
    """A version was asked for that is none of Prefect's 0.5.0 to 1.4.1."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version

    def __str__(self) -> str:
        return f"{self.version!r} is no release of Prefect 0.5.0 to 1.4.1 (such as 0.14.22), and no dialect (D1 to D11)"


class RouteUnavailable(FlowSecretsError):  # noqa: N818
    """A road that secrets take in production, and that cannot be taken here: this Prefect has none, or a package lacks.

    Tests that are marked with ``secret_routes`` skip with its text.
    """


class AgentFailed(FlowSecretsError):  # noqa: N818
    """A real agent that cannot start, or has ended: the API refuses its key, say, or answers nothing.

    Args:
        agent: ``local`` or ``kubernetes``.
        reason: type of Prefect's own error, without its text, which may hold what was sent; or how its process ended.
        printed: what its process has printed, the values of secrets masked.
    """

    def __init__(self, agent: str, reason: str, printed: str = "") -> None:
        super().__init__(agent, reason, printed)
        self.agent, self.reason, self.printed = agent, reason, printed

    def __str__(self) -> str:
        message = (
            f"the {self.agent} agent cannot start: {self.reason}; look at the API's faults, and whether its key is "
            "good (.requests tells what the API answered)"
        )
        last = self.printed.strip().rpartition("\n")[2]
        return f"{message}; the last line it printed (all: .printed): {last}" if last else message


class FlowRunTimeout(FlowSecretsError):  # noqa: N818
    """A flow run that took too long; its process has been ended.

    Args:
        seconds: that it was given.
        state: of the flow run by then.
        tasks: slug and state of each task run.

    Attributes:
        run: what is known of it by then, a FlowRun; lost where this error was pickled.
    """

    run: Any = None

    def __init__(self, seconds: float, state: str, tasks: Sequence[str]) -> None:
        super().__init__(seconds, state, tuple(tasks))
        self.seconds, self.state, self.tasks = seconds, state, tuple(tasks)

    def __str__(self) -> str:
        tasks = f", its tasks {', '.join(self.tasks)}" if self.tasks else ""
        return (
            f"the flow run was stopped after {self.seconds:g} s: it is {self.state}{tasks}; .run has its logs; give "
            "run(…, timeout=) more seconds if it needs them"
        )


class CreateContainerConfigError(FlowSecretsError):
    """A container that Kubernetes cannot start, because a Secret or ConfigMap, or a key of one, is missing.

    Named after the pod's own status. The flow run of such a pod stays Submitted.

    Args:
        kind: ``Secret`` or ``ConfigMap``.
        name: its name.
        key: the missing key; None where the whole object is missing.
        namespace: where the pod looks.
        wanted: the key that was wanted of a missing object, if it was one.
    """

    def __init__(self, kind: str, name: str, key: Optional[str], namespace: str, wanted: str = "") -> None:
        super().__init__(kind, name, key, namespace, wanted)
        self.kind, self.name, self.key, self.namespace, self.wanted = kind, name, key, namespace, wanted

    def __str__(self) -> str:
        if self.key is not None:
            told, wanted = f"couldn't find key {self.key} in {self.kind} {self.namespace}/{self.name}", self.key
        else:
            told, wanted = f'{self.kind.lower()} "{self.name}" not found', self.wanted
        which = "cluster_secrets" if self.kind == "Secret" else "cluster_secrets.config_maps"
        entry = f"{{{wanted!r}: ...}}" if wanted else "{...}"
        return f"{told}; set {which}[{self.name!r}] = {entry}, or say optional: true"
