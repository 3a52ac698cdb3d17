"""The Python projects that are installed in an environment, as their own metadata tells of them."""

import email
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

OWN = "hailo-whisper"
# Of projects that name their licence in their own words, or nowhere but in a classifier.
LICENCES = {
    "ctranslate2": "MIT",
    "faster-whisper": "MIT",
    "flatbuffers": "Apache-2.0",
    "h11": "MIT",
    "huggingface-hub": "Apache-2.0",
    "nvidia-cuda-nvrtc-cu12": "LicenseRef-NVIDIA-Proprietary",
    "onnxruntime": "MIT",
    "protobuf": "BSD-3-Clause",
    "pynacl": "Apache-2.0",
    "pyyaml": "MIT",
    "tokenizers": "Apache-2.0",
    "tqdm": "MPL-2.0 AND MIT",
}
# Of projects whose wheels name no holder.
HOLDERS = {
    "ctranslate2": "2018 SYSTRAN, 2019 The OpenNMT Authors",
    "flatbuffers": "2014 Google Inc.",
    "tokenizers": "2019 Hugging Face",
}


@dataclass(frozen=True)
class Project:
    """One project: `licence` is an SPDX expression, `files` are its paths below site-packages, `texts` those of its licences."""

    name: str
    version: str
    licence: str
    home: str
    authors: str
    files: tuple[str, ...]
    texts: tuple[str, ...]


def installed(site: Path) -> list[Project]:
    """All projects in the folder, by name. Raises OSError for a folder that is none, LookupError for a project without a licence."""
    if not site.is_dir():
        raise NotADirectoryError(f"{site} is no folder. Name the site-packages of the environment.")
    projects = [_read(folder) for folder in site.glob("*.dist-info")]
    return sorted((project for project in projects if project.name != OWN), key=lambda project: project.name)


def _read(folder: Path) -> Project:
    site = folder.parent
    metadata = email.message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
    name = metadata["Name"].lower().replace("_", "-").replace(".", "-")
    # RECORD is a table of path, sum and size; paths with a comma are not among them.
    recorded = [line.split(",")[0] for line in (folder / "RECORD").read_text(encoding="utf-8").splitlines()]
    files = sorted(path for path in recorded if not path.startswith("..") and (site / path).is_file())
    texts = [path for path in files if _is_licence(Path(path), folder.name)]
    licence = metadata["License-Expression"] or LICENCES.get(name) or ""
    if not licence:
        raise LookupError(
            f"{name} {metadata['Version']} does not name its licence. Look it up, and add it to LICENCES in {__file__}."
        )
    return Project(
        name=name,
        version=metadata["Version"],
        licence=licence,
        home=_home(metadata) or f"https://pypi.org/project/{name}/",
        authors=HOLDERS.get(name)
        or metadata["Author"]
        or metadata["Author-email"]
        or metadata["Maintainer-email"]
        or f"the authors of {name}",
        files=tuple(files),
        texts=tuple((site / path).read_text(encoding="utf-8", errors="replace") for path in texts),
    )


def _is_licence(path: Path, metadata: str) -> bool:
    named = path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "THIRDPARTYNOTICES"))
    # Of the project itself: modules may be called so too, and have other suffixes.
    return (
        named
        and path.suffix.lower() in {"", ".txt", ".md", ".apache", ".bsd", ".rst"}
        and (path.parts[0] == metadata or len(path.parts) == 2)
    )


def _home(metadata: Message) -> str:
    urls = {}
    for line in metadata.get_all("Project-URL", []):
        label, _, url = line.partition(",")
        urls[label.strip().lower()] = url.strip()
    named = [urls[label] for label in ("source", "source code", "repository", "github", "code", "homepage") if label in urls]
    return next(iter(named), metadata["Home-page"] or "")
