"""Secrets and other blocks."""
# ruff: noqa: FA100 - Prefect evaluates the annotations of a block

import asyncio
from typing import Dict, List, Optional

import prefect
from catalogue import async_error_text, error_text, operation
from prefect.blocks.core import Block
from prefect.blocks.system import Secret

if prefect.__version__.startswith("2."):
    from pydantic.v1 import Field, SecretStr
else:
    from pydantic import Field, SecretStr

NAMES = ("GITHUB_ACCESS_TOKEN", "my secret", "a.b", "under_score", "UPPER", "é", "a/b", "")
TEXTS = ("plain", "42", "true", "null", "1e3", "NaN", " 7 ", '"q"', "0000", "007", "1_0", "-", '{"a": 1}', "[1]", "ü€")


class Credentials(Block):
    """A block with secrets of several shapes."""

    user: str = "u"
    token: SecretStr = SecretStr("t")
    optional: Optional[SecretStr] = None
    many: List[SecretStr] = Field(default_factory=list)


class Mapped(Block):
    """A block with a mapping of secrets."""

    mapping: Dict[str, SecretStr]


class Outer(Block):
    """A block that holds another one."""

    creds: Credentials
    label: str = ""


class WithCapability(Block):
    """A block whose type has descriptive attributes."""

    _block_type_name = "Rest Custom"
    _block_type_slug = "rest-custom"
    _logo_url = "https://example.com/logo.png"
    _description = "A description"
    _block_schema_capabilities = ["sing"]  # noqa: RUF012 - as users write it
    value: int = 0


def _values(block: Credentials) -> list:
    return [
        block.user,
        block.token.get_secret_value(),
        block.optional and block.optional.get_secret_value(),
        [value.get_secret_value() for value in block.many],
    ]


@operation
def secret_save_and_load():
    Secret(value="v1").save("save-load")
    return Secret.load("save-load").get()


@operation
def secret_save_returns_an_id():
    return str(Secret(value="v").save("save-id"))


@operation
def secret_load_missing():
    return error_text(lambda: Secret.load("missing"))


@operation
def secret_save_twice():
    Secret(value="v1").save("twice")
    return error_text(lambda: Secret(value="v2").save("twice"))


@operation
def secret_overwrite():
    first = Secret(value="v1").save("overwrite")
    second = Secret(value="v2").save("overwrite", overwrite=True)
    return [Secret.load("overwrite").get(), first == second]


@operation
def secret_overwrite_new_name():
    Secret(value="v1").save("overwrite-new", overwrite=True)
    return Secret.load("overwrite-new").get()


@operation
def secret_texts():
    outcome = {}
    for index, text in enumerate(TEXTS):
        Secret(value=text).save(f"text-{index}")
        outcome[text] = repr(Secret.load(f"text-{index}").get())
    return outcome


@operation(since="3.0")
def secret_json_values():
    outcome = {}
    for index, value in enumerate((42, 1.5, True, None, [1, {"a": None}], {"a": {"b": "c"}}, "", [])):
        Secret(value=value).save(f"json-{index}")
        outcome[repr(value)] = repr(Secret.load(f"json-{index}").get())
    return outcome


@operation
def secret_names():
    return {name: error_text(lambda name=name: Secret(value="v").save(name)) for name in NAMES}


@operation
def secret_long_name():
    return error_text(lambda: Secret(value="v").save("n" * 101))


@operation
def secret_load_invalid_name():
    return {name: error_text(lambda name=name: Secret.load(name)) for name in ("UPPER", "a/b", "a b")}


@operation
def secret_awaited():
    async def run():
        await Secret(value="v").save("awaited")
        return (await Secret.load("awaited")).get()

    return asyncio.run(run())


@operation(since="3.0")
def secret_aload():
    async def run():
        await Secret(value="v").save("aload")
        return (await Secret.aload("aload")).get()

    return asyncio.run(run())


@operation
def block_load_by_slug():
    Secret(value="v").save("by-slug")
    return Block.load("secret/by-slug").get()


@operation
def block_load_by_slug_missing():
    return error_text(lambda: Block.load("secret/not-there"))


