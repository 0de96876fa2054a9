"""Variables."""

import asyncio

from catalogue import async_error_text, error_text, operation
from prefect.variables import Variable


def _value(variable):
    return variable.value if isinstance(variable, Variable) else variable


@operation
def variable_set_and_get():
    Variable.set("v_set", "x")
    return _value(Variable.get("v_set"))


@operation
def variable_get_default():
    return [_value(Variable.get("v_missing", default="d")), _value(Variable.get("v_missing"))]


@operation
def variable_set_twice():
    Variable.set("v_twice", "x")
    return error_text(lambda: Variable.set("v_twice", "y"))


@operation
def variable_overwrite():
    Variable.set("v_over", "x", tags=["a"])
    Variable.set("v_over", "y", tags=["b", "c"], overwrite=True)
    return _value(Variable.get("v_over"))


@operation(since="3.0")
def variable_json_values():
    outcome = {}
    for index, value in enumerate(("42", 42, 1.5, True, None, {"a": [1, None]}, [], "")):
        Variable.set(f"v_json_{index}", value)
        outcome[repr(value)] = repr(Variable.get(f"v_json_{index}"))
    return outcome


@operation
def variable_names():
    names = ("UPPER", "with-dash", "a b", "a.b", "", "n" * 255, "n" * 256, "9", "é")
    return {name: error_text(lambda name=name: (Variable.set(name, "v"), "stored")[1]) for name in names}


@operation(since="3.0")
def variable_unset():
    Variable.set("v_unset", "x")
    return [Variable.unset("v_unset"), Variable.unset("v_unset"), Variable.get("v_unset")]


@operation
def variable_awaited():
    async def run():
        await Variable.set("v_awaited", "x")
        return _value(await Variable.get("v_awaited"))

    return asyncio.run(run())


@operation(since="3.1")
def variable_aset():
    async def run():
        await Variable.aset("v_aset", [1])
        return [await Variable.aget("v_aset"), await Variable.aunset("v_aset")]

    return asyncio.run(run())


@operation
async def variables_list(client):
    await Variable.set("v_list_b", "1")
    await Variable.set("v_list_a", "2")
    return [each.name for each in await client.read_variables() if each.name.startswith("v_list")]


@operation
async def variables_limit(client):
    await Variable.set("v_limit_1", "1")
    await Variable.set("v_limit_2", "2")
    return len(await client.read_variables(limit=1))


@operation
async def variable_row(client):
    await Variable.set("v_row", "1", tags=["t"])
    variable = await client.read_variable_by_name("v_row")
    return [variable.name, variable.value, variable.tags, await client.read_variable_by_name("v_row_none")]


@operation
async def variable_delete(client):
    await Variable.set("v_delete", "1")
    await client.delete_variable_by_name("v_delete")
    return await async_error_text(client.delete_variable_by_name("v_delete"))


@operation
def variable_long_value():
    return error_text(lambda: (Variable.set("v_long", "x" * 5001), "stored")[1])
