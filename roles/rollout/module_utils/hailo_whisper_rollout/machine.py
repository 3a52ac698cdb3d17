"""The machine, as far as a roll-out is concerned: what is installed there, how it is configured, and its programs."""

import base64
import http.client
import os
import subprocess

from ansible.module_utils.hailo_whisper_rollout.files import read, summed

TREE, STAMP = "opt/hailo-whisper/venv", "opt/hailo-whisper/installed"
CONFIGURATION = "etc/hailo/hailo-whisper.yaml", "etc/hailo/models.d/*.yaml"
# Of the packages hailo-whisper-model-*. What lies in the store goes before it.
PACKAGED_MODELS = "usr/share/hailo-whisper/models"
RENDERED = "etc/xdg/hailo-whisper/hailo-whisper.json"
KEYS = "/etc/hailo/hailo-whisper.keys"
"""Where the roles put them unless the inventory says otherwise."""
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # to be asked, and not bound to


class Refused(Exception):
    """What cannot be done, as a sentence that says what to do."""


class Machine:
    """All of it is below `root`, the folder of its file system."""

    def __init__(self, root):
        self.root = root

    def version(self):
        """The version, as dpkg has it, or of the program in the environment; "" without one."""
        packages = self.packages()
        if packages:
            return packages["hailo-whisper"]
        found = sorted((self.root / TREE).glob("lib/python3*/site-packages/hailo_whisper-*.dist-info"))
        return found[0].name.removesuffix(".dist-info").split("-")[1] if found else ""

    def method(self):
        """How it was installed; "" when it was not."""
        return "deb" if self.packages() else "venv" if (self.root / TREE).exists() else ""

    def packages(self):
        """The version of the service's package and of those for accelerators, which must be of the same version. What dpkg has begun with counts."""
        ours = {name: version for name, (version, _) in self.listed().items()}
        return ours if "hailo-whisper" in ours else {}

    def listed(self):
        """Version and status of each of these packages that is there, or half there."""
        asked = self.run(
            "dpkg-query", "--show", "--showformat=${Package} ${Version} ${db:Status-Status}\n", "hailo-whisper*"
        ).stdout
        rows = [line.split() for line in asked.splitlines() if len(line.split()) == 3]
        return {
            name: (version, status)
            for name, version, status in rows
            if status not in ("not-installed", "config-files") and counts(name)
        }

    def finish(self):
        """Have dpkg go on with an installation that was cut off; what of it cannot be finished, the next one or the way back replaces."""
        self.run("dpkg", "--force-confdef", "--force-confold", "--configure", "-a")

    def apt_has(self, name, version):
        """Whether apt could download it. `apt-cache show` does not say: it knows what is installed, and fails for no version that there is not."""
        return self.run("apt-get", "--print-uris", "download", f"{name}={version}").returncode == 0

    def ready(self):
        """Whether the service says that it is."""
        connection = http.client.HTTPConnection(*self.address(), timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def address(self):
        """Host and port at which it answers, by the configuration that was rendered: the inventory may be ahead of it."""
        server = (read(self.root / RENDERED) or {}).get("server") or {}
        host = server.get("host") or "127.0.0.1"
        return EVERY_ADDRESS.get(host, host), server.get("port") or 11437

    def service(self):
        """How to ask it: its `url`, its `port`, and the file of its keys."""
        host, port = self.address()
        access = (read(self.root / RENDERED) or {}).get("access") or {}
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return {"url": url, "port": port, "key_file": access.get("keys") or KEYS}

    def models(self):
        """The sums of each model's files, as they were when it was verified."""
        settings = read(self.root / RENDERED) or {}
        store = self.root / ((settings.get("storage") or {}).get("models") or "/var/lib/hailo-whisper/models").lstrip("/")
        places = [place for roof in (self.root / PACKAGED_MODELS, store) for place in roof.glob("[!.]*")]
        found = {}
        for model, place in sorted({place.name: place for place in places}.items()):
            try:
                files = read(place / "manifest.json")["files"]
                found[model] = {name: files[name]["sha256"] for name in sorted(files)}
            except (KeyError, TypeError):
                # What nobody has verified has no sum to be compared with.
                continue
        return found

    def serving(self):
        """The names of the configured model and of those that stand in for it, as the configuration has them; none for a folder of its own."""
        model = (read(self.root / RENDERED) or {}).get("model") or {}
        return [name for name in (model.get("name"), *(model.get("fallback") or [])) if name and not model.get("path")]

    def offered(self):
        """The names of the models that are offered beside it."""
        return ((read(self.root / RENDERED) or {}).get("models") or {}).get("offered") or []

    def configuration(self):
        """The sum of each file of the configuration."""
        return {name: summed(file) for name, file in self.contents(CONFIGURATION).items()}

    def contents(self, patterns):
        """Files by their path from the root on, each with what is needed to write it again."""
        found = {}
        for path in sorted(path for pattern in patterns for path in self.root.glob(pattern)):
            name = str(path.relative_to(self.root))
            if path.is_symlink():
                found[name] = {"link": str(path.readlink())}
            elif path.is_file():
                found[name] = {"mode": path.stat().st_mode & 0o7777, "content": base64.b64encode(path.read_bytes()).decode()}
        return found

    def run(self, program, *arguments, folder=None):
        """A program of the machine, with nobody to ask. 127 when it is not there."""
        path = self.root / (program if "/" in program else f"usr/bin/{program}")
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        command = [str(path), *map(str, arguments)]
        if not path.exists():
            return subprocess.CompletedProcess(command, 127, "", f"There is no {path}.")
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment, cwd=folder
        )


def counts(name):
    """Whether a package goes from version to version with the service. Models and CUDA's libraries have versions of their own."""
    return name == "hailo-whisper" or name.startswith("hailo-whisper-accel-")