@operation
def block_load_unknown_type():
    return error_text(lambda: Block.load("no-such-type/name"))


@operation
def block_with_secrets():
    Credentials(user="me", token="t1", optional="o", many=["x", "y"]).save("creds")
    return _values(Credentials.load("creds"))


@operation
def block_with_defaults():
    Credentials().save("creds-defaults")
    return _values(Credentials.load("creds-defaults"))


@operation
async def block_masked_read(client):
    await Credentials(token="t1", optional=None, many=["x", "y"]).save("masked")
    document = await client.read_block_document_by_name("masked", Credentials.get_block_type_slug(), False)
    return document.data


@operation
async def block_clear_read(client):
    await Credentials(token="t1").save("clear")
    document = await client.read_block_document_by_name("clear", Credentials.get_block_type_slug(), True)
    return document.data


@operation
async def secret_masked_read(client):
    await Secret(value="hidden").save("masked-secret")
    document = await client.read_block_document_by_name("masked-secret", "secret", include_secrets=False)
    return [document.data, document.name, document.block_type_name, document.is_anonymous]


@operation
async def block_mapping(client):
    await Mapped(mapping={"k": "m"}).save("mapped")
    document = await client.read_block_document_by_name("mapped", "mapped", False)
    loaded = await Mapped.load("mapped")
    return [document.data, {key: value.get_secret_value() for key, value in loaded.mapping.items()}]


@operation(since="3.0")
async def block_mapping_empty(client):
    await Mapped(mapping={}).save("mapped-empty")
    return (await client.read_block_document_by_name("mapped-empty", "mapped", False)).data


@operation
def block_nested():
    inner = Credentials(token="inner")
    inner.save("nested-inner")
    Outer(creds=inner, label="l").save("nested-outer")
    loaded = Outer.load("nested-outer")
    return [loaded.label, _values(loaded.creds)]


@operation
def block_nested_rotation():
    inner = Credentials(token="before")
    inner.save("rotated-inner")
    Outer(creds=inner).save("rotated-outer")
    Credentials(token="after").save("rotated-inner", overwrite=True)
    return Outer.load("rotated-outer").creds.token.get_secret_value()


@operation
def block_nested_unsaved():
    Outer(creds=Credentials(token="anonymous")).save("unsaved-outer")
    return Outer.load("unsaved-outer").creds.token.get_secret_value()


@operation
async def block_nested_masked(client):
    inner = Credentials(token="inner")
    await inner.save("nested-masked")
    await Outer(creds=inner).save("outer-masked")
    document = await client.read_block_document_by_name("outer-masked", Outer.get_block_type_slug(), False)
    return [document.data, list(document.block_document_references)]


@operation
async def block_documents_list(client):
    await Secret(value="v").save("list-me")
    documents = await client.read_block_documents(include_secrets=True)
    return [[d.name, d.data] for d in documents if d.name == "list-me"]


@operation
async def block_documents_by_type(client):
    await Credentials(token="x").save("by-type-b")
    await Credentials(token="x").save("by-type-a")
    documents = await client.read_block_documents_by_type(Credentials.get_block_type_slug(), include_secrets=False)
    return [d.name for d in documents if d.name.startswith("by-type")]


@operation
async def block_document_delete(client):
    document_id = await Secret(value="v").save("delete-me")
    await client.delete_block_document(document_id)
    return [
        await async_error_text(Secret.load("delete-me")),
        await async_error_text(client.read_block_document(document_id)),
        await async_error_text(client.delete_block_document(document_id)),
    ]


@operation
def block_delete_by_name():
    Secret(value="v").save("delete-by-name")
    Secret.delete("delete-by-name")
    return [error_text(lambda: Secret.load("delete-by-name")), error_text(lambda: Secret.delete("delete-by-name"))]


@operation
async def block_type_read(client):
    await WithCapability(value=3).save("custom")
    block_type = await client.read_block_type_by_slug("rest-custom")
    return [block_type.name, block_type.slug, block_type.logo_url, block_type.description, block_type.is_protected]


@operation
async def block_type_missing(client):
    return await async_error_text(client.read_block_type_by_slug("no-such-type"))


