"""The nodes of devices in /dev, and who may open them."""

import os
from dataclasses import dataclass
from pathlib import Path

from . import accounts
from .files import matching

READ_WRITE = 0o6


@dataclass(frozen=True)
class Node:
    """A device's node."""

    path: str
    """As it is on the machine, such as /dev/hailo0."""
    owner: str
    group: str
    mode: int
    """The permissions, such as 0o660."""
    openable: bool
    """Whether the user that was asked for may read and write it."""

    @property
    def rights(self) -> str:
        """As ls shows them, about: `root:hailo 0660`."""
        return f"{self.owner}:{self.group} {self.mode:04o}"


def nodes(root: Path, *patterns: str, user: accounts.User | None = None) -> tuple[Node, ...]:
    """The nodes of these names; `user` is who is to open them, this process unless given."""
    found = []
    for path in matching(root / "dev", *patterns):
        try:
            about = path.stat()
        except OSError:
            continue
        # The kernel knows better than the numbers do: in a user namespace they are not those of outside.
        # It asks the unit's DeviceAllow= too (devcgroup_inode_permission), and unlike open() wakes no device.
        openable = os.access(path, os.R_OK | os.W_OK) if user is None else may_open(about, user)
        owner, group = accounts.owner_name(root, about.st_uid), accounts.group_name(root, about.st_gid)
        found.append(Node(f"/dev/{path.name}", owner, group, about.st_mode & 0o777, openable))
    return tuple(found)


def may_open(about: os.stat_result, user: accounts.User) -> bool:
    """Whether the user may read and write a file, by its mode."""
    if user.uid == 0:
        return True
    shift = 6 if about.st_uid == user.uid else 3 if about.st_gid in user.groups else 0
    return (about.st_mode >> shift) & READ_WRITE == READ_WRITE
