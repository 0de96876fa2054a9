"""Hypothesis strategies for GraphQL documents that a client could send, valid and broken."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_flowsecrets.backend.graphql.schema import schema

JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from([0, -1, 1.5, 10**30, 1e308, "", "x", "\0", "\ud800", "2022-01-31", "Running"]),
        st.just("00000000-0000-0000-0000-000000000000"),
    ),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["", "type", "name"]), inner, max_size=2)
    ),
    max_leaves=4,
)
_LITERALS = st.recursive(
    st.sampled_from(['"x"', '"""x"""', "1", "-1.5", "null", "true", "ENUM", "$v", "$w", "{}", "[]", '"\\uD800"']),
    lambda inner: st.one_of(
        inner.map("[{}]".format),
        st.tuples(st.sampled_from(["name", "value", "flow_id", "input", "x"]), inner).map("{{{0[0]}: {0[1]}}}".format),
    ),
    max_leaves=4,
)
_DIRECTIVES = st.sampled_from(["", "", "", "@x", "@skip", "@skip(if: true)", "@include(if: $v)", "@deprecated"])
_WRAPPERS = st.sampled_from(["%s", "%s", "... { %s }", "... on Mutation { %s }", "... on x { %s }", "a: %s", "%s %s"])


@st.composite
def documents(draw, backend):
    """Documents with arguments, selections, variables and fragments that exist, are missing or wrong."""
    kind = draw(st.sampled_from(["query", "mutation", "subscription"]))
    root = schema(backend).type_map["Mutation" if kind == "mutation" else "Query"]
    body = " ".join(draw(st.lists(_fields(root), min_size=1, max_size=2)))
    variables = draw(st.sampled_from(["", "($v: JSON)", "($v: set_secret_input! = null, $w: [Int])", "($v: x)"]))
    if draw(st.booleans()):
        text = f"{kind} M {variables} {draw(_DIRECTIVES)} {{ {body} }}"
    else:
        text = f"{kind} {variables} {{ ...F }} fragment F on {root.name} {{ {body} }}"
    return text + draw(
        st.sampled_from(["", "", " #", " {hello}", " fragment F on Query { ...F }", " type T { x: Int }"])
    )


@st.composite
def _fields(draw, root):
    name = draw(st.sampled_from(sorted(root.fields)))
    field = root.fields[name]
    pairs = [f"{argument}: {draw(_LITERALS)}" for argument in field.args if draw(st.booleans())]
    pairs += draw(st.sampled_from([[], [], ["x: 1"]]))
    arguments = f"({', '.join(pairs)})" if pairs else draw(st.sampled_from(["", "", "", "()"]))
    selection = draw(st.sampled_from(["", "{ id }", "{ success }", "{ __typename }", "{}"]))
    text = f"{name}{arguments} {draw(_DIRECTIVES)} {selection}"
    wrapper = draw(_WRAPPERS)
    return wrapper.replace("%s", text)


@st.composite
def broken_texts(draw, texts):
    """One of these texts, with a part removed or repeated."""
    text = draw(texts)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, len(text)))
    return text[:start] + text[start:end] * draw(st.sampled_from([0, 2])) + text[end:]


@st.composite
def mutations(draw, backend, ids):
    """Pairs (document, variables) of mutations with inputs of the right types, existing ids and any content."""
    fields = schema(backend).type_map["Mutation"].fields
    name = draw(st.sampled_from(sorted(name for name, field in fields.items() if "input" in field.args)))
    type_ = fields[name].args["input"].type
    document = f"mutation($input: {type_}) {{ {name}(input: $input) {{ __typename }} }}"
    return document, {"input": draw(_inputs(type_, "input", ids))}


def _inputs(type_, name, ids):
    from graphql import is_input_object_type, is_list_type, is_non_null_type

    if is_non_null_type(type_):
        return _inputs(type_.of_type, name, ids)
    if is_list_type(type_):
        return st.lists(_inputs(type_.of_type, name, ids), max_size=2)
    if is_input_object_type(type_):
        fields = {
            key: (is_non_null_type(field.type), _inputs(field.type, key, ids)) for key, field in type_.fields.items()
        }
        return st.fixed_dictionaries(
            {key: values for key, (required, values) in fields.items() if required},
            optional={key: st.none() | values for key, (required, values) in fields.items() if not required},
        )
    if type_.name.lower() == "uuid":
        table = name.lower().replace("_", "").replace("id", "")
        return st.sampled_from([ids.get(table, _NOBODY)] * 3 + [_NOBODY])
    return _LEAVES.get(type_.name, _DATA.get(name.lower().replace("_", ""), JSON_VALUES))


_NOBODY = "00000000-0000-0000-0000-000000000000"
_MOMENTS = st.sampled_from(["2022-01-31T12:00:00+00:00", "0001-01-01", "9999-12-31T23:59:59"])
_LEAVES = {
    "String": st.sampled_from(["", "x", "default", "\0", "\ud800"]),
    "Int": st.sampled_from([0, -1, 2**31 - 1]),
    "Float": st.sampled_from([0, -1.5, 1e308]),
    "Boolean": st.booleans(),
    "DateTime": _MOMENTS,
    "timestamptz": _MOMENTS,
}


def _mappings(required, /, **optional):
    """Mappings with some of these keys, and values of the strategies or any other."""
    return st.fixed_dictionaries(required, optional={name: values | JSON_VALUES for name, values in optional.items()})


_SLUGS = st.sampled_from(["a-1", "b-1", "", None])
_TASKS = st.lists(
    _mappings(
        {},
        slug=_SLUGS,
        name=_SLUGS,
        tags=JSON_VALUES,
        trigger=JSON_VALUES,
        max_retries=JSON_VALUES,
        retry_delay=JSON_VALUES,
    ),
    max_size=2,
)
_ENDS = _mappings({}, slug=_SLUGS)
_EDGES = st.lists(_mappings({}, upstream_task=_ENDS, downstream_task=_ENDS, key=JSON_VALUES), max_size=2)
_CLOCK = {"type": "IntervalClock", "start_date": {"dt": "2022-01-01T00:00:00", "tz": "UTC"}, "interval": 60_000_000}
_SCHEDULE = _mappings({"clocks": st.lists(st.just(_CLOCK) | JSON_VALUES, max_size=2)}, type=st.just("Schedule"))
_PARAMETERS = st.lists(_mappings({}, name=_SLUGS, required=st.booleans(), default=JSON_VALUES), max_size=2)
FLOWS = _mappings(
    {"name": st.just("f")},
    tasks=_TASKS,
    edges=_EDGES,
    parameters=_PARAMETERS,
    schedule=_SCHEDULE,
    run_config=_mappings({}, labels=JSON_VALUES, env=JSON_VALUES),
    environment=JSON_VALUES,
    storage=JSON_VALUES,
)
_STATE = _mappings(
    {"type": st.sampled_from(["Scheduled", "Running", "Success", "Cancelled", "Mapped"])},
    message=JSON_VALUES,
    start_time=_MOMENTS,
    context=JSON_VALUES,
    cached_inputs=JSON_VALUES,
    _result=JSON_VALUES,
)
_DATA = {
    "serializedflow": FLOWS | JSON_VALUES,
    "serializedtasks": _TASKS | JSON_VALUES,
    "serializededges": _EDGES | JSON_VALUES,
    "state": _STATE | JSON_VALUES,
    "schedule": _SCHEDULE | JSON_VALUES,
}
