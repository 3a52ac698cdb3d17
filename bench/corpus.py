"""Real speech with its text, made from Debian packages: short clips in three languages, and a long file of each.

`python -m bench.corpus` makes it and prints where it lies. Everything is deterministic: the packages are pinned by their sha256, and
the clips are put in the order of the sha256 of their names. Nothing of it belongs into the repository: the prompts of Asterisk are
CC-BY-SA-3.0, the LibriVox readings are in the public domain.
"""

import gzip
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper" / "bench"
RATE = 16000
# Of a short clip: seconds, words and how many. A prompt of one word says nothing about accuracy.
SHORT_SECONDS, SHORT_WORDS, SHORT_CLIPS = (2.5, 10.0), 5, 40
LONG_SECONDS, LONG_WORDS, LONG_LENGTH, LONG_GAP = (1.0, 10.0), 4, 620.0, 0.6

# Package, version, sha256 of the .deb.
PACKAGES = {
    "asterisk-core-sounds-en": ("1.6.1-1", "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50"),
    "asterisk-core-sounds-es": ("1.6.1-1", "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74"),
    "asterisk-core-sounds-fr": ("1.6.1-1", "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056"),
    "asterisk-core-sounds-en-wav": ("1.6.1-1", "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d"),
    "asterisk-core-sounds-es-wav": ("1.6.1-1", "9283a09a6d56fccdcc2bcfe86c48f0f844289cfbd46a3184d8785a6f7f569903"),
    "asterisk-core-sounds-fr-wav": ("1.6.1-1", "8d4e1bc32ed5ba7fbda40841ca1825ed20cc6232724a473c90f8bb0e53e6073e"),
    "pocketsphinx-testdata": (
        "0.8+5prealpha+1-15",
        "eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",
    ),
}
LANGUAGES = ("en", "es", "fr")

Pcm = NDArray[np.int16]


class CorpusMissing(Exception):
    """The packages could not be had, or are not the ones that are pinned. The message says what to do."""


@dataclass(frozen=True)
class Clip:
    """A recording and what is said in it."""

    name: str
    path: Path
    text: str
    language: str
    seconds: float


@dataclass(frozen=True)
class Corpus:
    """By language: the short clips, and the long file."""

    short: dict[str, list[Clip]]
    long: dict[str, Clip]


@dataclass(frozen=True)
class _Source:
    """A recording as the packages have it, brought to 16 kHz."""

    name: str
    text: str
    pcm: Pcm

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE

    @property
    def words(self) -> int:
        return len(self.text.split())


def prepare() -> Corpus:
    """The corpus, made unless one by these very rules lies in the cache. Raises CorpusMissing."""
    folder = CACHE / "corpus"
    rules = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    manifest = folder / "manifest.json"
    if not manifest.exists() or json.loads(manifest.read_text(encoding="utf-8")).get("rules") != rules:
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            made = Path(work) / "corpus"
            _write(made, folder, rules)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
    return load(folder)


