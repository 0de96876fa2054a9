"""Reserved names of keys: the attributes of Prefect's ``Config`` class, by dialect, python-box and Python.

From 0.6.0 ``import prefect`` fails if a key of the configuration, at any depth, is in ``dir(Config)``. The sets come
from installed packages. The optional converters of python-box (toml, yaml, msgpack, toon) count as installed, because
the dependencies of Prefect install them.
"""

# ruff: noqa: SIM905  (words in a text are easier to compare with dir() than a list of literals)
from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, FrozenSet, Tuple

from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

_ANY = frozenset(
    "__class__ __contains__ __delattr__ __delitem__ __dict__ __dir__ __doc__ __eq__ __format__ __ge__ __getattr__ "
    "__getattribute__ __getitem__ __gt__ __hash__ __init__ __init_subclass__ __iter__ __le__ __len__ __lt__ __module__ "
    "__ne__ __new__ __reduce__ __reduce_ex__ __repr__ __reversed__ __setattr__ __setitem__ __sizeof__ __str__ "
    "__subclasshook__ __weakref__ clear copy get items keys pop popitem setdefault to_dict update values".split()
)
_DOTDICT = frozenset(
    "_MutableMapping__marker __abstractmethods__ __protect_critical_keys__ __slots__ _abc_impl get_nested set_nested "
    "setdefault_nested".split()
)
_BOX = frozenset(
    "_Box__box_config _Box__convert_and_store _Box__get_default __copy__ __deepcopy__ __setstate__ _protected_keys "
    "from_json from_yaml fromkeys to_json to_yaml".split()
)
_BOX_3_ONLY = frozenset("_Box__add_ordered _Box__create_lineage box_it_up".split())
# python-box version -> what it added (each row on top of those before it).
_BOX_ADDED: Tuple[Tuple[Tuple[int, int], FrozenSet[str]], ...] = (
    ((4, 0), frozenset("_Box__recast __add__ _conversion_checks _safe_attr from_toml merge_update to_toml".split())),
    ((5, 1), frozenset("__iadd__ __ior__ __or__ __radd__ __ror__ __sub__ from_msgpack to_msgpack".split())),
    ((7, 2), frozenset({"__annotations__"})),
    ((7, 4), frozenset("_Box__process_dotted_key from_toon to_toon".split())),
    (
        (8, 0),
        frozenset(
            "_Box__camel_destructive _Box__copy_internals _Box__dots_int_key _Box__new_from_plain _box_defaults "
            "_box_internal_attrs _box_resolved_defaults _comment_check_frozen _comment_copy_to _comment_document "
            "_comment_owner _comment_resolve _comment_store _flush_pending_parent del_comment get_comment "
            "set_comment".split()
        ),
    ),
)
_PYTHON_ADDED: Tuple[Tuple[Tuple[int, int], FrozenSet[str]], ...] = (
    ((3, 9), frozenset({"__class_getitem__"})),
    ((3, 11), frozenset({"__getstate__"})),
    ((3, 13), frozenset({"__firstlineno__", "__static_attributes__"})),
)
_DICT_UNION = frozenset({"__ior__", "__or__", "__ror__"})


@lru_cache(maxsize=64)
def forbidden_names(dialect: Dialect, python: Tuple[int, int], box: str) -> FrozenSet[str]:
    """Return the names that no key may have.

    Args:
        dialect: the rules.
        python: the version of Python.
        box: the version of python-box, or ``""``.

    Returns:
        The names; none for releases before 0.6.0, which do not check names.
    """
    if not dialect.forbids_names:
        return frozenset()
    names = set(_ANY)
    for first, added in _PYTHON_ADDED:
        names |= added if python >= first else frozenset()
    return frozenset(names | (_box_names(python, box) if dialect.box else _DOTDICT))


def every_forbidden_name() -> FrozenSet[str]:
    """Return the names that some release rejects on some Python."""
    rows = (*_BOX_ADDED, *_PYTHON_ADDED)
    return frozenset(_ANY | _DOTDICT | _BOX | _BOX_3_ONLY | _DICT_UNION).union(*(added for _, added in rows))


def _box_names(python: Tuple[int, int], box: str) -> FrozenSet[str]:
    numbers = release_of(box)[:2]
    names = set(_BOX) | (_DICT_UNION if python >= (3, 9) else frozenset())
    names |= _BOX_3_ONLY if numbers < (4, 0) else frozenset()
    for first, added in _BOX_ADDED:
        names |= added if numbers >= first else frozenset()
    return frozenset(names)
