"""The request and response schemas of each release, from the OpenAPI documents of its real server.

``openapi.json`` holds the JSON Schemas of each minor release: of the newest one in full, of an older one what differs
from the next. ``tests/backend/rest/record_openapi.py`` records it. The checks of requests make the conversions of
pydantic: a text becomes the number or the boolean that the schema asks for. Dates stay text.
"""

from __future__ import annotations

import json
import math
import re
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from pkgutil import get_data
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)
from uuid import UUID

from pytest_flowsecrets.backend.rest.errors import ApiError

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.versions import Release

FILE = Path(__file__).with_name("openapi.json")
_PARAMETER = re.compile(r"\{[^}]*\}")
_DATE = re.compile(r"\d{4}-?\d\d-?\d\d|[+-]?\d+(\.\d*)?$")
_DATES = frozenset({"date", "date-time"})
_CONVERTED = frozenset({"date", "date-time", "duration", "time", "time-delta"})  # pydantic also reads numbers
_BOOLEANS = {
    **dict.fromkeys(("0", "off", "f", "false", "n", "no"), False),
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True),
}
_INTEGER = re.compile(r"\s*[+-]?\d[\d_]*\s*$")
_NUMBER = re.compile(r"\s*[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?\s*$", re.IGNORECASE | re.ASCII)
_NOTHING: Row = {}


class Error(NamedTuple):
    """An error in a request.

    Attributes:
        type: of pydantic, such as ``extra_forbidden``.
        place: the keys and indices that lead to the value.
        message: in the words of pydantic; it never holds the value.
    """

    type: str
    place: Tuple[Any, ...]
    message: str


def route_key(method: str, template: str) -> str:
    """Return the key of a route in the recordings: the names of the parameters do not matter."""
    return f"{method} {_PARAMETER.sub('{}', template)}"


