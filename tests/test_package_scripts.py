"""The scripts of the accelerators' packages: they restart a service that runs, and leave alone one that somebody has stopped."""

import os
import subprocess
from pathlib import Path

import pytest

# Each notes how it is called; systemctl knows whether the service runs.
TOOL = """#!/bin/sh
echo "${0##*/} $*" >>"$NOTES"
case $* in *is-active*) exit "$INACTIVE" ;; esac
"""


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("script", ["postinst configure", "postrm remove"])
@pytest.mark.parametrize("name", ["hailo", "nvidia"])
def test_a_service_that_was_stopped_stays_so(project: Path, tmp_path: Path, name: str, script: str, active: bool) -> None:
    kind, argument = script.split()
    text = (project / f"packaging/debian/hailo-whisper-accel-{name}.{kind}").read_text(encoding="utf-8")
    # What says that systemd and the service's package are there.
    for path in ("/run/systemd/system", "/usr/bin/hailo-whisper"):
        text = text.replace(path, str(tmp_path))
    for tool in ("systemctl", "deb-systemd-invoke", "udevadm"):
        (tmp_path / tool).write_text(TOOL)
        (tmp_path / tool).chmod(0o755)
    notes = tmp_path / "notes"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NOTES": str(notes), "INACTIVE": "0" if active else "3"}
    subprocess.run(["sh", "-c", text, kind, argument], env=environment, check=True)
    called = notes.read_text().splitlines()
    assert "systemctl --system daemon-reload" in called
    assert ("deb-systemd-invoke restart hailo-whisper.service" in called) == active
