"""From checked settings to what they describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from tracker.errors import UserError
from tracker.settings.schema import (
    TARGET,
    UNSET,
    check_settings,
    dataclass_in,
    find_target,
    join,
    parameters,
    required,
)


def build(settings: Mapping[str, Any], path: str = "") -> Any:
    """Build what the `_target_` of settings names, and whatever is inside them before it.

    Args:
        settings: nested, as YAML has them. Inside what takes a dataclass, its `_target_` may be
            left out.
        path: their dotted name, for errors.

    Raises:
        UserError: a setting is unknown, missing or of the wrong kind, or does not fit the others.
    """
    check_settings(settings, Any, path)
    return _build(settings, Any, path)


def _build(node: Any, hint: Any, path: str) -> Any:
    if node == UNSET:
        raise _not_set(path)
    if isinstance(node, Mapping):
        target: Callable[..., Any] | None = dataclass_in(hint)
        if TARGET in node:
            target = find_target(node[TARGET], path)
        known = parameters(target) if target else {}
        values = {
            key: _build(value, known.get(key, Any), join(path, key))
            for key, value in node.items()
            if key != TARGET
        }
        # `Annotated[dict, X]` takes some of the settings of X, not an X.
        return values if target is None or _is_dict(hint) else _call(target, values, path)
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [_build(item, Any, path) for item in node]
    return node


def _is_dict(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return get_origin(get_args(hint)[0]) is dict
    return any(_is_dict(part) for part in get_args(hint))


def _call(target: Callable[..., Any], values: dict[str, Any], path: str) -> Any:
    missing = [name for name in required(target) if name not in values]
    if missing:
        raise _not_set(join(path, missing[0]))
    try:
        return target(**values)
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path or target.__qualname__} cannot be built ({reason})") from error


def _not_set(path: str) -> UserError:
    return UserError(f"{path} is not set; give {path}=...")