class Schemas:
    """The schemas of one minor release.

    Args:
        routes: the bodies of each route: ``request``, ``required`` and ``answer``; None if the release has no route.
        definitions: the schemas to which others refer by name.
        legacy: whether the release is Prefect 2, whose schemas do not say which fields may be null.
    """

    def __init__(self, routes: Mapping[str, Optional[Row]], definitions: Mapping[str, Row], *, legacy: bool) -> None:
        self._routes, self._definitions, self._legacy = routes, definitions, legacy

    def has(self, key: str) -> bool:
        """Return whether the release has a route. Routes that were recorded for no release exist in all."""
        return key not in self._routes or self._routes[key] is not None

    # -- requests ------------------------------------------------------------------------------------------------------

    def check(self, key: str, body: Any) -> Any:
        """Return the body of a request with the numbers and booleans that its schema asks for.

        Args:
            key: of the route.
            body: None without a body.

        Raises:
            ApiError: 422, the real server does not accept it.
        """
        route = self._routes.get(key)
        schema = route and route["request"]
        if route is None or schema is None or (body is None and not route["required"]):
            return body
        errors = [Error("missing", (), "Field required")] if body is None else list(self._errors(schema, body, ()))
        if errors:
            raise ApiError(
                422, [{"type": each.type, "loc": ["body", *each.place], "msg": each.message} for each in errors]
            )
        return self._converted(schema, body)

    def _converted(self, schema: Row, value: Any) -> Any:
        """Return a value without errors as pydantic converts it; in a union, preferably with the type that it has."""
        if value is None:
            return value
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"]]
        for part in schema.get("allOf", ()):
            value = self._converted(part, value)
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            fitting = [option for option in options if not list(self._errors(option, value, ()))]
            results = [self._converted(option, value) for option in fitting]
            same = [result for result in results if json.dumps(result) == json.dumps(value)]
            return (same or results or [value])[0]
        kind = schema.get("type")
        if isinstance(value, dict) and kind == "object":
            properties, more = schema.get("properties", _NOTHING), schema.get("additionalProperties")
            more = more if isinstance(more, dict) else _NOTHING
            return {name: self._converted(properties.get(name, more), item) for name, item in value.items()}
        if isinstance(value, list) and kind == "array":
            return [self._converted(schema.get("items", _NOTHING), item) for item in value]
        return _CONVERSIONS[kind](value) if kind in _CONVERSIONS else value

    def _errors(self, schema: Row, value: Any, place: Tuple[Any, ...]) -> Iterator[Error]:
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"]]
        if value is None and self._legacy:
            return
        if "anyOf" in schema or "oneOf" in schema:
            yield from self._best_errors(schema.get("anyOf") or schema["oneOf"], value, place)
            return
        for part in schema.get("allOf", ()):
            yield from self._errors(part, value, place)
        if "enum" in schema or "const" in schema:
            yield from _enum_errors(schema, value, place)
        elif "type" in schema:
            yield from self._errors_of_type(schema, value, place)

    def _errors_of_type(self, schema: Row, value: Any, place: Tuple[Any, ...]) -> Iterator[Error]:
        if schema["type"] == "object":
            yield from self._object_errors(schema, value, place)
        elif schema["type"] == "array":
            yield from self._array_errors(schema, value, place)
        else:
            yield from _scalar_errors(schema["type"], schema, value, place, legacy=self._legacy)

    def _best_errors(self, options: Iterable[Row], value: Any, place: Tuple[Any, ...]) -> Iterable[Error]:
        """Return no error if an option fits, and otherwise the errors of the option that comes closest."""
        best: Optional[List[Error]] = None
        for option in options:
            errors = list(self._errors(option, value, place))
            if not errors:
                return ()
            if best is None or max(len(each.place) for each in errors) > max(len(each.place) for each in best):
                best = errors
        return best or ()

    def _object_errors(self, schema: Row, value: Any, place: Tuple[Any, ...]) -> Iterator[Error]:
        if not isinstance(value, dict):
            yield Error("model_type", place, "Input should be a valid dictionary")
            return
        properties: Mapping[str, Row] = schema.get("properties", _NOTHING)
        more = schema.get("additionalProperties", True)
        for name in schema.get("required", ()):
            if name not in value:
                yield Error("missing", (*place, name), "Field required")
        for name, item in value.items():
            if name in properties and item is None and name not in schema.get("required", ()):
                continue  # validators of the real server often read null as the default, which its schemas do not say
            if name in properties:
                yield from self._errors(properties[name], item, (*place, name))
            elif more is False:
                yield Error("extra_forbidden", (*place, name), "Extra inputs are not permitted")
            elif isinstance(more, dict):
                yield from self._errors(more, item, (*place, name))

    def _array_errors(self, schema: Row, value: Any, place: Tuple[Any, ...]) -> Iterator[Error]:
        if not isinstance(value, list):
            yield Error("list_type", place, "Input should be a valid list")
            return
        if len(value) < schema.get("minItems", 0):
            yield Error("too_short", place, f"List should have at least {schema['minItems']} items")
        if len(value) > schema.get("maxItems", math.inf):
            yield Error("too_long", place, f"List should have at most {schema['maxItems']} items")
        for index, item in enumerate(value):
            yield from self._errors(schema.get("items", _NOTHING), item, (*place, index))

    # -- answers -------------------------------------------------------------------------------------------------------

    def complete(self, key: str, body: Any) -> Any:
        """Return the body of an answer with all fields that the real server sends.

        Args:
            key: of the route.
            body: of a successful answer. Fields that it lacks get their default, which is mostly null, and fields that
                this release does not have are left out.
        """
        route = self._routes.get(key)
        schema = route and route["answer"]
        return self._complete(schema, body) if schema else body

    def _complete(self, schema: Row, value: Any) -> Any:
        if isinstance(value, list):
            items = self._resolve(schema, value).get("items")
            return [self._complete(items, item) for item in value] if items else value
        if not isinstance(value, dict):
            return float(value) if type(value) is int and schema.get("type") == "number" else value
        schema = self._resolve(schema, value)
        properties = schema.get("properties")
        if not properties:
            return value
        return {
            name: self._complete(each, value[name]) if name in value else self._default(each)
            for name, each in properties.items()
        }

    def _default(self, schema: Row) -> Any:
        """Return the value of a field that an answer lacks: lists and mappings are empty unless they may be null."""
        if "default" in schema or self._legacy:
            return deepcopy(schema.get("default"))
        empty: Dict[Any, Any] = {"array": [], "object": {}}
        return empty.get(schema.get("type"))

    def _resolve(self, schema: Row, value: Any) -> Row:
        """Return the schema without references and unions that describes a value; an empty one for none."""
        if "$ref" in schema:
            return self._resolve(self._definitions[schema["$ref"]], value)
        for union in ("anyOf", "oneOf", "allOf"):
            if union in schema:
                kind = "array" if isinstance(value, list) else "object"
                options = [self._resolve(option, value) for option in schema[union]]
                options = [option for option in options if option.get("type") == kind]
                fitting = [option for option in options if isinstance(value, list) or _describes(option, value)]
                return (fitting or options)[0] if fitting or len(options) == 1 else _NOTHING
        return schema


def _describes(schema: Row, value: Any) -> bool:
    """Return whether the fields of a value are those of a schema."""
    properties = schema.get("properties", _NOTHING)
    return set(schema.get("required", ())) <= set(value) and (not properties or set(value) <= set(properties))


# -- scalars -----------------------------------------------------------------------------------------------------------


def _enum_errors(schema: Row, value: Any, place: Tuple[Any, ...]) -> Iterator[Error]:
    options = schema["enum"] if "enum" in schema else [schema["const"]]
    if value not in options:
        yield Error("enum", place, f"Input should be {', '.join(repr(option) for option in options)}")


