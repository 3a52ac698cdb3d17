"""The form of a request: the fields beside the file, as they were sent."""

import re
from collections.abc import Iterable, Mapping, Sequence

from .errors import ApiError


class Form:
    """The fields by name, each with every value that it was given, in order. A field that is empty counts as left out."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    @property
    def names(self) -> list[str]:
        """What was sent, in order."""
        return [*self._fields]

    def only(self, names: Iterable[str]) -> "Form":
        """The same without any field but these, with or without brackets."""
        kept = {*names}
        return Form({key: values for key, values in self._fields.items() if bare(key) in kept})

    def one(self, name: str) -> str:
        """The value of a field that takes one, without the spaces around it; raises ApiError when there are several."""
        values = self._fields.get(name, [""])
        if len(values) > 1:
            raise given_twice(name, len(values))
        return values[0].strip()

    def many(self, name: str) -> list[str]:
        """The values of a field that takes several. The SDKs write its name with brackets, curl's users often without, and PHP with numbers in them."""
        keys = [f"{name}[]", name, *(key for key in self._fields if re.fullmatch(rf"{re.escape(name)}\[[0-9]+\]", key))]
        values = [value.strip() for key in keys for value in self._fields.get(key, [])]
        return [value for value in values if value]

    def nested(self, name: str) -> dict[str, str]:
        """The members of an object that was sent as `name[key]`, which is how the SDKs do it."""
        keys = [key for key in self._fields if key.startswith(f"{name}[") and key.endswith("]")]
        return {key[len(name) + 1 : -1]: self.one(key) for key in keys}


def bare(key: str) -> str:
    """The name of a field without the brackets of a list or of a member."""
    return key.partition("[")[0]


def given_twice(name: str, count: int) -> ApiError:
    """What to say of a field that takes one value and got several."""
    return ApiError(400, f"The field `{name}` is there {count} times. Send it once.", param=name, code="duplicate_field")
