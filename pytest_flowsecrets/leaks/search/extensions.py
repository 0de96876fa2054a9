"""Encoders and formats from the hooks in ``pytest_flowsecrets.plugin.hookspecs``."""

from __future__ import annotations

import warnings
from contextlib import suppress
from types import GeneratorType
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.leaks.formats import SHORTEST
from pytest_flowsecrets.leaks.formats.known_formats import Format
from pytest_flowsecrets.leaks.formats.sensitive_fields import SENSITIVE, Leaf
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.leaks.search.encodings import SHORTEST_END, Form, to_bytes

Function = Callable[[str], Any]

_SAMPLE = "aB3-sample of a value"  # the argument of the first call of each function


def register(encoders: Iterable[Any], formats: Iterable[Any]) -> bool:
    """Add the forms of encoders and the formats of structured secrets.

    Args:
        encoders: results of the hook ``pytest_flowsecrets_encoders``, mappings from names of forms to functions.
        formats: results of the hook ``pytest_flowsecrets_formats``, mappings from names of formats to functions.

    Returns:
        Whether there is at least one encoder or format.

    Raises:
        UsageError: a result is not a mapping, or a function returns an object of the wrong type.
    """
    for name, encode in _functions(encoders, "pytest_flowsecrets_encoders", (str, bytes), "str or bytes").items():
        registry.encoders[name] = _guarded(encode, name)
    for name, divide in _functions(
        formats, "pytest_flowsecrets_formats", (list, tuple, set), "a list of texts"
    ).items():
        registry.formats.append(Format(name, "pytest_flowsecrets_formats", _leaves_by(_guarded(divide, name))))
    return bool(registry.encoders or registry.formats)


def forms_by_encoders(text: str) -> Iterator[Form]:
    """Yield the forms that encoders create from a text. Only a whole form is a leak."""
    for name, encode in registry.encoders.items():
        encoded = encode(text)
        data = to_bytes(encoded) if isinstance(encoded, str) else bytes(encoded or b"")
        if len(data) >= SHORTEST and encoded != text:
            size = min(SHORTEST_END, len(data))
            yield Form(data, name, 0, 0, size, size, size, size, 0, 0, whole=True)


def _functions(mappings: Iterable[Any], hook: str, kinds: Tuple[type, ...], expected: str) -> Dict[str, Function]:
    """Return the functions from a hook by their names, after calling each with a sample.

    Generator functions run only when they are used.
    """
    functions: Dict[str, Function] = {}
    for mapping in mappings:
        if not isinstance(mapping, Mapping):
            raise UsageError(f"{hook} returned {type(mapping).__name__}: return a mapping from names to functions")
        functions.update(mapping)
    for name, function in functions.items():
        if not callable(function):
            raise UsageError(f"{hook} returned {name!r} without a function: return a mapping from names to functions")
        sample = _sample(function, f"{hook}: {name!r}")
        if not isinstance(sample, (*kinds, GeneratorType, type(None))):
            raise UsageError(f"{hook}: {name!r} returned {type(sample).__name__}: return {expected}")
    return functions


def _sample(function: Function, where: str) -> Any:
    """Return the result of a function for a sample, or None if it raises ValueError."""
    try:
        return function(_SAMPLE)
    except ValueError:
        return None
    except Exception as error:
        raise UsageError(f"{where} raised {type(error).__name__} for the text {_SAMPLE!r}: {error}") from error


def _guarded(function: Function, name: str) -> Function:
    """Return a function that turns errors, whose texts can contain a value, into a warning without the value."""

    def call(text: str) -> Any:
        try:
            result = function(text)
            return [*result] if isinstance(result, GeneratorType) else result
        except ValueError:
            return None
        except Exception as error:  # noqa: BLE001 - an error in an encoder must not fail the run
            kind = type(error).__name__
            with suppress(Warning):  # under -W error
                warnings.warn(
                    f"{name!r} raised {kind} for a secret; its leaks in this form are not found", stacklevel=2
                )
            return None

    return call


def _leaves_by(divide: Function) -> Callable[[str], List[Leaf]]:
    return lambda text: [Leaf(each, rank=SENSITIVE) for each in divide(text) or () if isinstance(each, str)]
