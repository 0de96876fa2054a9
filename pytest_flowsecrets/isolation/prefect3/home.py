"""The private home of Prefect 2.20 and 3, with ``profiles.toml`` and ``prefect.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.home.private_home import PrefectHome, file_savepoint, write_private
from pytest_flowsecrets.isolation.safe_errors import hide_arguments

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.home.private_home import ConfigText

_END = "-----END CERTIFICATE-----\n"


class RestHome(PrefectHome):
    """The folder that ``PREFECT_HOME`` names in an isolation.

    Args:
        root: the private home directory.
        reload: makes Prefect read its settings again.
        has_settings_file: whether this Prefect reads ``prefect.toml``, which 3.1 and later do.

    Attributes:
        path: the private ``.prefect`` folder.
    """

    def __init__(self, root: Path, reload: Callable[[], Any], *, has_settings_file: bool) -> None:
        self.path = root / ".prefect"
        self._reload, self._has_settings_file = reload, has_settings_file

    def _write(self, name: str, text_or_mapping: ConfigText, *, strict: bool) -> Path:  # noqa: ARG002 - the signature
        """Raise an error: these versions have neither ``config.toml`` nor ``backend.toml``.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"prefect_home.write_{name.partition('.')[0]} is for Prefect 0.5.5 to 1.4.1; Prefect 2.20 and 3 read no "
            f"{name}: use write_profiles or write_settings"
        )

    @hide_arguments
    def write_profiles(self, text_or_mapping: ConfigText) -> Path:
        """Write ``profiles.toml``. Prefect sees the new file immediately. Variables take precedence over it.

        Args:
            text_or_mapping: TOML text, or a mapping of the whole file.

        Returns:
            The path of the file.

        Raises:
            ConfigSyntaxError: the text is not valid TOML. Nothing was written.
            UsageError: Prefect cannot read the file. The previous file was restored.
        """
        return self._write_and_reload("profiles.toml", text_or_mapping)

    @hide_arguments
    def write_settings(self, text_or_mapping: ConfigText) -> Path:
        """Write ``prefect.toml``, which this process reads as if it were in the working directory.

        Child processes read it only if this folder is their working directory.

        Raises:
            ConfigSyntaxError: the text is not valid TOML. Nothing was written.
            UsageError: Prefect cannot read the file, or is older than 3.1. The previous file was restored.
        """
        if not self._has_settings_file:
            raise UsageError("prefect_home.write_settings: Prefect reads prefect.toml from 3.1 on; use write_profiles")
        return self._write_and_reload("prefect.toml", text_or_mapping)

    def _write_and_reload(self, name: str, text_or_mapping: ConfigText) -> Path:
        from pytest_flowsecrets.isolation.home import config_text

        target = self.path / name
        text = config_text.to_text(text_or_mapping)
        config_text.check(text, str(target))
        restore = file_savepoint(target)
        write_private(target, text)
        try:
            self._reload()
        except BaseException:
            restore()
            raise
        return target


def certificate_file(folder: Path) -> str:
    """Return the path of a file in ``folder`` with the first certificate of certifi's bundle.

    Every client of Prefect creates an SSL context, also for ``http://``. To load all certificates takes longer than the
    request itself.
    """
    target = folder / "certificate.pem"
    if not target.exists():
        import certifi  # a dependency of httpx

        bundle = Path(certifi.where()).read_text("utf-8")
        write_private(target, bundle[bundle.index("-----BEGIN") : bundle.index(_END) + len(_END)])
    return str(target)
