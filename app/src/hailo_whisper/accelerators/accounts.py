"""Users and groups by the files of /etc. A service's user is always in these files."""

from dataclasses import dataclass
from pathlib import Path

from .files import text


@dataclass(frozen=True)
class User:
    """A user with all groups, as a process of theirs has them."""

    name: str
    uid: int
    groups: tuple[int, ...]


def user(root: Path, name: str) -> User | None:
    """The user of that name; None when there is none."""
    for fields in _lines(root / "etc/passwd", 7):
        if fields[0] == name and fields[2].isdigit() and fields[3].isdigit():
            more = [int(gid) for _, gid, members in _groups(root) if name in members]
            return User(name, int(fields[2]), (int(fields[3]), *more))
    return None


def group_name(root: Path, gid: int) -> str:
    """What a group is called; its number when it has no name."""
    return next((name for name, number, _ in _groups(root) if int(number) == gid), str(gid))


def group_id(root: Path, name: str) -> int | None:
    """The number of a group; None when there is none of that name."""
    return next((int(number) for found, number, _ in _groups(root) if found == name), None)


def owner_name(root: Path, uid: int) -> str:
    """What a user is called; the number when there is no name."""
    return next((fields[0] for fields in _lines(root / "etc/passwd", 7) if fields[2] == str(uid)), str(uid))


def _groups(root: Path) -> list[tuple[str, str, list[str]]]:
    return [(name, gid, members.split(",")) for name, _, gid, members in _lines(root / "etc/group", 4) if gid.isdigit()]


def _lines(path: Path, fields: int) -> list[list[str]]:
    split = [line.split(":") for line in (text(path) or "").splitlines()]
    return [line for line in split if len(line) == fields]
