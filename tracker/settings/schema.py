"""Which settings there are, and of what kind.

The schema is the signature of what settings are for: a class or function that `_target_` names, or
a dataclass that a type hint names. So it is written once, where the settings are used.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tracker.errors import UserError

TARGET = "_target_"
UNSET = "???"
"""What stands in a YAML file for a setting that has to be given."""

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    NoneType: "null",
}


def join(path: str, key: object) -> str:
    """Return the dotted name of a setting inside others.

    >>> join("", "head"), join("head", "width")
    ('head', 'head.width')
    """
    return f"{path}.{key}" if path else str(key)


def nearest(name: str, known: Collection[str]) -> str:
    """Return the known name that `name` was most likely meant to be.

    >>> nearest("inferrence", ["head", "inference"])
    'inference'
    >>> nearest("block", ["backbone", "inference.block"])
    'inference.block'
    """
    same = [other for other in sorted(known) if other.rsplit(".", 1)[-1] == name]
    return (same or difflib.get_close_matches(name, sorted(known), 1, cutoff=0))[0]


def unknown_setting(path: str, key: object, known: Collection[str]) -> UserError:
    """Return the error that `path` has no setting `key`, but the nearest of `known`."""
    message = f"there is no setting {join(path, key)}"
    if known:
        message += f"; the nearest is {join(path, nearest(str(key), known))}"
    return UserError(message)


def find_target(name: object, path: str) -> Callable[..., Any]:
    """Return the class or function of this package that the `_target_` at `path` names.

    Raises:
        UserError: there is none; nothing outside this package is ever called.
    """
    parts = str(name).split(".")
    found: Any = None
    for count in range(len(parts) - 1, 0, -1) if parts[0] == "tracker" else ():
        try:
            found = import_module(".".join(parts[:count]))
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("tracker"):
                raise
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        break
    # A module of ours also holds what it imported from elsewhere.
    ours = str(getattr(found, "__module__", "")).startswith("tracker.")
    if not (callable(found) and ours):
        raise UserError(
            f"{join(path, TARGET)}={name} is no class or function of this package; "
            "settings build nothing else"
        )
    return found


def parameters(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the type hint of each parameter; the names are the settings that `target` takes."""
    plain_class = isinstance(target, type) and not is_dataclass(target)
    hints = get_type_hints(target.__init__ if plain_class else target, include_extras=True)
    return {name: hints.get(name, Any) for name in inspect.signature(target).parameters}


def required(target: Callable[..., Any]) -> list[str]:
    """Return the parameters without a default."""
    signature = inspect.signature(target).parameters
    return [name for name, parameter in signature.items() if parameter.default is parameter.empty]


def dataclass_in(hint: Any) -> type | None:
    """Return the dataclass that a hint names, also as `X | None` or `Annotated[dict, X]`."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    return next((found for part in get_args(hint) if (found := dataclass_in(part))), None)


def check_settings(node: Any, hint: Any, path: str = "") -> None:
    """Check settings against what takes them; they may be only some of it.

    Args:
        node: a value, or values by name, nested, as YAML has them.
        hint: the type of what it is for.
        path: its dotted name, for the error.

    Raises:
        UserError: a setting that nothing takes, named with the nearest known one, or a value of
            the wrong kind.
    """
    if node == UNSET:
        return
    if isinstance(node, Mapping):
        _check_mapping(node, hint, path)
    elif not fits(node, hint):
        raise UserError(f"{path}={node} must be {describe(hint)}")
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for item in node:
            if isinstance(item, Mapping):
                check_settings(item, Any, path)


def _check_mapping(node: Mapping[Any, Any], hint: Any, path: str) -> None:
    target: Callable[..., Any] | None = dataclass_in(hint)
    if TARGET in node:
        target = find_target(node[TARGET], path)
    if target is not None:
        known = parameters(target)
        for key, value in node.items():
            if key == TARGET:
                continue
            if key not in known:
                raise unknown_setting(path, key, _nested_names(known))
            check_settings(value, known[key], join(path, key))
    elif hint is Any or (get_origin(hint) or hint) in (dict, Mapping):
        inside = get_args(hint)[1] if get_args(hint) else Any
        for key, value in node.items():
            check_settings(value, inside, join(path, key))
    elif describe(hint):
        raise UserError(f"{path}={dict(node)} must be {describe(hint)}")
    else:
        raise UserError(f"{path} has no {TARGET}, which says what to build from it")


def _nested_names(known: Mapping[str, Any]) -> list[str]:
    """Names of settings and, dotted, of the settings inside them."""
    inside = {name: found for name, hint in known.items() if (found := dataclass_in(hint))}
    return [*known, *(join(name, key) for name, kind in inside.items() for key in parameters(kind))]


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value of YAML is of the kind that a hint asks for.

    Only what YAML can say is judged; a pair such as `(height, width)` is left to whoever takes it.
    """
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, inside[0])
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in inside)
    if origin is Literal:
        return value in inside
    if hint is bool or isinstance(value, bool):
        return isinstance(value, bool) and hint in (bool, Any)
    if hint is float:
        return isinstance(value, int | float)
    if hint in (str, Path):
        return isinstance(value, str)
    if hint in (int, NoneType):
        return isinstance(value, hint)
    if (origin or hint) in (tuple, list, Sequence):
        if not isinstance(value, list | tuple):
            return value is not None and origin is tuple and Ellipsis not in inside
        return Ellipsis not in inside or all(fits(item, inside[0]) for item in value)
    return not is_dataclass(hint)


def describe(hint: Any) -> str:
    """Return in words what `fits` a hint; nothing where it is no kind that YAML has.

    >>> describe(int | None)
    'a whole number or null'
    """
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return describe(inside[0])
    if origin in (Union, UnionType):
        return " or ".join(words for part in inside if (words := describe(part)))
    if origin is Literal:
        return " or ".join(map(str, inside))
    if (origin or hint) in (tuple, list, Sequence):
        return "a list"
    if (origin or hint) in (dict, Mapping) or is_dataclass(hint):
        return "settings by name"
    return _WORDS.get(hint, "")
