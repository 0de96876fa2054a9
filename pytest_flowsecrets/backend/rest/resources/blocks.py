"""Block types, schemas and documents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple
from uuid import uuid4

from pytest_flowsecrets.backend.rest.call import Route, page
from pytest_flowsecrets.backend.rest.errors import ApiError, NotFoundError, ValidationError, canonical_id
from pytest_flowsecrets.backend.rest.rules.filters import matches, sort_rows
from pytest_flowsecrets.backend.rest.store.masking import (
    keep_masked,
    mask,
    secret_fields,
    secret_name,
    secret_values,
)
from pytest_flowsecrets.report import api_events

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

_NAME = re.compile("[a-z0-9-]+")  # of a document, and the slug of a type
_TYPE_FIELDS = ("name", "slug", "logo_url", "documentation_url", "description", "code_example")

# -- types and schemas -------------------------------------------------------------------------------------------------


def create_type(call: Call) -> Row:
    """Create a block type."""
    if not _NAME.fullmatch(call.fields["slug"]):
        message = "Value error, slug must only contain lowercase letters, numbers, and dashes"
        raise ValidationError("value_error", ("body", "slug"), message)
    if call.view.block_types.by_slug(call.fields["slug"]):
        raise ApiError(409, f"Block type with slug {call.fields['slug']!r} already exists")
    return call.view.block_types.add_type({**dict.fromkeys(_TYPE_FIELDS), **call.sent(*_TYPE_FIELDS)})


def read_type(call: Call) -> Row:
    """Return a block type by its id."""
    return call.view.block_types.types.require(call.id)


def read_type_by_slug(call: Call) -> Row:
    """Return a block type by its slug."""
    return call.view.block_types.require_slug(call.path["slug"])


def select_types(call: Call) -> List[Row]:
    """Return the block types that fit a filter, by name."""
    fields = call.fields
    schemas = [row for row in call.view.block_types.schemas if matches(row, fields.get("block_schemas"))]
    owners = {row["block_type_id"] for row in schemas}
    types = [row for row in call.view.block_types.types if matches(row, fields.get("block_types"))]
    if fields.get("block_schemas"):
        types = [row for row in types if row["id"] in owners]
    return page(call, sort_rows(types, "NAME_ASC"))


def update_type(call: Call) -> None:
    """Change the texts of a block type."""
    types = call.view.block_types.types
    types.update(types.require(call.id), call.sent("logo_url", "documentation_url", "description", "code_example"))


def delete_type(call: Call) -> None:
    """Remove a block type with its schemas and documents."""
    row = call.view.block_types.types.require(call.id)
    if row["is_protected"]:
        raise ApiError(403, "protected block types cannot be deleted.")
    call.view.block_types.delete_type(row["id"])
    for document in call.view.block_documents.where(block_type_id=row["id"]):
        remove_document(call.view, document)


def create_schema(call: Call) -> Row:
    """Create a block schema, or return the one that is the same."""
    fields = call.sent("fields", "block_type_id", "capabilities", "version")
    types = call.view.block_types
    return types.present_schema(types.add_schema({**fields, "block_type_id": canonical_id(fields["block_type_id"])}))


def read_schema(call: Call) -> Row:
    """Return a block schema by its id."""
    types = call.view.block_types
    return types.present_schema(types.schemas.require(call.id))


def read_schema_by_checksum(call: Call) -> Row:
    """Return the newest block schema with a checksum."""
    types = call.view.block_types
    return types.present_schema(types.schema_by_checksum(call.path["checksum"], call.query.get("version")))


def delete_schema(call: Call) -> None:
    """Remove a block schema."""
    call.view.block_types.schemas.delete(call.id)


def select_schemas(call: Call) -> List[Row]:
    """Return the block schemas that fit a filter, newest first."""
    types = call.view.block_types
    rows = [row for row in types.schemas if matches(row, call.fields.get("block_schemas"))]
    return page(call, [types.present_schema(row) for row in reversed(rows)])


# -- documents ---------------------------------------------------------------------------------------------------------


def create_document(call: Call) -> Row:
    """Create a block document; the answer is masked."""
    fields = {"data": {}, "is_anonymous": False, "name": None, **call.fields}
    row = {
        "name": fields["name"],
        "data": fields["data"],
        "block_schema_id": canonical_id(fields["block_schema_id"]),
        "block_type_id": canonical_id(fields["block_type_id"]),
        "is_anonymous": bool(fields["is_anonymous"]),
    }
    if row["is_anonymous"] and (row["name"] is None or (call.view.legacy and not row["name"])):
        row["name"] = f"anonymous-{uuid4()}"
    _check_name(row)
    if call.view.block_documents.first(name=row["name"], block_type_id=row["block_type_id"]):
        raise ApiError(409, "Block already exists")
    row = call.view.block_documents.insert(row)
    _report_secrets(call.view, row)
    return _present(call, row, secrets=False)


def _check_name(row: Row) -> None:
    """Check the name of a new document.

    Raises:
        ValidationError: there is no name, or it is not valid.
    """
    if not row["name"] and not row["is_anonymous"]:
        raise ValidationError("value_error", ("body",), "Value error, Names must be provided for block documents.")
    if not isinstance(row["name"], str):
        raise ValidationError("string_type", ("body", "name"), "Input should be a valid string")
    if not _NAME.fullmatch(row["name"]):
        message = "Block document name must only contain lowercase letters, numbers, and dashes."
        raise ValidationError("value_error", ("body", "name"), f"Value error, {message}")


def _report_secrets(view: View, row: Row) -> None:
    """Tell the view of the secrets in a document, under the document's name where it is a Secret."""
    schema = view.block_types.schemas.require(row["block_schema_id"])
    block = f"{view.block_types.types.require(row['block_type_id'])['slug']}/{row['name']}"
    for path, value in secret_values(row["data"], secret_fields(schema)):
        view.on_secret(secret_name(row["name"], path), value, block)


