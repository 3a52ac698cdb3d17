"""Checks of the configuration: the file that people edit, what is made from it, and who is let in."""

from pathlib import Path

from ... import settings as configuration
from ...accelerators.files import text
from ...failure import Failure
from ...installation import in_image
from ...keys import file as keyfile
from ...service import dropins
from .. import exposure
from .finding import Finding, State, broken, ok, told, warning
from .patient import Patient

SOURCE = configuration.SOURCE.relative_to("/")
RENDERED = Path("etc/xdg") / configuration.RENDERED
RENDER = "Run `hailo-whisper config render`, then `systemctl daemon-reload` and `systemctl reload hailo-whisper` (what needs a restart, the unit's status says)."


def valid(patient: Patient) -> list[Finding]:
    """Whether the file that people edit is valid, and what is in force besides."""
    source = patient.root / SOURCE
    findings = []
    if source.exists():
        try:
            data = configuration.read(source)
            configuration.parse(data, f"/{SOURCE}")
            findings.append(_layout(configuration.migrate(data)))
        except Failure as error:
            findings += _mistakes("configuration", error)
    try:
        configuration.load(patient.config, missing_ok=True)
    except Failure as error:
        findings += _mistakes("configuration-in-force", error)
    return findings or [ok("configuration", "none: every setting has its default")]


def _layout(migrated: configuration.Migrated) -> Finding:
    if not migrated.notes:
        return ok("configuration", f"/{SOURCE} is valid")
    return warning(
        "configuration",
        f"/{SOURCE} is valid, in the layout of schema_version {migrated.version}: {'; '.join(migrated.notes)}",
        "It is read as it was meant. `hailo-whisper config migrate` rewrites it; with `--check --diff` it only shows how.",
    )


def _mistakes(check: str, error: Failure) -> list[Finding]:
    """A finding for each line; each says what may have been meant, or which command mends it."""
    findings = []
    for line in str(error).splitlines():
        found, run, cure = line.partition(" Run `")
        mend = f"Mend it (`hailo-whisper config check` looks again). {RENDER}"
        findings.append(broken(check, found, f"{run.strip()}{cure}" if run else mend))
    return findings


def generated(patient: Patient) -> list[Finding]:
    """Whether what was made from the file is still what it says. Nothing is made from an image's: its service reads the file itself."""
    source = patient.root / SOURCE
    if in_image() or not source.exists():
        return []
    try:
        wanted = configuration.parse(configuration.read(source), f"/{SOURCE}")
    except Failure:
        return []
    made = {RENDERED: configuration.dump(wanted)}
    if patient.installed:
        made |= dropins.render(wanted)
    missing = [f"/{path}" for path in made if not (patient.root / path).exists()]
    if missing:
        return [broken("generated", f"missing: {', '.join(missing)}", RENDER)]
    stale = [f"/{path}" for path, wanted_text in made.items() if (text(patient.root / path) or "") != wanted_text.strip()]
    if stale:
        return [warning("generated", f"not what /{SOURCE} says: {', '.join(stale)}", RENDER)]
    return [ok("generated", "is what the configuration says")]


def keys(patient: Patient) -> list[Finding]:
    """Whether strangers are kept out, and the key file can be used."""
    access = patient.settings.access
    try:
        exposure.check(patient.settings)
    except exposure.Exposed as error:
        return [told("keys", State.BROKEN, error)]
    if access.keys is None:
        if access.insecure:
            return [
                warning(
                    "keys",
                    "no keys, and access.insecure is set: whoever reaches the machine may use it",
                    "Make keys (`hailo-whisper keys add NAME`), unless that is meant.",
                )
            ]
        return [ok("keys", "none asked for; only this machine itself gets in")]
    path = patient.root / access.keys.lstrip("/")
    try:
        found = keyfile.read(path)
    except keyfile.KeysUnusable as error:
        if not patient.is_root and isinstance(error.__context__, PermissionError):
            return [warning("keys", f"{access.keys} may not be read by this user", "Run this as root to have it checked.")]
        return [told("keys", State.BROKEN, error)]
    count = len(found[1]) if found else 0
    return [ok("keys", f"{count} in {access.keys}")]
