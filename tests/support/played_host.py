"""A host that is a folder, with hailo-whisper in an environment, on which the module hailo_whisper_rollout runs as Ansible runs it."""

import contextlib
import io
import json
import runpy
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.module_utils.testing import patch_module_args

PROJECT = Path(__file__).resolve().parents[2]
ROLE = PROJECT / "roles/rollout"
# Where Ansible has the modules of a role find their parts.
ansible.module_utils.__path__.append(str(ROLE / "module_utils"))
SITE = "opt/hailo-whisper/venv/lib/python3.11/site-packages"
UNIT = "usr/lib/systemd/system/hailo-whisper.service"
FILES = {
    f"{SITE}/hailo_whisper-1.0.dist-info/METADATA": "",
    f"{SITE}/hailo_whisper/server.py": "one",
    "opt/hailo-whisper/installed": "program one\n",
    UNIT: "[Service]\n",
    "etc/hailo/hailo-whisper.yaml": "port: 1\n",
    "etc/hailo/hailo-whisper.keys": "default:sk-which-nobody-is-to-see\n",
    "var/lib/hailo-whisper/models/base/manifest.json": json.dumps({"files": {"model.bin": {"size": 1, "sha256": "ab"}}}),
}
SAY = '#!/bin/sh\necho "$(basename "$0") $*" >>"{log}"\n{lines}\n'


class Host:
    """A machine that is a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, text in FILES.items():
            self.write(name, text)
        self.program("systemctl", '[ "$1" = is-active ] && echo active')
        self.program("hailo-whisper", "echo unchanged /etc/xdg", f"{root}/opt/hailo-whisper/venv/bin")

    def program(self, name: str, lines: str, folder: str = "") -> None:
        path = Path(folder or f"{self.root}/usr/bin") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SAY.format(log=self.root / "log", lines=lines))
        path.chmod(0o755)

    def write(self, name: str, text: str) -> Path:
        """A file, which is another one than it was, as pip writes it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        return path

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def install(self, version: str) -> None:
        """Another version into the environment that is there."""
        (self.root / SITE / "hailo_whisper-1.0.dist-info").rename(self.root / SITE / f"hailo_whisper-{version}.dist-info")
        self.write(f"{SITE}/hailo_whisper/server.py", version)
        self.write("opt/hailo-whisper/installed", f"program {version}\n")
        self.write(UNIT, f"# {version}\n")
        self.write("usr/lib/systemd/system/hailo-whisper-more.service", "")
        self.write("etc/hailo/hailo-whisper.yaml", "port: 2\n")

    def install_again(self, old: str, version: str) -> None:
        """Without a roll-out."""
        (self.root / SITE / f"hailo_whisper-{old}.dist-info").rename(self.root / SITE / f"hailo_whisper-{version}.dist-info")

    def call(self, command: str, *, check: bool = False, diff: bool = False, **options: Any) -> Any:
        """What the module has found or done."""
        result = self._run(command, options, check, diff)
        assert not result.get("failed"), result["msg"]
        return result["found"]

    def refused(self, command: str, **options: Any) -> str:
        """Why it has failed."""
        result = self._run(command, options)
        assert result["failed"]
        return str(result["msg"])

    def changed(self, command: str, *, check: bool = False, **options: Any) -> bool:
        """Whether it says that it has changed something."""
        return bool(self._run(command, options, check)["changed"])

    def _run(self, command: str, options: dict[str, Any], check: bool = False, diff: bool = False) -> dict[str, Any]:
        modes = {"_ansible_check_mode": check, "_ansible_diff": diff}
        arguments = {"command": command, "root": str(self.root)} | options | modes
        with (
            patch_module_args(arguments),
            contextlib.redirect_stdout(io.StringIO()) as said,
            contextlib.suppress(SystemExit),
        ):
            runpy.run_path(str(ROLE / "library/hailo_whisper_rollout.py"), run_name="__main__")
        result: dict[str, Any] = json.loads(said.getvalue())
        return result

    @property
    def ledger(self) -> Any:
        return json.loads(self.read("var/lib/hailo-whisper/rollout.json"))
