"""Reading a checkpoint of PyTorch without PyTorch, and without ever running what is in it.

A checkpoint is a zip: `NAME/data.pkl` says in pickle what there is, and `NAME/data/KEY` are the numbers, not packed. Pickle is a little
language that can call anything. Here its words are only looked at: `pickletools` takes them apart, and `_Reading` understands no more of them
than torch.save needs for a dictionary of tensors. Nothing is imported, made or called by name.
"""

import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..failure import Failure

# The pickle of the largest Whisper has 200 kB; what is much larger is something else.
LARGEST_PICKLE, MOST_MEMBERS = 8_000_000, 10_000
LOCAL_HEADER = struct.Struct("<4s22xHH")

DICTIONARY = "collections OrderedDict"
TENSOR = "torch._utils _rebuild_tensor_v2"
PARAMETER = "torch._utils _rebuild_parameter"
STORAGES: dict[str, "np.dtype[Any]"] = {"torch HalfStorage": np.dtype("<f2"), "torch FloatStorage": np.dtype("<f4")}

# Words of pickle that put something plain on the stack, and those that say nothing here.
PUSHED = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
MADE: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
MADE |= {"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False}
IGNORED = {"PROTO", "FRAME"}


class CheckpointUnreadable(Failure):
    """A file is no checkpoint of Whisper, or has something in it that no checkpoint needs. The message says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint of Whisper holds: its sizes by name, and its tensors as read-only arrays that lie in the file."""

    sizes: Mapping[str, int]
    tensors: Mapping[str, "np.ndarray[Any, Any]"]


@dataclass(frozen=True)
class _Name:
    """What the pickle would have imported: a module and a name, and nothing more than these words."""

    text: str


@dataclass(frozen=True)
class _Storage:
    key: str
    numbers: "np.dtype[Any]"
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: Path) -> Checkpoint:
    """Read the checkpoint in the file. Raises CheckpointUnreadable, and OSError when the file cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise _refusal(path, f"it has {len(members)} parts")
            places = _places(path, members)
            pickles = [name for name in places if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(pickles) != 1:
                raise _refusal(path, "it has no data.pkl")
            info = archive.getinfo(pickles[0])
            if info.file_size > LARGEST_PICKLE:
                raise _refusal(path, f"its data.pkl has {info.file_size} bytes")
            content = archive.read(info)
            folder = pickles[0].removesuffix("data.pkl")
            if f"{folder}byteorder" in places and archive.read(f"{folder}byteorder") != b"little":
                raise _refusal(path, "its numbers are not little-endian")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error) as error:
        raise _refusal(path, "it is no zip file, as torch.save writes since PyTorch 1.6") from error
    found = _Reading(path).read(content)
    try:
        sizes, tensors = found["dims"], found["model_state_dict"]
    except (KeyError, TypeError):
        raise _refusal(path, "it has no dims and no model_state_dict") from None
    if not _is_dictionary_of(sizes, int) or not _is_dictionary_of(tensors, _Tensor):
        raise _refusal(path, "its dims or its model_state_dict are not what they should be")
    arrays = {name: _array(path, tensor, places.get(f"{folder}data/{tensor.storage.key}")) for name, tensor in tensors.items()}
    return Checkpoint(sizes, arrays)


def _refusal(path: Path, what: str) -> CheckpointUnreadable:
    return CheckpointUnreadable(
        f"{path} is not a checkpoint of Whisper that can be read here: {what}. Take the file that OpenAI's program left in ~/.cache/whisper."
    )


def _is_dictionary_of(value: object, kind: type) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) and type(one) is kind for name, one in value.items())


def _places(path: Path, members: list[zipfile.ZipInfo]) -> dict[str, tuple[int, int]]:
    """Where the bytes of each member lie in the file, and how many they are."""
    places = {}
    with path.open("rb") as file:
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED:
                raise _refusal(path, f"{member.filename} is packed")
            file.seek(member.header_offset)
            signature, name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
            if signature != b"PK\x03\x04":
                raise _refusal(path, f"{member.filename} is not where the zip says")
            places[member.filename] = (member.header_offset + LOCAL_HEADER.size + name + extra, member.file_size)
    return places


def _array(path: Path, tensor: _Tensor, place: tuple[int, int] | None) -> "np.ndarray[Any, Any]":
    storage = tensor.storage
    size = storage.count * storage.numbers.itemsize
    if place is None or place[1] != size or place[0] + size > path.stat().st_size:
        raise _refusal(path, f"the numbers {storage.key} are missing or cut short")
    reach = tensor.offset + sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True))
    if reach >= storage.count or min((tensor.offset, *tensor.strides)) < 0 or min((1, *tensor.shape)) < 1:
        raise _refusal(path, f"a tensor reaches past the numbers {storage.key}")
    whole = np.memmap(path, storage.numbers, "r", place[0], (storage.count,))
    strides = [stride * storage.numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(whole[tensor.offset :], tensor.shape, strides, writeable=False)


class _Reading:
    """One walk through a pickle. What it does not know it refuses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        push, last, marked = self._stack.append, self._last, self._marked
        self._known: dict[str, Callable[[Any], None]] = {
            "MARK": lambda _: self._marks.append(len(self._stack)),
            "TUPLE": lambda _: push(tuple(marked())),
            "TUPLE1": lambda _: push(tuple(last(1))),
            "TUPLE2": lambda _: push(tuple(last(2))),
            "TUPLE3": lambda _: push(tuple(last(3))),
            "BINPUT": self._keep,
            "LONG_BINPUT": self._keep,
            "MEMOIZE": lambda _: self._keep(len(self._memo)),
            "BINGET": lambda place: push(self._memo[place]),
            "LONG_BINGET": lambda place: push(self._memo[place]),
            "SETITEM": lambda _: self._set(last(2)),
            "SETITEMS": lambda _: self._set(marked()),
            "GLOBAL": lambda text: push(self._name(text)),
            "STACK_GLOBAL": lambda _: push(self._name(" ".join(last(2)))),
            "BINPERSID": lambda _: push(self._storage(*last(1)[0])),
            "REDUCE": lambda _: self._reduce(),
            "BUILD": lambda _: self._build(),
        }

    def read(self, content: bytes) -> Any:
        """What the pickle describes: dictionaries, lists, tuples, strings, numbers and `_Tensor`s."""
        try:
            for opcode, argument, _ in pickletools.genops(content):
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._take(opcode.name, argument)
        except CheckpointUnreadable:
            raise
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise _refusal(self._path, "its data.pkl makes no sense") from error
        raise _refusal(self._path, "its data.pkl has no end")

    def _take(self, opcode: str, argument: Any) -> None:
        if opcode in PUSHED:
            self._stack.append(argument)
        elif opcode in MADE:
            self._stack.append(MADE[opcode]())
        elif opcode in self._known:
            self._known[opcode](argument)
        elif opcode not in IGNORED:
            raise _refusal(self._path, f"its data.pkl uses {opcode}, which no checkpoint needs")

    def _set(self, items: list[Any]) -> None:
        self._stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _keep(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _reduce(self) -> None:
        name, arguments = self._last(2)
        self._stack.append(self._result(name, arguments))

    def _build(self) -> None:
        # The versions of the layers, which torch hangs on to the dictionary.
        self._last(1)
        if not isinstance(self._stack[-1], dict):
            raise _refusal(self._path, "its data.pkl sets the insides of something that is no dictionary")

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) - (self._marks[-1] if self._marks else 0) < count:
            raise IndexError
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _marked(self) -> list[Any]:
        mark = self._marks.pop()
        taken = self._stack[mark:]
        del self._stack[mark:]
        return taken

    def _name(self, text: str) -> _Name:
        if text not in {DICTIONARY, TENSOR, PARAMETER, *STORAGES}:
            called = ".".join(text.split(" "))
            raise _refusal(
                self._path,
                f"it wants to call {called[:100]}, which no checkpoint needs. It may be malicious, and nothing of it was run",
            )
        return _Name(text)

    def _storage(self, kind: str, numbers: _Name, key: str, _place: str, count: int) -> _Storage:
        if kind != "storage" or type(key) is not str or type(count) is not int:
            raise ValueError
        return _Storage(key, STORAGES[numbers.text], count)

    def _result(self, name: _Name, arguments: tuple[Any, ...]) -> Any:
        if name.text == DICTIONARY:
            return dict(*arguments)
        if name.text == PARAMETER:
            return arguments[0]
        if name.text != TENSOR:
            raise ValueError
        storage, offset, shape, strides, *_ = arguments
        if not isinstance(storage, _Storage) or not all(type(number) is int for number in (offset, *shape, *strides)):
            raise ValueError
        return _Tensor(storage, offset, tuple(shape), tuple(strides))
