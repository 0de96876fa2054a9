"""An isolation of the real Prefect as a context manager and as a decorator, for use without fixtures."""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any, List, Mapping, Optional

from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.isolation.stack import Isolation

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.home.private_home import ConfigText
    from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets


class isolated_prefect(ContextDecorator):  # noqa: N801 - used as a function
    """Give the real Prefect these secrets and no others, in this process and its children; afterwards all is as before.

    A context manager, whose value are the secrets as a mapping (``local_secrets`` in tests), and a decorator.

    Args:
        secrets: names and values, as for ``@pytest.mark.secrets``.
        config: text or mapping of a private ``config.toml``.
        backend: text or mapping of a private ``backend.toml``.

    Raises:
        UsageError: on entering, as the following: a name or value cannot be a secret.
        UnsupportedPrefect: the installed Prefect is not of the 0.5.5 to 1.4.1 line.
        ConfigSyntaxError: ``config`` or ``backend`` is no TOML.
        SecretRejected: Prefect cannot load with these secrets.
    """

    def __init__(
        self,
        secrets: Optional[Mapping[str, Any]] = None,
        *,
        config: Optional[ConfigText] = None,
        backend: Optional[ConfigText] = None,
    ) -> None:
        self._given = dict(secrets or {}), config, backend
        self._isolations: List[Isolation] = []

    def __repr__(self) -> str:
        return f"<isolated_prefect {sorted(map(str, self._given[0]))}>"

    def __enter__(self) -> LocalSecrets:
        __tracebackhide__ = True
        isolation = Isolation()
        try:
            self._enter(isolation)
            self._isolations.append(isolation)
            # In an `else` a signal could come before it; after the call of a builtin, CPython handles those that came.
            secrets: LocalSecrets = getattr(isolation, "secrets")  # noqa: B009
            return secrets  # noqa: TRY300
        except BaseException:  # also of a signal
            isolation.exit()
            raise

    @hide_arguments
    def _enter(self, isolation: Isolation) -> None:
        secrets, config, backend = self._given
        isolation.enter(secrets)
        if config is not None:
            isolation.home.write_config(config)
        if backend is not None:
            isolation.home.write_backend(backend)
        isolation.secrets.warn_of(secrets)

    def __exit__(self, *_: object) -> None:
        try:
            self._isolations[-1].exit()
        except BaseException:  # a signal may have come before the work was begun
            self._isolations[-1].exit()
            raise
        finally:
            self._isolations.pop()
