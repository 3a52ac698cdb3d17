"""Checks of the systemd unit: installed, enabled, active, what changes it, and whether it lets the device in."""

import json

from .finding import Finding, broken, ok, warning
from .patient import KINDS, Patient
from .units import SERVICE, SOCKET

START = f"`systemctl enable --now {SOCKET} {SERVICE}`"
LINES = 3
LOOKED = "12"
"""Lines of the journal in which those of the service are looked for."""
SYSTEMDS = (f"{SERVICE}: ", "Failed to start ", "Started ", "Starting ", "Stopped ", "Stopping ")
"""How the lines begin that systemd adds to each attempt."""
BRINGS = {
    "hailo": "Let it in by the drop-in 10-hailo.conf: the package hailo-whisper-accel-hailo brings it, or the role accelerator (hailo_whisper_accelerator: hailo).",
    "nvidia": "Let it in by the drop-in 10-nvidia.conf: the package hailo-whisper-accel-nvidia brings it, or the role accelerator (hailo_whisper_accelerator: nvidia).",
}
AFTER = f"Where another accelerator is there too and the service uses that one, this may stay so. By hand: below /etc/systemd/system/{SERVICE}.d, then `systemctl daemon-reload` and `systemctl restart {SERVICE}`."


def unit(patient: Patient) -> list[Finding]:
    """How the service's unit is."""
    if patient.units is None:
        return [ok("unit", "no systemd here, or it does not answer")]
    service, socket = patient.units.service, patient.units.socket
    if not service.installed:
        return [ok("unit", f"{SERVICE} is not installed: the program runs by hand, or in a container")]
    drop_ins = ", ".join(path.rpartition("/")[2] for path in service.drop_ins) or "none"
    shown = f"{service.unit_file_state}, {service.active_state} ({service.sub_state}), drop-ins: {drop_ins}"
    if service.status_text:
        shown += f"; {service.status_text}"
    if service.load_state == "masked":
        return [broken("unit", "masked", f"`systemctl unmask {SERVICE}`, then {START}.")]
    if service.active_state == "failed":
        return [
            broken(
                "unit",
                f"{shown}, result: {service.result}. {_last_lines(patient)}",
                f"Put that right, then `systemctl restart {SERVICE}`.",
            )
        ]
    if service.sub_state == "auto-restart":
        restarts = service.properties.get("NRestarts", "?")
        return [
            broken(
                "unit",
                f"it ends and is started again ({restarts} times so far, result: {service.result or '?'}). {_last_lines(patient)}",
                "Put that right: it goes on by itself.",
            )
        ]
    if service.need_daemon_reload == "yes":
        return [
            warning(
                "unit",
                f"{shown}; its files changed since systemd read them",
                f"`systemctl daemon-reload`, then `systemctl restart {SERVICE}`.",
            )
        ]
    if service.active_state == "inactive" and socket.active_state != "active":
        return [broken("unit", shown, f"{START}.")]
    if service.unit_file_state != "enabled":
        return [warning("unit", shown, f"It does not come up by itself after a restart of the machine: {START}.")]
    return [ok("unit", shown)]


def device(patient: Patient) -> list[Finding]:
    """Whether the hardened unit lets the accelerators in; where it does not, the service sees none."""
    if not patient.installed or patient.units is None:
        return []
    if not patient.machine.npu.nodes and not patient.machine.gpu.nodes:
        return []
    findings = []
    for name, why in patient.hidden.items():
        wanted = patient.settings.engine.kind == KINDS[name]
        shown = f"the unit hides the {name} device ({why})"
        findings.append((broken if wanted else warning)("unit-device", shown, f"{BRINGS[name]} {AFTER}"))
    if findings:
        return findings
    names = ", ".join(path.rpartition("/")[2] for path in patient.units.service.drop_ins)
    return [ok("unit-device", f"the unit lets the accelerator in ({names or 'by its own lines'})")]


def _last_lines(patient: Patient) -> str:
    said = patient.ask(["journalctl", "-u", SERVICE, "-n", LOOKED, "-o", "cat", "--no-pager", "-q"])
    if not said:
        return f"`journalctl -u {SERVICE}` says why{'' if patient.is_root else ', to root'}."
    lines = said.splitlines()
    # Why it ends is in what the service itself said; where it did not come to that, in what systemd said.
    own = [line for line in lines if not line.startswith(SYSTEMDS)]
    return "The log ends with: " + " / ".join(_message(line) for line in (own or lines)[-LINES:])


def _message(line: str) -> str:
    """The message of a line, which the service writes as JSON."""
    try:
        data = json.loads(line)
    except ValueError:
        return line
    return str(data.get("message", line)) if isinstance(data, dict) else line
