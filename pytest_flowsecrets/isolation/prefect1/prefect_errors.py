"""Explain errors of Prefect 0.5.5 to 1.4.1: those of its loader, whose texts may hold values, and of its imports.

Marshmallow 4.0 removed ``Field.context`` and unknown keyword arguments of fields. Prefect 0.13 and 0.14 fail at import.
Prefect 0.15 to 1.4.1 fail when they serialize a flow or run config.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import metadata
from traceback import walk_tb
from typing import Callable, Iterator, Optional, Sequence

from pytest_flowsecrets.errors import IncompatibleMarshmallow, SecretRejected, UsageError
from pytest_flowsecrets.isolation.prefect1.config_tree import Tree
from pytest_flowsecrets.versions import installed_version, release_of

_PACKAGE = "marshmallow"
_FIRST = (4, 0, 0)  # the release that Prefect does not support


def conflict_of(error: BaseException) -> Optional[IncompatibleMarshmallow]:
    """Return the error that replaces an error caused by marshmallow 4, or None for any other error.

    Args:
        error: an error from Prefect, with its traceback.
    """
    if not isinstance(error, (AttributeError, TypeError, ImportError)) or not _comes_from_marshmallow(error):
        return None
    try:
        version = metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:  # another module of this name
        return None
    return IncompatibleMarshmallow(installed_version() or "", version) if release_of(version) >= _FIRST else None


def _comes_from_marshmallow(error: BaseException) -> bool:
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    return any(str(name).partition(".")[0] == _PACKAGE for name in [*modules, getattr(error, "name", "")])


@contextmanager
def marshmallow_explained() -> Iterator[None]:
    """Replace errors of Prefect that marshmallow 4 causes inside the ``with`` block.

    Raises:
        IncompatibleMarshmallow: the replacement. It names the command that fixes the problem.
    """
    try:
        yield
    except Exception as error:
        conflict = conflict_of(error)
        if conflict is None:
            raise
        raise conflict from None


@contextmanager
def load_errors_explained(blamed: str, version: str, *, strict: bool = True) -> Iterator[None]:
    """Replace the errors of Prefect's loader inside the ``with`` block by errors that hold no value.

    Args:
        blamed: the secrets or the file whose change the error names.
        version: the version of Prefect.
        strict: whether to replace the errors.

    Raises:
        SecretRejected: Prefect cannot load the configuration.
        UsageError: Prefect cannot read a file.
    """
    try:
        yield
    except Exception as error:  # `import prefect` raises ValueError, TypeError, UnicodeError, …
        if not strict or (isinstance(error, OSError) and error.filename is None):
            raise
        if isinstance(error, OSError):
            raise UsageError(
                f"Prefect cannot read {error.filename} ({type(error).__name__}): make it readable; if the test "
                "replaces the file system (pyfakefs), add the file with fs.add_real_file"
            ) from None
        # Only this text of Prefect holds no value: it names methods of dict.
        reason = f": {error}" if str(error).startswith("Invalid config key") else ""
        raise SecretRejected(blamed, version, type(error).__name__ + reason) from None


def check_delivery(tree: Tree, names: Sequence[str], is_set: Callable[[str], bool]) -> None:
    """Check that a loaded configuration has the secrets that the test has set, and not those that it has removed.

    Raises:
        UsageError: a variable for the whole table overrides the change.
    """
    secrets = tree["context"].get("secrets") if isinstance(tree["context"], Tree) else None
    loaded = secrets if isinstance(secrets, Tree) else {}
    wrong = [name for name in names if (name in loaded) != is_set(name)]
    if wrong:
        raise UsageError(
            f"secret {', '.join(map(repr, wrong))}: a variable or key for the whole table of secrets overrides the "
            "change (PREFECT__CONTEXT__SECRETS, PREFECT__CONTEXT): change that one instead"
        )
