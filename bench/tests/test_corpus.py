import gzip
import hashlib
import json
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

from bench import corpus
from bench.peers import PROJECT

CLIP = PROJECT / "app/src/hailo_whisper/data/clip.wav"
PROMPTS = {
    "one": "please say a few words",
    "two": "please say some more words",
    "again": "Please say a few words!",
    "beep": "[a long beep]",
}


def package(folder: Path, name: str, files: dict[str, bytes]) -> str:
    """Make a .deb, and return its sha256."""
    root = folder / f"root-{name}"
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: me <me@example.org>\nDescription: x\n"
    )
    deb = folder / f"{name}_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Znone", root, deb], check=True, capture_output=True)
    return hashlib.sha256(deb.read_bytes()).hexdigest()


def tone(folder: Path, frequency: float, seconds: float, rate: int = 8000) -> bytes:
    path = folder / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        samples = 8000 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path.read_bytes()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages like Debian's, in a cache of the test's own."""
    debs = tmp_path / "debs"
    debs.mkdir()
    pinned = {}
    text = gzip.compress("".join(["; prompts\n", *(f"{name}: {words}\n" for name, words in PROMPTS.items())]).encode())
    for language in corpus.LANGUAGES:
        name = f"asterisk-core-sounds-{language}"
        pinned[name] = ("1", package(debs, name, {f"usr/share/doc/{name}/core-sounds-{language}.txt.gz": text}))
        sounds = {f"usr/share/asterisk/sounds/voice/{key}.wav": tone(tmp_path, 440, 3) for key in PROMPTS}
        pinned[f"{name}-wav"] = ("1", package(debs, f"{name}-wav", sounds))
    reading = "usr/share/pocketsphinx/test/data/librivox"
    files = {
        f"{reading}/transcription": b"<s> he was not an ill disposed man </s> (reading)\n",
        f"{reading}/reading.wav": CLIP.read_bytes(),
    }
    pinned["pocketsphinx-testdata"] = ("1", package(debs, "pocketsphinx-testdata", files))
    monkeypatch.setattr(corpus, "CACHE", tmp_path)
    monkeypatch.setattr(corpus, "PACKAGES", pinned)
    return debs


def test_clips_with_their_texts_come_out(packages: Path) -> None:
    made = corpus.prepare()
    # The same sentence twice is one clip, and a sound without words is none.
    assert {clip.text for clip in made.short["en"]} == {PROMPTS["two"], PROMPTS["again"], "he was not an ill disposed man"}
    assert {clip.text for clip in made.short["es"]} == {PROMPTS["two"], PROMPTS["again"]}
    for clip in [*made.short["en"], *made.long.values()]:
        with wave.open(str(clip.path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
            assert file.getnframes() / 16000 == pytest.approx(clip.seconds)
    long = made.long["fr"]
    assert long.seconds == pytest.approx(2 * (3 + corpus.LONG_GAP))
    assert sorted(long.text.split()) == sorted(f"{PROMPTS['two']} {PROMPTS['again']}".split())


def test_it_is_made_once_and_always_the_same(packages: Path) -> None:
    first = corpus.prepare()
    manifest = corpus.CACHE / "corpus/manifest.json"
    before = manifest.stat().st_ino, first.long["en"].path.read_bytes()
    assert corpus.prepare() == first
    assert manifest.stat().st_ino == before[0]
    manifest.write_text(json.dumps({"rules": "others"}))
    assert corpus.prepare() == first
    assert first.long["en"].path.read_bytes() == before[1]


def test_another_package_than_the_pinned_one_is_refused(packages: Path) -> None:
    with (packages / "pocketsphinx-testdata_1_all.deb").open("ab") as file:
        file.write(b"more")
    with pytest.raises(corpus.CorpusMissing, match="Delete it"):
        corpus.prepare()


def test_package_that_cannot_be_had_is_told_of(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (packages / "pocketsphinx-testdata_1_all.deb").unlink()
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "apt-get").write_text("#!/bin/sh\necho no network >&2; exit 100\n")
    (bin_ / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_), prepend=":")
    with pytest.raises(corpus.CorpusMissing, match=r"no network.*apt-get update"):
        corpus.prepare()


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(corpus.CorpusMissing, match="holds no corpus"):
        corpus.load(tmp_path)


def test_doubling_the_rate_keeps_the_sound() -> None:
    time = np.arange(8000) / 8000
    doubled = corpus._doubled((10000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16))
    expected = 10000 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    assert np.abs(doubled - expected)[200:-200].max() < 100
