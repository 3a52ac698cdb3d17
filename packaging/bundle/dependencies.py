"""What the packages need that a minimal Debian lacks: asked of apt itself, for a release and an architecture that need not be this machine's.

apt works in a folder of its own, which knows nothing of what is installed here. There it is told that what every Debian has is installed, and is
asked what is still to be fetched. It checks Debian's signatures and the sum of each package, and goes on with what it has fetched before.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from repository.folder import PUBLIC

from . import Refused

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Beside what is essential or required: what every machine that starts has, and Ansible reaches it by.
BOOTED = ("apt", "systemd-sysv", "udev")
# What Ansible's own modules need on a host, beside what the packages ask for.
ANSIBLE = ("python3", "python3-apt")
CONFIGURATION = """\
Dir "{folder}";
Dir::Etc::SourceParts "-";
Dir::State::Status "{folder}/status";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Debug::NoLocking "true";
"""


@dataclass(frozen=True)
class Mirrors:
    """Where Debian's packages come from: its own, and those of its security team, if they are known."""

    main: str
    security: str = ""


class Resolver:
    """apt for one release and architecture. Raises Refused when apt does not work or does not know a package."""

    def __init__(self, suite: str, arch: str, mirrors: Mirrors, repository: Path, cache: Path) -> None:
        self._suite, self._arch, self._mirrors, self._repository = suite, arch, mirrors, repository.resolve()
        self._folder = cache / f"apt-{suite}-{arch}"

    def fetch(self, into: Path) -> list[Path]:
        """Put what the repository's packages need, and a minimal Debian lacks, into a folder; returns the paths there."""
        self._prepare()
        self._apt("update", "--error-on=any")
        self._install_minimal()
        index = self._repository / "dists" / self._suite / f"main/binary-{self._arch}/Packages"
        ours = installable(index.read_text(encoding="utf-8"))
        # One by one: a machine need not be able to have all of them at once.
        wanted = {name for package in (*ours, *ANSIBLE) for name in self._lacking(package)}
        into.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(self._folder / "archives" / name, into / name)) for name in sorted(wanted)]

    def _prepare(self) -> None:
        for name in ("etc/apt/preferences.d", "var/cache/apt", "lists/partial", "archives/partial", "none/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        main, security = self._mirrors.main, self._mirrors.security
        sources = [f"{main} {self._suite} main", f"{main} {self._suite}-updates main"]
        sources += [f"{security} {self._suite}-security main"] if security else []
        lines = "".join(f"deb [signed-by={KEYRING}] {source}\n" for source in sources)
        lines += f"deb [signed-by={self._repository}/{PUBLIC}] file:{self._repository} {self._suite} main\n"
        (self._folder / "etc/apt/sources.list").write_text(lines, encoding="utf-8")
        configuration = CONFIGURATION.format(folder=self._folder, arch=self._arch)
        configuration += f'Dir::State::Lists "{self._folder}/lists";\nDir::Cache::Archives "{self._folder}/archives";\n'
        (self._folder / "apt.conf").write_text(configuration, encoding="utf-8")
        (self._folder / "status").write_text("", encoding="utf-8")

    def _install_minimal(self) -> None:
        """Have apt believe that a minimal Debian is installed."""
        known = {
            match[1]: stanza
            for stanza in self._apt("dumpavail", program="apt-cache").split("\n\n")
            if (match := re.match(r"Package: (\S+)$", stanza, re.MULTILINE))
        }
        always = [
            name for name, stanza in known.items() if re.search(r"^(Essential: yes|Priority: required)$", stanza, re.MULTILINE)
        ]
        installed = re.findall(r"^Inst (\S+) ", self._apt("install", "--simulate", *always, *BOOTED), re.MULTILINE)
        stanzas = [known[name.partition(":")[0]].strip() + "\nStatus: install ok installed\n" for name in installed]
        (self._folder / "status").write_text("\n".join(stanzas) + "\n", encoding="utf-8")

    def _lacking(self, package: str) -> Iterable[str]:
        """The names of the files that apt fetches from Debian to install it, after it has fetched them."""
        # In a cache that is empty: what has been fetched already is left out.
        printed = self._apt("install", "--print-uris", f"--option=Dir::Cache::Archives={self._folder}/none", package)
        self._apt("install", "--download-only", package)
        return re.findall(r"^'(?!file:)[^']+' (\S+\.deb) \d+ ", printed, re.MULTILINE)

    def _apt(self, *arguments: str, program: str = "apt-get") -> str:
        environment = os.environ | {
            "APT_CONFIG": str(self._folder / "apt.conf"),
            "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        quiet = (
            ["--yes", "--quiet=2"]
            if "--simulate" not in arguments and program == "apt-get" and "--print-uris" not in arguments
            else []
        )
        done = subprocess.run(
            [program, *quiet, *arguments], env=environment, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            said = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.startswith(("E:", " "))]
            raise Refused(
                f"apt cannot say what {self._suite} on {self._arch} lacks. Look whether the mirror {self._mirrors.main} has that release and can be "
                f"reached. It says: {' '.join(line.strip() for line in said[-6:]) or done.returncode}"
            )
        return done.stdout


def installable(index: str) -> list[str]:
    """The packages of an index of ours that can be installed: not those that need one of ours which was not put in, such as CUDA's libraries."""
    needs = {
        name[1]: re.findall(r"hailo-whisper[a-z0-9.-]*", depends[1] if depends else "")
        for stanza in index.split("\n\n")
        if (name := re.search(r"^Package: (\S+)$", stanza, re.MULTILINE))
        for depends in [re.search(r"^Depends: (.*)$", stanza, re.MULTILINE)]
    }
    return sorted(name for name, needed in needs.items() if needs.keys() >= set(needed))