@operation
async def block_type_update(client):
    from prefect.client.schemas.actions import BlockTypeUpdate

    await WithCapability(value=3).save("custom-update")
    block_type = await client.read_block_type_by_slug("rest-custom")
    await client.update_block_type(block_type.id, BlockTypeUpdate(description="new"))
    return (await client.read_block_type_by_slug("rest-custom")).description


@operation
async def block_type_delete(client):
    class Doomed(Block):
        value: int = 0

    await Doomed(value=1).save("doomed")
    block_type = await client.read_block_type_by_slug("doomed")
    await client.delete_block_type(block_type.id)
    return [
        await async_error_text(client.read_block_type_by_slug("doomed")),
        await async_error_text(Doomed.load("doomed")),
    ]


@operation
async def block_type_delete_protected(client):
    await Secret(value="v").save("protected")
    block_type = await client.read_block_type_by_slug("secret")
    return await async_error_text(client.delete_block_type(block_type.id))


@operation
async def block_types_list(client):
    await WithCapability(value=3).save("custom-list")
    names = [each.name for each in await client.read_block_types()]
    return [name for name in names if name in ("Rest Custom", "Secret")]


@operation
async def block_schema_read(client):
    await WithCapability(value=3).save("custom-schema")
    schema = await client.read_block_schema_by_checksum(WithCapability._calculate_schema_checksum())
    return [schema.checksum, schema.capabilities, schema.version, schema.fields, schema.block_type.name]


@operation
async def block_schema_missing(client):
    return await async_error_text(client.read_block_schema_by_checksum("sha256:nothing"))


@operation
async def block_schemas_most_recent(client):
    await WithCapability(value=3).save("custom-recent")
    block_type = await client.read_block_type_by_slug("rest-custom")
    schema = await client.get_most_recent_block_schema_for_block_type(block_type.id)
    return schema.checksum == WithCapability._calculate_schema_checksum()


@operation
def block_changed_schema():
    def define(extra: bool):
        if extra:

            class Changing(Block):
                value: int = 0
                more: str = "m"
        else:

            class Changing(Block):
                value: int = 0

        return Changing

    define(extra=False)(value=1).save("changing")
    newer = define(extra=True)
    loaded = newer.load("changing", validate=False)
    newer(value=2, more="n").save("changing", overwrite=True)
    return [loaded.value, newer.load("changing").more]


@operation
def block_register_twice():
    Credentials.register_type_and_schema()
    Credentials.register_type_and_schema()
    return Credentials._block_type_id is not None


@operation(since="3.0")
async def secret_masked_mapping(client):
    await Secret(value={"a": {"b": "hidden"}}).save("masked-mapping")
    return (await client.read_block_document_by_name("masked-mapping", "secret", include_secrets=False)).data


@operation
def block_webhook():
    from prefect.blocks.webhook import Webhook

    Webhook(method="POST", url="https://example.com/x", headers={"a": "b"}).save("hook")
    loaded = Webhook.load("hook")
    return [loaded.method, loaded.url.get_secret_value()]


@operation
def block_local_file_system():
    from prefect.filesystems import LocalFileSystem

    LocalFileSystem(basepath="/tmp").save("files")
    return LocalFileSystem.load("files").basepath


@operation(since="3.0")
def block_subclass_load():
    Secret[dict](value={"a": 1}).save("typed")
    return repr(Secret[dict].load("typed").get())


@operation
async def block_document_update_merges(client):
    from prefect.client.schemas.actions import BlockDocumentUpdate

    document_id = await Credentials(user="u1", token="t1").save("merge")
    await client.update_block_document(document_id, BlockDocumentUpdate(data={"user": "u2"}))
    return (await client.read_block_document(document_id)).data


@operation
async def block_document_update_with_mask(client):
    from prefect.client.schemas.actions import BlockDocumentUpdate

    document_id = await Credentials(user="u1", token="t1").save("mask-back")
    await client.update_block_document(document_id, BlockDocumentUpdate(data={"token": "********"}))
    return (await client.read_block_document(document_id)).data
