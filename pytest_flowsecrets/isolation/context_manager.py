"""Create an isolation of the installed Prefect, or enter one as a context manager and a decorator, without fixtures."""

from __future__ import annotations

from contextlib import ContextDecorator
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, TypeVar, cast

from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.versions import DEFAULT_VERSION, uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.home.private_home import ConfigText
    from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets
    from pytest_flowsecrets.isolation.stack import Isolation


_Function = TypeVar("_Function", bound=Callable[..., Any])


def new_isolation(
    version: str = DEFAULT_VERSION, *, of_test: bool = False, server: str = "fake", write_only: bool = False
) -> Isolation:
    """Return an isolation for the installed Prefect. Nothing else in this package chooses between the two kinds.

    Args:
        version: the Prefect version whose rules apply if Prefect is not installed.
        of_test: whether the isolation belongs to a whole test. Other threads may then nest isolations inside it.
        server: the API of Prefect 2.20 and 3: ``fake`` or ``real``.
        write_only: whether the fake API refuses reads of secrets outside flow runs from the start.
    """
    if uses_rest_api():
        from pytest_flowsecrets.isolation.rest_isolation import RestIsolation

        return RestIsolation(of_test=of_test, server=server, write_only=write_only)
    from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation

    return LegacyIsolation(version, of_test=of_test)


class isolated_prefect(ContextDecorator):  # noqa: N801 - used as a function
    """Give the real Prefect these secrets and no others, in this process and its children.

    Use it as a context manager or as a decorator. As a context manager it returns the secrets as a mapping, which is
    ``local_secrets`` in tests. At the end the state of Prefect and of the environment is restored. All errors below are
    raised when the isolation begins.

    Args:
        secrets: names and values, as for ``@pytest.mark.secrets``.
        config: the text or mapping of a private ``config.toml``.
        backend: the text or mapping of a private ``backend.toml``.

    Raises:
        UsageError: a name or a value is not valid for a secret.
        UnsupportedPrefect: the installed Prefect is not 0.5.5 to 1.4.1, 2.20 or 3.
        ConfigSyntaxError: ``config`` or ``backend`` is not valid TOML.
        SecretRejected: Prefect cannot load its configuration with these secrets.
    """

    def __init__(
        self,
        secrets: Optional[Mapping[str, Any]] = None,
        *,
        config: Optional[ConfigText] = None,
        backend: Optional[ConfigText] = None,
    ) -> None:
        self._arguments = dict(secrets or {}), config, backend
        self._isolations: List[Isolation] = []
        self._new_isolation: Callable[[], Isolation] = new_isolation

    def using(self, new: Callable[[], Isolation]) -> isolated_prefect:
        """Use isolations that ``new`` returns, and return this object."""
        self._new_isolation = new
        return self

    def __repr__(self) -> str:
        return f"<isolated_prefect {sorted(map(str, self._arguments[0]))}>"

    def __call__(self, func: _Function) -> _Function:
        """Isolate each call of a function; of an asynchronous one until its result is there."""
        if not iscoroutinefunction(func):
            return super().__call__(func)

        @wraps(func)
        async def isolated(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await func(*args, **kwargs)

        return cast("_Function", isolated)

    def __enter__(self) -> LocalSecrets:
        __tracebackhide__ = True
        isolation = self._new_isolation()
        try:
            self._enter(isolation)
            self._isolations.append(isolation)
            # Not in an `else` clause: a signal could come first. CPython handles pending signals after builtin calls.
            secrets: LocalSecrets = getattr(isolation, "secrets")  # noqa: B009
            return secrets  # noqa: TRY300
        except BaseException:  # also from a signal
            isolation.exit()
            raise

    @hide_arguments
    def _enter(self, isolation: Isolation) -> None:
        secrets, config, backend = self._arguments
        isolation.enter(secrets)
        if config is not None:
            isolation.home.write_config(config)
        if backend is not None:
            isolation.home.write_backend(backend)
        isolation.secrets.warn_about(secrets)

    def __exit__(self, _: object, error: Optional[BaseException], __: object) -> None:
        try:
            if error is not None:
                from pytest_flowsecrets.isolation.missing_secrets import note_missing

                note_missing(error, self._isolations[-1])
            self._isolations[-1].exit()
        except BaseException:  # a signal may have arrived before the exit began
            self._isolations[-1].exit()
            raise
        finally:
            self._isolations.pop()
