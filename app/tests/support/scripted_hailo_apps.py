"""A small hailo-apps, written for the tests: the files of it that matter, with the downloader of either generation, playing well or badly.

Like the real one it lacks some `__init__.py`, imports what the server does not have, and ends with status 0 when a download has failed.
"""

import json
from pathlib import Path
from typing import Literal

Generation = Literal["old", "new", "ancient"]
"""With `--model` (December 2025), with `--resource-name` (January 2026 and later), with neither."""
Manner = Literal["well", "half", "silent", "crashing", "hanging", "broken"]

DEFINES = """\
from pathlib import Path

REPO_ROOT = Path(__file__).resolve().parents[4]
RESOURCES_ROOT_PATH_DEFAULT = "/usr/local/hailo/resources"  # Do Not Change!
DEFAULT_RESOURCES_CONFIG_PATH = str(REPO_ROOT / "hailo_apps" / "config" / "resources_config.yaml")
"""
DOWNLOADER = """\
import argparse, sys, time, urllib.request
from pathlib import Path

import yaml

from hailo_apps.python.core.common.core import load_environment
from hailo_apps.python.core.common.defines import DEFAULT_RESOURCES_CONFIG_PATH, RESOURCES_ROOT_PATH_DEFAULT

MANNER, OPTIONS = {manner!r}, {options!r}
if MANNER == "broken":
    raise RuntimeError("this release is broken")
parser = argparse.ArgumentParser()
for option in OPTIONS:
    parser.add_argument("--" + option)
for option in ("include-gen-ai", "no-parallel"):
    parser.add_argument("--" + option, action="store_true")
given = parser.parse_args()
load_environment()
known = yaml.safe_load(Path(given.config or DEFAULT_RESOURCES_CONFIG_PATH).read_text())
name = getattr(given, "model", None) or given.resource_name
if "--resource-name" in sys.argv:
    assert given.resource_type == "model" and given.group in known
    groups = [known[given.group]]
else:
    groups = [group for group in known.values() if "models" in group]
(entry,) = [each for group in groups for each in group["models"][given.arch]["default"] if each["name"] == name]
url = entry.get("url") or known["metadata"]["base"] + "/" + name + ".hef"
place = Path(RESOURCES_ROOT_PATH_DEFAULT) / "models" / given.arch / (name + ".hef")
place.parent.mkdir(parents=True, exist_ok=True)
print("Downloading... 0.00 KB", end="\\r", flush=True)
if MANNER == "hanging":
    place.with_suffix(".tmp").write_bytes(b"x")
    time.sleep(60)
if MANNER == "crashing":
    sys.exit("CRITICAL: no space left")
if MANNER != "silent":
    try:
        data = urllib.request.urlopen(url, timeout=10).read()
    except OSError as error:
        print("Some downloads failed:", file=sys.stderr)
        print("  - " + name + ": Failed to download after 3 attempts: " + str(error), file=sys.stderr)
    else:
        place.write_bytes(data[: len(data) // 2] if MANNER == "half" else data)
print("[====] 100%", flush=True)
"""
OPTIONS: dict[Generation, list[str]] = {
    "old": ["config", "arch", "group", "model"],
    "new": ["config", "arch", "group", "resource-name", "resource-type"],
    "ancient": ["config"],
}


def write(folder: Path, base: str, generation: Generation = "new", manner: Manner = "well") -> Path:
    """Write one into the folder, whose list of models has Whisper-Base at the address `base`. Returns the folder."""
    package = folder / "hailo_apps"
    listed = {
        "metadata": {"base": base},
        "videos": [{"name": "heavy.mp4"}],
        "vlm_chat": {
            "models": {"hailo8": {"default": "None"}, "hailo10h": {"default": [{"name": "Other", "source": "gen-ai-mz"}]}}
        },
        "whisper_chat": {
            "models": {"hailo8": {"default": "None"}, "hailo10h": {"default": [{"name": "Whisper-Base", "source": "gen-ai-mz"}]}}
        },
    }
    files = {
        "config/__init__.py": "",
        "config/resources_config.yaml": json.dumps(listed),
        "installation/__init__.py": "",
        "installation/download_resources.py": DOWNLOADER.format(manner=manner, options=OPTIONS[generation]),
        "python/core/common/__init__.py": "import cv2\n",
        "python/core/common/core.py": "from dotenv import load_dotenv\n\n\ndef load_environment():\n    load_dotenv('/nowhere')\n",
        "python/core/common/defines.py": DEFINES,
        "python/standalone_apps/speech_recognition/app.py": "import torch\n",
        "cpp/readme.txt": "no Python here\n",
    }
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "pyproject.toml").write_text("[project]\nname = 'hailo-apps'\n")
    return folder
