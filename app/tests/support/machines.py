"""Machines that are folders: /dev, /sys, /proc and /etc as the kernel and the drivers of accelerators make them."""

from pathlib import Path

PASSWD = "root:x:0:0:root:/root:/bin/bash\nhailo-whisper:x:990:990::/var/lib/hailo-whisper:/usr/sbin/nologin\n"
GROUP = "root:x:0:\nhailo-whisper:x:990:\nhailo:x:980:hailo-whisper\n"
NVRM = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Thu Feb 22 01:44:30 UTC 2024\nGCC version:  gcc version 12.2.0\n"


class FakeMachine:
    """A folder that stands for `/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("dev", "sys/bus/pci/devices", "sys/module", "proc", "etc"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        self.write("etc/passwd", PASSWD)
        self.write("etc/group", GROUP)

    def write(self, name: str, text: str) -> Path:
        """A file with its folders."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def node(self, name: str, mode: int = 0o666) -> Path:
        """A node in /dev; a plain file passes for one."""
        path = self.write(f"dev/{name}", "")
        path.chmod(mode)
        return path

    def board(self, vendor: str, device: str, kind: str = "0x120000") -> None:
        """Something on the bus."""
        number = len(list((self.root / "sys/bus/pci/devices").iterdir()))
        folder = f"sys/bus/pci/devices/0000:{number:02x}:00.0"
        for name, value in (("vendor", vendor), ("device", device), ("class", kind)):
            self.write(f"{folder}/{name}", f"{value}\n")

    def hailo(self, driver: str = "5.2.0", *, node: str = "hailo0", mode: int = 0o666, module: str = "hailo1x_pci") -> None:
        """A Hailo-10H with its driver and library."""
        self.board("0x1e60", "0x45c4")
        self.node(node, mode)
        self.write(f"sys/module/{module}/version", f"{driver}\n")
        self.write(f"usr/lib/libhailort.so.{driver}", "")

    def nvidia(self, driver: str = "550.54.14", *, libraries: bool = True) -> None:
        """A GPU with its driver and the libraries of CUDA."""
        self.board("0x10de", "0x2335", "0x030200")
        for name in ("nvidia0", "nvidiactl", "nvidia-uvm"):
            self.node(name)
        self.write("proc/driver/nvidia/version", NVRM.format(driver))
        self.write("proc/driver/nvidia/gpus/0000:19:00.0/information", "Model: \t\t NVIDIA H200\nIRQ:   \t\t 45\n")
        self.write("usr/lib/x86_64-linux-gnu/libcuda.so.1", "")
        if libraries:
            for name in ("libcublas.so.12", "libcublasLt.so.12"):
                self.write(f"usr/local/cuda/lib64/{name}", "")

    def wsl(self) -> None:
        """Windows' GPUs in WSL 2, one of them NVIDIA's, with the libraries of CUDA: no node of NVIDIA's, nothing in /proc or on the bus."""
        self.node("dxg")
        self.write("etc/ld.so.conf.d/ld.wsl.conf", "/usr/lib/wsl/lib\n")
        self.write("usr/lib/wsl/lib/libcuda.so.1", "")
        for name in ("libcublas.so.12", "libcublasLt.so.12"):
            self.write(f"usr/local/cuda/lib64/{name}", "")
