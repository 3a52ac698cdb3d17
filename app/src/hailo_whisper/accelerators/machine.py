"""The machine as a whole: what it has of each kind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import accounts, hailo, nvidia
from .hailo import Hailo
from .lack import Lack
from .nodes import nodes
from .nvidia import Nvidia, Probe

ROOT = Path("/")


@dataclass(frozen=True)
class Machine:
    """What was found."""

    npu: Hailo
    gpu: Nvidia
    cuda: Probe | None = None
    """What the GPU's driver says; None where there is nobody to ask."""

    @property
    def lacks_cuda(self) -> Lack | None:
        """Why CUDA cannot be used and what to do; None when it can."""
        return nvidia.lacking(self.gpu) or (self.cuda.trouble if self.cuda else None)


def signs(root: Path = ROOT) -> object:
    """What changes when an accelerator comes or goes, or another user may open it: its nodes. Cheap, and asks the devices nothing."""
    return nodes(root, *hailo.NODES, *nvidia.NODES, nvidia.OF_WINDOWS)


def survey(root: Path = ROOT, user: accounts.User | None = None, ask: Callable[[], Probe] = nvidia.probe) -> Machine:
    """Look at the machine, for the user who is to open the devices; this process unless given.

    Reads small files and loads nothing; only a GPU that has all it needs is asked for, in a child with a deadline.
    """
    gpu = nvidia.survey(root, user)
    return Machine(hailo.survey(root, user), gpu, ask() if nvidia.lacking(gpu) is None else None)