def load(folder: Path) -> Corpus:
    """The corpus that a manifest.json in `folder` tells of. Raises CorpusMissing."""

    def clip(entry: dict[str, Any]) -> Clip:
        return Clip(**entry | {"path": Path(entry["path"])})

    try:
        data = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return Corpus(
            {language: [clip(entry) for entry in entries] for language, entries in data["short"].items()},
            {language: clip(entry) for language, entry in data["long"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusMissing(
            f"{folder} holds no corpus: {error}. `python -m bench.corpus` makes one, and prints its folder."
        ) from None


def _write(folder: Path, destination: Path, rules: str) -> None:
    """Write the sound below `folder`, and a manifest that names it where it will lie in the end."""
    short, long = {}, {}
    for language in LANGUAGES:
        prompts = list(_asterisk(language))
        librivox = list(_librivox()) if language == "en" else []
        chosen = _shuffled([item for item in prompts if _fits(item, SHORT_SECONDS, SHORT_WORDS)], "choice")
        short[language] = _shuffled([*librivox, *chosen[: SHORT_CLIPS - len(librivox)]], "order")
        chosen = _shuffled([item for item in prompts if _fits(item, LONG_SECONDS, LONG_WORDS)], "choice")
        long[language] = _joined(language, _shuffled(_until_long([*librivox, *chosen]), "order"))

    def entry(item: _Source, place: str, language: str) -> dict[str, Any]:
        _write_wav(folder / place, item.pcm)
        return asdict(Clip(item.name, destination / place, item.text, language, item.seconds))

    manifest = {
        "rules": rules,
        "short": {
            language: [entry(item, f"short/{language}/{item.name.replace('/', '-')}.wav", language) for item in items]
            for language, items in short.items()
        },
        "long": {language: entry(item, f"long/{language}.wav", language) for language, item in long.items()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, default=str, ensure_ascii=False), encoding="utf-8")


def _fits(item: _Source, seconds: tuple[float, float], words: int) -> bool:
    return seconds[0] <= item.seconds <= seconds[1] and item.words >= words


def _shuffled(items: Sequence[_Source], salt: str) -> list[_Source]:
    """The same order on every machine and in every version of Python."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{salt} {item.name}".encode()).digest())


def _until_long(items: Sequence[_Source]) -> list[_Source]:
    """As many as make a long file, from the first on."""
    ends = itertools.accumulate(item.seconds + LONG_GAP for item in items)
    return [item for item, end in zip(items, ends, strict=True) if end - item.seconds - LONG_GAP < LONG_LENGTH]


def _joined(language: str, items: Sequence[_Source]) -> _Source:
    gap = np.zeros(int(LONG_GAP * RATE), np.int16)
    parts = [part for item in items for part in (item.pcm, gap)]
    return _Source(f"long-{language}", " ".join(item.text for item in items), np.concatenate(parts))


def _asterisk(language: str) -> Iterator[_Source]:
    texts = _texts(language)
    seen: set[str] = set()
    for name, data in sorted(_files(f"asterisk-core-sounds-{language}-wav", r"usr/share/asterisk/sounds/[^/]+/(.+)\.wav")):
        # The same sentence is there more than once, under the names of several modules.
        key = re.sub(r"\W", "", texts.get(name, "").lower())
        if key and key not in seen:
            seen.add(key)
            yield _Source(name, texts[name], _read_wav(data))


def _texts(language: str) -> dict[str, str]:
    """What each prompt says. Notes about a sound, such as `[beep]`, are no text."""
    ((_, data),) = _files(f"asterisk-core-sounds-{language}", r"usr/share/doc/.*(core-sounds-..)\.txt\.gz")
    pairs = (line.partition(":") for line in gzip.decompress(data).decode().splitlines() if not line.startswith(";"))
    return {name.strip(): text.strip() for name, _, text in pairs if text.strip() and not re.search(r"[\[<({]", text)}


def _librivox() -> Iterator[_Source]:
    files = dict(_files("pocketsphinx-testdata", r"usr/share/pocketsphinx/test/data/librivox/(transcription|.+\.wav)"))
    for text, name in re.findall(r"<s> (.*) </s> \((.*)\)", files["transcription"].decode()):
        yield _Source(name, text, _read_wav(files[f"{name}.wav"]))


def _files(package: str, pattern: str) -> Iterator[tuple[str, bytes]]:
    """The files of a package whose path matches: the group of the pattern, and the content."""
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", _deb(package)], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
        for member in archive:
            match = re.fullmatch(pattern, member.name.removeprefix("./"))
            stream = archive.extractfile(member) if match else None
            if match and stream:
                yield match[1], stream.read()


def _deb(package: str) -> Path:
    version, sha256 = PACKAGES[package]
    folder = CACHE / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    # Apt writes a colon or a plus of the version as it is or escaped, by its age.
    found = next(iter(folder.glob(f"{package}_*.deb")), None)
    if not found:
        print(f"Downloading {package} {version}", file=sys.stderr)
        command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", f"{package}={version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        found = next(iter(folder.glob(f"{package}_*.deb")), None)
        if done.returncode or not found:
            raise CorpusMissing(
                f"{package} {version} of Debian 12 could not be downloaded: {done.stderr.strip()} "
                f"Run `apt-get update` and try again, or put its .deb into {folder}."
            )
    if hashlib.sha256(found.read_bytes()).hexdigest() != sha256:
        raise CorpusMissing(f"{found} is not the package that the figures are made with. Delete it and try again.")
    return found


def _read_wav(data: bytes) -> Pcm:
    """A recording of 16 bit and one channel, at 16 kHz or half of that, as 16 kHz."""
    with wave.open(io.BytesIO(data)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return pcm.astype(np.int16) if file.getframerate() == RATE else _doubled(pcm)


def _doubled(pcm: NDArray[np.integer[Any]]) -> Pcm:
    """Twice the rate, by a windowed sinc: plain numpy, so that no resampler's version changes the corpus."""
    taps = np.arange(-63, 64)
    sinc = np.sinc(taps / 2) * np.hamming(len(taps))
    stuffed = np.zeros(2 * len(pcm))
    stuffed[::2] = pcm
    return np.clip(np.rint(np.convolve(stuffed, sinc, mode="same")), -32768, 32767).astype(np.int16)


def _write_wav(path: Path, pcm: Pcm) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.astype("<i2").tobytes())


def main() -> int:
    """Make the corpus; print its place and its size."""
    try:
        corpus = prepare()
    except CorpusMissing as error:
        print(f"bench.corpus: {error}", file=sys.stderr)
        return 1
    for language, clips in corpus.short.items():
        short, long = sum(clip.seconds for clip in clips), corpus.long[language].seconds
        print(f"{language}: {len(clips)} clips, {short:.0f} s; a file of {long:.0f} s", file=sys.stderr)
    print(CACHE / "corpus")
    return 0


if __name__ == "__main__":
    sys.exit(main())
