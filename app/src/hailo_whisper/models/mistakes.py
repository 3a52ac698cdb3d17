"""Mistakes in a data file of the catalog, as clauses that name the place and what may have been meant."""

import difflib
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel


def sentence(model: type[BaseModel], error: dict[str, Any]) -> str:
    """One mistake that pydantic found in data for `model`, without a full stop."""
    place = [str(step) for step in error["loc"]]
    if error["type"] == "extra_forbidden":
        known = list(_keys(model, error["loc"][:-1]))
        near = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        return f"{'.'.join(place)} is an unknown key: {meant}"
    detail = str(error["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(place) or 'the entry'}: {detail[:1].lower()}{detail[1:]}"


def _keys(annotation: object, place: tuple[int | str, ...]) -> Iterator[str]:
    """The keys that the schema knows at a place."""
    for kind in _alternatives(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if not place:
                yield from kind.model_fields
            elif place[0] in kind.model_fields:
                yield from _keys(kind.model_fields[str(place[0])].annotation, place[1:])
        elif place and typing.get_origin(kind) in (dict, list):
            yield from _keys(typing.get_args(kind)[-1], place[1:])


def _alternatives(annotation: object) -> Iterator[object]:
    """What an annotation may stand for: without its constraints, and each side of a union."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _alternatives(typing.get_args(annotation)[0])
    elif origin in (types.UnionType, typing.Union):
        for each in typing.get_args(annotation):
            yield from _alternatives(each)
    else:
        yield annotation