def _scalar_errors(kind: str, schema: Row, value: Any, place: Tuple[Any, ...], *, legacy: bool) -> Iterator[Error]:
    message = _SCALARS[kind](schema, value, legacy)
    if message:
        yield Error(f"{kind}_type", place, message)
        return
    number = _number(value) if kind in ("integer", "number") else None
    if number is not None:
        for name, fits, words in _BOUNDS:
            if name in schema and not fits(number, schema[name]):
                yield Error(name, place, f"Input should be {words} {schema[name]}")
    if isinstance(value, str) and kind == "string":
        if len(value) < schema.get("minLength", 0):
            yield Error("string_too_short", place, f"String should have at least {schema['minLength']} characters")
        if len(value) > schema.get("maxLength", math.inf):
            yield Error("string_too_long", place, f"String should have at most {schema['maxLength']} characters")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield Error("string_pattern_mismatch", place, f"String should match pattern '{schema['pattern']}'")


def _text_problem(schema: Row, value: Any, legacy: bool) -> str:  # noqa: FBT001 - of a table
    form = schema.get("format")
    if not isinstance(value, str):
        number = isinstance(value, (int, float))
        return "" if number and (legacy or form in _CONVERTED) else "Input should be a valid string"
    if form == "uri" and "://" not in value:
        return "Input should be a valid URL"
    if form == "uuid" and not _is_uuid(value):
        return "Input should be a valid UUID"
    return "Input should be a valid datetime" if form in _DATES and not _DATE.match(value.strip()) else ""


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _integer_problem(_: Row, value: Any, legacy: bool) -> str:  # noqa: FBT001 - of a table
    number = _number(value)
    if number is None:
        return "Input should be a valid integer"
    return (
        ""
        if legacy or number == int(number)
        else "Input should be a valid integer, got a number with a fractional part"
    )


def _number_problem(_: Row, value: Any, legacy: bool) -> str:  # noqa: ARG001, FBT001 - of a table
    return "Input should be a valid number" if _number(value) is None else ""


def _number(value: Any) -> Union[int, float, None]:
    """Return the number that a value stands for; None for none, and for one that no column of a database holds."""
    if isinstance(value, str) and not _NUMBER.match(value):
        return None
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
        exact = number if isinstance(value, float) or not _INTEGER.match(str(value)) else int(value)
    except (ValueError, OverflowError):  # an integer with too many digits
        return None
    return exact if math.isfinite(number) else None


def _boolean_problem(_: Row, value: Any, legacy: bool) -> str:  # noqa: ARG001, FBT001 - of a table
    return "" if _boolean(value) is not None else "Input should be a valid boolean"


def _boolean(value: Any) -> Optional[bool]:
    text = str(int(value)) if isinstance(value, (bool, int, float)) and value in (0, 1) else value
    return _BOOLEANS.get(text.lower()) if isinstance(text, str) else None


def _null_problem(_: Row, value: Any, legacy: bool) -> str:  # noqa: ARG001, FBT001 - of a table
    return "" if value is None else "Input should be None"


_SCALARS: Dict[str, Callable[[Row, Any, bool], str]] = {
    "string": _text_problem,
    "integer": _integer_problem,
    "number": _number_problem,
    "boolean": _boolean_problem,
    "null": _null_problem,
}
# By type: how a value without errors is converted.
_CONVERSIONS: Dict[Any, Callable[[Any], Any]] = {
    "integer": lambda value: int(_number(value) or 0),
    "number": _number,
    "boolean": _boolean,
}
_BOUNDS: Tuple[Tuple[str, Callable[[float, float], bool], str], ...] = (
    ("minimum", lambda value, bound: value >= bound, "greater than or equal to"),
    ("exclusiveMinimum", lambda value, bound: value > bound, "greater than"),
    ("maximum", lambda value, bound: value <= bound, "less than or equal to"),
    ("exclusiveMaximum", lambda value, bound: value < bound, "less than"),
)


# -- the recordings ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=None)
def schemas_of(release: Release) -> Schemas:
    """Return the schemas of a release; a release that was not recorded has those of the next older one."""
    wanted = release[:2]
    routes: Dict[str, Optional[Row]] = {}
    definitions: Dict[str, Row] = {}
    for name, changes in _recordings():
        routes.update(changes["routes"])
        definitions.update(changes["schemas"])
        if tuple(int(part) for part in name.split(".")) <= wanted:
            break
    return Schemas(routes, definitions, legacy=wanted < (3, 0))


def _recordings() -> Iterator[Tuple[str, Row]]:
    """Yield the minor releases and their recordings, the newest first. Those that nobody asks for are not parsed."""
    content = get_data(__package__, FILE.name) or b""  # unlike open(), it works while a test replaces the file system
    text, decoder, start = content.decode(), json.JSONDecoder(), 1
    while text[start : start + 1] == '"':
        name, end = decoder.raw_decode(text, start)
        changes, end = decoder.raw_decode(text, text.index("{", end))
        yield name, changes
        start = end + len(",\n")
