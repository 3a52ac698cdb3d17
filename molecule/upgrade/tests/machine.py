"""A machine that has the package, seen by its administrator: apt, dpkg, and what is on the disk."""

import re
import time

from testinfra.host import Host

from service import Service

SOURCE = "/etc/hailo/hailo-whisper.yaml"
RENDERED = "/etc/xdg/hailo-whisper/hailo-whisper.json"
TREE = "/opt/hailo-whisper"
UNIT = "hailo-whisper.service"
# What an upgrade has to leave alone.
KEPT = f"{SOURCE} /etc/hailo/hailo-whisper.keys {RENDERED} /var/lib/hailo-whisper"
# What one says who is not there to be asked, as the roles do: a configuration that was changed on both sides stays the user's.
KEEP = "--option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold"

APT = "env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get --yes"


class Machine:
    """A machine, and the files of two versions of the package in /srv."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name = str(host.backend.name)
        self.before, self.after = (
            host.check_output(f"dpkg-deb --field /srv/{version}/hailo-whisper_*.deb Version") for version in ("before", "after")
        )

    def apt(self, arguments: str) -> tuple[int, str]:
        """Run apt-get as a script does, with nobody to ask; returns its exit status and all that it printed."""
        done = self.host.run(f"{APT} {arguments} </dev/null 2>&1")
        return done.rc, done.stdout

    def install(self, version: str, options: str = KEEP) -> tuple[int, str]:
        """Install the version, "before" or "after", from its file; returns apt's exit status and all that it printed."""
        return self.apt(installation(version, options))

    def kill_dpkg(self, version: str, when: str) -> None:
        """Install the version, and kill dpkg as soon as the command `when` succeeds on the machine."""
        self.host.check_output(
            f"systemd-run --quiet --collect --unit=killed sh -c '{APT} {installation(version, KEEP)} </dev/null'"
        )
        # In one command, for what comes next is soon over. dpkg by its name alone, for dpkg-deb is another.
        kill = "kill -KILL $(pgrep --oldest --exact dpkg)"
        self.host.check_output(f"timeout 60 sh -c 'until {when}; do sleep 0.05; done; {kill}'")
        self.host.check_output("timeout 60 sh -c 'while systemctl --quiet is-active killed.service; do sleep 0.1; done'")

    def state(self) -> str:
        """What dpkg says of the package, such as "install ok installed 0.1.0+deb12u1"."""
        return str(self.host.check_output("dpkg-query --show --showformat='${Status} ${Version}' hailo-whisper"))

    def sums(self) -> str:
        """The sum, owner and mode of each file that is the user's or the service's."""
        files = f"find {KEPT} -type f"
        shown = f"{files} -printf '%p %u:%g %m\\n' | sort; {files} -print0 | sort --zero-terminated | xargs -0 sha256sum"
        return str(self.host.check_output(shown))

    def serves(self, version: str) -> Service:
        """See that the version, as dpkg writes it, serves requests; returns the service."""
        service = Service(self.name)
        service.await_ready()
        assert service.transcribe()
        assert service.client.get(service.url("/health")).json()["version"] == program(version)
        return service

    def is_whole(self, version: str) -> None:
        """See that the version is installed and nothing is half done: each of its files is there as it should be, and none beside them."""
        assert self.state() == f"install ok installed {version}"
        assert self.host.check_output("dpkg --audit") == ""
        changed = self.host.run("dpkg --verify hailo-whisper").stdout
        assert [line.split()[-1] for line in changed.splitlines()] == [SOURCE]
        owned = self.host.check_output(f"dpkg --listfiles hailo-whisper | grep ^{TREE} | sort")
        assert self.host.check_output(f"find {TREE} | sort") == owned
        assert re.findall(r"hailo_whisper-([0-9.]+)\.dist-info$", owned, re.MULTILINE) == [program(version)]

    def main_pid(self) -> int:
        """The process of the server."""
        return int(self.host.check_output(f"systemctl show --property=MainPID --value {UNIT}"))

    def stopped_at(self) -> float:
        """When the server that ran last was told to end, in seconds of the clock that `time.monotonic` has too, for a machine is no machine of its own to the kernel."""
        return int(self.host.check_output(f"systemctl show --property=ActiveExitTimestampMonotonic --value {UNIT}")) / 1e6

    def await_process(self, pattern: str, seconds: float = 60) -> int:
        """Wait for a process whose command line matches; returns its number."""
        end = time.monotonic() + seconds
        # In brackets, for the shell that runs pgrep has the pattern in its command line.
        while not (found := self.host.run(f"pgrep --oldest --full '[{pattern[0]}]{pattern[1:]}'").stdout.split()):
            assert time.monotonic() < end, f"there was no process {pattern} within {seconds} s"
        return int(found[0])


def installation(version: str, options: str) -> str:
    """The arguments of apt-get that install the version, "before" or "after", from its file."""
    return f"install --no-install-recommends --allow-downgrades {options} /srv/{version}/hailo-whisper_*.deb"


def program(version: str) -> str:
    """The program's version in that of the package."""
    return version.partition("+")[0]