def read_document(call: Call) -> Row:
    """Return a block document by its id."""
    return _present(call, call.view.block_documents.require(call.id), secrets=call.flag("include_secrets"))


def read_document_by_name(call: Call) -> Row:
    """Return a block document by the slug of its type and its name."""
    block_type = call.view.block_types.by_slug(call.path["slug"])
    row = call.view.block_documents.first(name=call.path["name"], block_type_id=block_type and block_type["id"])
    if block_type is None or row is None:
        raise NotFoundError("Block document not found")
    return _present(call, row, secrets=call.flag("include_secrets"))


def read_documents_of_type(call: Call) -> List[Row]:
    """Return the documents of a type, by name."""
    block_type = call.view.block_types.require_slug(call.path["slug"])
    rows = call.view.block_documents.where(block_type_id=block_type["id"], is_anonymous=False)
    return [_present(call, row, secrets=call.flag("include_secrets")) for row in sort_rows(rows, "NAME_ASC")]


def select_documents(call: Call) -> List[Row]:
    """Return the documents that fit filters of documents, types and schemas."""
    rows = page(call, sort_rows(_chosen(call), call.fields.get("sort"), "NAME_ASC"))
    return [_present(call, row, secrets=bool(call.fields.get("include_secrets"))) for row in rows]


def count_documents(call: Call) -> int:
    """Return how many documents fit."""
    return len(_chosen(call))


def update_document(call: Call) -> None:
    """Merge data into a document, or move it to another schema; masks that come back leave a value as it was.

    New data replace all references to nested documents, also if they are merged with the old data.
    """
    row = call.view.block_documents.require(call.id)
    changes: Row = {}
    if call.fields.get("data") is not None:
        data = keep_masked(call.fields["data"], row["data"])
        merged = call.fields.get("merge_existing_data", True)
        nested = {key for key, _ in _nested(call.view, row)}
        old = {key: value for key, value in row["data"].items() if merged and key not in nested}
        changes["data"] = {**old, **data}
    if call.fields.get("block_schema_id") is not None:
        changes["block_schema_id"] = canonical_id(call.fields["block_schema_id"])
    _report_secrets(call.view, call.view.block_documents.update(row, changes))


def delete_document(call: Call) -> None:
    """Remove a document."""
    row = call.view.block_documents.require(call.id)
    remove_document(call.view, row)
    api_events.emit("delete", row["name"])


def remove_document(view: View, row: Row) -> None:
    """Remove a document, and the references of other documents to it."""
    for other in view.block_documents:
        for key in [key for key, inner_id in _references(other) if inner_id == row["id"]]:
            del other["data"][key]
    view.block_documents.delete(row["id"])


