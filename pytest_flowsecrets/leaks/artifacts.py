"""Search what a test leaves behind: files, stored results and flows, objects, and the requests and rows of an API."""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, Optional, Set, Tuple, Union

from pytest_flowsecrets.leaks.registry import Search, TextSource, registry

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.mask.redactor import Redactor

Clean = Callable[..., Any]  # masks a text, given its place and the test

_CONTAINERS = "{", "[", '"', "H4sI", "eJ"  # JSON and compressed JSON, whose parts are searched, too
_SEPARATOR = "\0"  # joins texts for one search; no value continues across it
_LARGEST = 200_000_000  # bytes; larger files are not searched
RESULT = "result file"
# The folders in Prefect's home and what their files are called. Other files may contain secrets: settings, tokens.
_WRITTEN_BY_PREFECT = {"results": "file", "flows": "file", "storage": RESULT}
_RUN_CONFIG = re.compile(r"\brun_config\.env(?:\.|\[)(.+?)\]?$")


def scan_files(path: Path, clean: Clean, test: str, kind: str = "file") -> None:
    """Search a file, or all files below a folder, and their names."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        with suppress(OSError):  # deleted, or not readable
            if file.is_file() and file.stat().st_size <= _LARGEST:
                shown = clean(file.name, f"{kind} name", test)
                data = file.read_bytes()
                for layer in (data, *layers_of(data)) if kind == RESULT else (data,):
                    clean(layer, f"{kind} {shown}", test)


def folders_of(item: Any) -> Iterator[Tuple[Path, str]]:
    """Yield the folders into which a test can have written so far, and what their files are called."""
    fixtures = getattr(item, "funcargs", {})
    for folder in {Path(str(fixtures[name])) for name in ("tmp_path", "tmpdir") if name in fixtures}:
        yield folder, "file"
    for home in registry.folders:
        yield from _written_into(home)


def scan_home(home: Path, clean: Clean, test: str) -> None:
    """Search the home directory of an isolation that ends."""
    for folder, kind in _written_into(home):
        scan_files(folder, clean, test, kind)


def _written_into(home: Path) -> Iterator[Tuple[Path, str]]:
    return ((home / name, kind) for name, kind in _WRITTEN_BY_PREFECT.items())


def scan_requests(search: Search, redactor: Redactor, clean: Clean) -> None:
    """Search the requests that an API received.

    Args:
        search: returns the places of the texts for which a predicate is true.
        redactor: finds secrets in a text.
        clean: called with each text that contains a secret, and its place.
    """
    texts: List[str] = []

    def is_leaking(text: str) -> bool:
        is_leak = any(not match.is_truncated for match in redactor.find(text))  # no client truncates values
        if is_leak:
            texts.append(text)
        return is_leak

    places = search(is_leaking)
    for number, place in enumerate(places):
        text = texts.pop(0)
        inside = number + 1 < len(places) and places[number + 1].request is place.request
        if inside and text.startswith(_CONTAINERS):
            continue  # the next match has a more precise place
        where = clean(place.where, "api")
        clean(text, in_run_config(where) or f"api {', '.join(place.request.fields)} {where}")


def scan_source(source: TextSource, redactor: Redactor, clean: Clean) -> None:
    """Search the texts that an API stores.

    All texts are searched together first, because most tests leak nothing.
    """
    texts = list(source())
    if redactor.find(_SEPARATOR.join(text for text, _ in texts)):
        for text, place in texts:
            if redactor.find(text):
                clean(text, redactor.redact(place))


def in_run_config(where: str) -> str:
    """Return the name of an ``env`` value in a run config as a place, or an empty string for other places."""
    match = _RUN_CONFIG.search(where)
    return f"run config env {match.group(1)} in the backend" if match else ""


# -- stored results ----------------------------------------------------------------------------------------------------
#
# A result that Prefect 2.20 or 3 stored is base64 around a compressed or pickled value, often inside JSON. The search
# for leaks decodes one level of base64. A value that was in base64 before it was pickled needs a second one.

_FIELDS = "result", "data"  # of a ``ResultRecord`` of Prefect 3, and of a ``PersistedResultBlob`` of Prefect 2
_MAX_LAYERS = 6  # base64, compression, base64, and as many for a serializer of the user
_MODULES = {b"\x1f\x8b": "gzip", b"\x78": "zlib", b"BZh": "bz2", b"\xfd7zXZ": "lzma"}


def layers_of(data: bytes) -> Iterator[bytes]:
    """Yield what a result file contains, decoded once more each time. A result that is not encoded has no layers."""
    layer: Optional[bytes] = _serialized(data)
    for _ in range(_MAX_LAYERS):
        layer = _decoded(layer) if layer else None
        if not layer:
            return
        yield layer


def _serialized(data: bytes) -> bytes:
    """Return the serialized value in a result file. Some releases keep what describes it in another file."""
    try:
        record = json.loads(data)
    except ValueError:
        return data
    fields = [record[name] for name in _FIELDS if isinstance(record.get(name), str)] if isinstance(record, dict) else []
    return fields[0].encode() if fields else data


def _decoded(data: bytes) -> Optional[bytes]:
    """Return data decompressed or decoded from base64, or None if they are neither."""
    from importlib import import_module

    module = next((name for magic, name in _MODULES.items() if data.startswith(magic)), None)
    try:
        if module is not None:
            decompressed: bytes = import_module(module).decompress(data)
            return decompressed
        return base64.b64decode(b"".join(data.split()), validate=True)
    except Exception:  # noqa: BLE001 - each module has its own errors
        return None


# -- objects -----------------------------------------------------------------------------------------------------------

Text = Tuple[Union[str, bytes], str]  # a text and its place
_MAX_DEPTH = 12
_OPAQUE = (type, FunctionType, ModuleType, int, float, complex, type(None))


def texts_in(thing: Any, place: str) -> Iterator[Text]:
    """Yield every text in an object, with its place."""
    yield from _texts(thing, place, set(), 0)


def _texts(thing: Any, place: str, visited: Set[int], depth: int) -> Iterator[Text]:
    if isinstance(thing, (str, bytes)):
        yield thing, place
    elif not isinstance(thing, _OPAQUE) and id(thing) not in visited and depth <= _MAX_DEPTH:
        visited.add(id(thing))
        for part, where in _parts(thing, place):
            yield from _texts(part, where, visited, depth + 1)


def _parts(thing: Any, place: str) -> Iterator[Tuple[Any, str]]:
    """Yield the parts of an object that are searched, each with its place."""
    if isinstance(thing, Mapping):
        for key, value in thing.items():
            yield key, place
            yield value, f"{place} {key}" if isinstance(key, str) else place
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from ((part, place) for part in thing)
    elif hasattr(type(thing), "serialize") and "tasks" in getattr(thing, "__dict__", ()):
        yield from _flow(thing, place)
    else:
        yield from _object(thing, place)


def _object(thing: Any, place: str) -> Iterator[Tuple[Any, str]]:
    if isinstance(thing, BaseException):
        yield f"{thing}", place
        for link in (thing.args, thing.__cause__, thing.__context__):
            yield link, place
    from pytest_flowsecrets.leaks.mask.masked_copies import attributes_of

    kind = type(thing).__name__
    where = "run config" if type(thing).__module__.startswith("prefect.run_configs") else f"{place} {kind}"
    for name, value in attributes_of(thing).items():
        yield value, f"{where} {name.lstrip('_')}"


def _flow(flow: Any, place: str) -> Iterator[Tuple[Any, str]]:
    """Yield a flow in serialized form, as it is registered, and pickled, as it is stored; and its run config."""
    yield json.dumps(flow.serialize(build=False), default=str), f"{place} flow, serialized"
    try:
        import cloudpickle

        yield cloudpickle.dumps(flow), f"{place} flow, pickled"
    except Exception:  # noqa: BLE001 - a flow that cannot be pickled cannot be stored
        return
    yield getattr(flow, "run_config", None), place