def _chosen(call: Call) -> List[Row]:
    fields, view = call.fields, call.view
    types = {row["id"] for row in view.block_types.types if matches(row, fields.get("block_types"))}
    schemas = {row["id"] for row in view.block_types.schemas if matches(row, fields.get("block_schemas"))}
    condition = {"is_anonymous": {"eq_": False}, **(fields.get("block_documents") or {})}
    return [
        row
        for row in view.block_documents
        if matches(row, condition) and row["block_type_id"] in types and row["block_schema_id"] in schemas
    ]


# -- presentation ------------------------------------------------------------------------------------------------------


def _present(call: Call, row: Row, *, secrets: bool) -> Row:
    """Return a document as the API shows it: nested documents resolved, type and schema added, masked or not."""
    runs = call.view.read_log.admit(call.headers) if secrets else None
    types = call.view.block_types
    schema, block_type = types.schemas.require(row["block_schema_id"]), types.types.require(row["block_type_id"])
    data, references = _resolve(call.view, row, secrets=secrets)
    if runs is not None:
        for document in _documents(call.view, row):
            kind = types.types.get(document["block_type_id"]) or {}
            call.view.read_log.record(call.headers, runs, document, kind.get("slug", ""))
    return {
        **row,
        "data": data,
        "block_schema": types.present_schema(schema),
        "block_type": block_type,
        "block_type_name": block_type["name"],
        "block_document_references": references,
    }


def _nested(view: View, row: Row) -> Iterator[Tuple[str, Row]]:
    """Yield the keys of a document's data that refer to another document, with that document."""
    for key, document_id in _references(row):
        yield key, view.block_documents.require(document_id)


def _references(row: Row) -> Iterator[Tuple[str, str]]:
    for key, value in (row.get("data") or {}).items():
        reference = value.get("$ref") if isinstance(value, dict) else None
        if isinstance(reference, dict) and "block_document_id" in reference:
            yield key, canonical_id(reference["block_document_id"])


def _documents(view: View, row: Row) -> Iterator[Row]:
    yield row
    for _, inner in _nested(view, row):
        yield from _documents(view, inner)


def _resolve(view: View, row: Row, *, secrets: bool) -> Tuple[Dict[str, Any], Row]:
    """Return the data of a document with nested documents in their places, and the references.

    The schema of each document masks its data, unless secrets are shown.
    """
    nested = dict(_nested(view, row))
    data = {key: value for key, value in row["data"].items() if key not in nested}
    references: Row = {}
    for key, inner in nested.items():
        data[key], inner_references = _resolve(view, inner, secrets=secrets)
        references[key] = {
            "block_document": {
                "id": inner["id"],
                "name": inner["name"],
                "block_type": view.block_types.types.get(inner["block_type_id"]),
                "is_anonymous": inner["is_anonymous"],
                "block_document_references": inner_references,
            }
        }
    schema = view.block_types.schemas.require(row["block_schema_id"])
    return data if secrets else mask(data, secret_fields(schema)), references


ROUTES = (
    Route("POST", "/block_types/", create_type, 201),
    Route("POST", "/block_types/filter", select_types),
    Route("GET", "/block_types/slug/{slug}", read_type_by_slug),
    Route("GET", "/block_types/slug/{slug}/block_documents", read_documents_of_type),
    Route("GET", "/block_types/slug/{slug}/block_documents/name/{name}", read_document_by_name),
    Route("GET", "/block_types/{id}", read_type),
    Route("PATCH", "/block_types/{id}", update_type, 204),
    Route("DELETE", "/block_types/{id}", delete_type, 204),
    Route("POST", "/block_schemas/", create_schema, 201),
    Route("POST", "/block_schemas/filter", select_schemas),
    Route("GET", "/block_schemas/checksum/{checksum}", read_schema_by_checksum),
    Route("GET", "/block_schemas/{id}", read_schema),
    Route("DELETE", "/block_schemas/{id}", delete_schema, 204),
    Route("POST", "/block_documents/", create_document, 201),
    Route("POST", "/block_documents/filter", select_documents),
    Route("POST", "/block_documents/count", count_documents),
    Route("GET", "/block_documents/{id}", read_document),
    Route("PATCH", "/block_documents/{id}", update_document, 204),
    Route("DELETE", "/block_documents/{id}", delete_document, 204),
)
