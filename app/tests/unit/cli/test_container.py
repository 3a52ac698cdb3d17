"""What people give to a container, made into settings."""

import hashlib
import json
import shutil
import stat
from pathlib import Path

import hefs
import pytest
import stored

from hailo_whisper import settings
from hailo_whisper.accelerators import hailo
from hailo_whisper.cli import assembly
from hailo_whisper.cli.container import translate
from hailo_whisper.engines.launch import Launch
from hailo_whisper.engines.warm_up import warm_up
from hailo_whisper.failure import Failure
from hailo_whisper.keys import file, writing
from hailo_whisper.models import catalog, hub_cache
from hailo_whisper.models.catalog import Catalog
from hailo_whisper.models.unusable import ModelMissing
from hailo_whisper.settings import strangers

NOWHERE = Path("/nowhere")


@pytest.fixture(scope="module")
def known() -> Catalog:
    return catalog.load()


class Launched:
    """What a container would start, by the settings that are in force: its environment, over a file that is mounted."""

    def __init__(self, known: Catalog, tmp_path: Path) -> None:
        self._known, self._file, self.cache, self.resources = (
            known,
            tmp_path / "file.yaml",
            tmp_path / "cache",
            tmp_path / "resources",
        )
        self.cache.mkdir()
        stored.write_catalog(tmp_path / "models.d", "large", "small", "base")
        self._storage = {"models": str(tmp_path / "models")}
        self._catalog = str(tmp_path / "models.d")

    def __call__(self, environ: dict[str, str] | None = None, **sections: dict[str, object]) -> Launch:
        sections["storage"] = self._storage | sections.get("storage", {})
        sections["models"] = {"catalog": self._catalog} | sections.get("models", {})
        sections["hailo"] = {"resources": str(self.resources)}
        self._file.write_text(json.dumps({"schema_version": 1, "engine": {"kind": "ctranslate2"}} | sections))
        # As the image and compose.yml set them.
        given = {"HAILO_WHISPER_STORAGE_HUB_CACHE": str(self.cache), "WHISPER_MODEL": "", "WHISPER_MODEL_PATH": ""} | (
            environ or {}
        )
        translate(given, self._known, NOWHERE)
        self.settings = settings.load(self._file, environ=given)
        with warm_up(1).waveform:
            return assembly.launch(self.settings, None, warm_up(1))


@pytest.fixture
def launched(known: Catalog, tmp_path: Path) -> Launched:
    return Launched(known, tmp_path)


class TestTheCache:
    """A model is found in it by the name that the settings in force have, and is that model."""

    def test_the_model_that_a_mounted_file_names(self, launched: Launched) -> None:
        stored.cache(launched.cache, "base")
        launch = launched(model={"name": "large"})
        with pytest.raises(ModelMissing, match=rf"large is not in .*/models, nor in the cache {launched.cache}\."):
            launch.prepare()
        folder = stored.cache(launched.cache, "large")
        found = launch.prepare()
        assert (found.name, found.path) == ("large", folder)
        assert found.sha256 == hashlib.sha256(stored.content("large")["model.bin"]).hexdigest()

    def test_one_that_is_offered_and_one_that_stands_in(self, launched: Launched) -> None:
        small, base = stored.cache(launched.cache, "small"), stored.cache(launched.cache, "base")
        launch = launched(model={"name": "large", "fallback": ["base"]}, models={"offered": ["small"]})
        assert launch.prepare().path == base
        with warm_up(1).waveform:
            offered = assembly.launch(launched.settings, None, launch.warm_up, "small", chosen=launch.kind)
        assert offered.prepare().path == small

    def test_what_the_npu_takes_is_not_looked_for_in_it_and_what_stands_in_is(
        self, launched: Launched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hailo, "genai", lambda: True)
        folder = stored.cache(launched.cache, "base")
        hef = launched.resources / "models/hailo10h/Whisper-Base.hef"
        hef.parent.mkdir(parents=True)
        hef.write_bytes(hefs.hef())
        launch = launched({"HAILO_WHISPER_ENGINE_KIND": "hailo", "HAILO_WHISPER_ENGINE_FALLBACK": "cpu"})
        assert launch.prepare().path == hef
        assert launch.stand_in
        assert launch.stand_in.prepare().path == folder

    def test_the_folder_that_a_mounted_file_names(self, launched: Launched, tmp_path: Path) -> None:
        stored.cache(launched.cache, "base")
        mine = tmp_path / "mine"
        shutil.copytree(stored.cache(tmp_path, "large"), mine)
        launched(model={"path": str(mine)})
        assert launched.settings.model.path == str(mine), "compose hands an empty word on"

    def test_a_name_from_the_environment_is_not_that_of_a_folder_from_the_file(self, launched: Launched) -> None:
        launched({"WHISPER_MODEL": "small"}, model={"path": "/data/mine"})
        assert (launched.settings.model.name, launched.settings.model.path) == ("small", None)

    def test_one_that_may_not_be_read_is_what_readiness_says(self, launched: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
        launch = launched({"MODEL_CACHE_DIR": "/data/cache"})

        def refuse(*_: object) -> Path:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(hub_cache, "held", refuse)
        monkeypatch.setattr("hailo_whisper.models.cure.in_image", lambda: True)
        said = r"base is not in \S+/models\. The cache /data/cache may not be read by this user \(number \d+\)\. Run the container as .*`user:` in compose.*rootless podman you are 0:0"
        with pytest.raises(ModelMissing, match=said):
            launch.prepare()

    def test_none_is_wanted(self, launched: Launched) -> None:
        launched({"MODEL_CACHE_DIR": ""})
        assert launched.settings.storage.hub_cache is None


class TestTheModel:
    @pytest.mark.parametrize("wanted", ["large-v3", "Systran/faster-whisper-large-v3"])
    def test_by_its_name_or_its_repository(self, known: Catalog, wanted: str) -> None:
        environ = {"WHISPER_MODEL": wanted}
        translate(environ, known, NOWHERE)
        assert settings.load(environ=environ, missing_ok=True).model.name == "large-v3"

    def test_by_its_folder(self, known: Catalog) -> None:
        environ = {"WHISPER_MODEL": "/data/models/whisper/large-v3"}
        translate(environ, known, NOWHERE)
        assert settings.load(environ=environ, missing_ok=True).model.path == "/data/models/whisper/large-v3"

    def test_one_that_nobody_knows(self, known: Catalog) -> None:
        with pytest.raises(Failure, match=r"WHISPER_MODEL is larg-v3\..*large-v3"):
            translate({"WHISPER_MODEL": "larg-v3"}, known, NOWHERE)

    @pytest.mark.parametrize("other", ["WHISPER_MODEL_PATH", "HAILO_WHISPER_MODEL_PATH", "HAILO_WHISPER_MODEL_NAME"])
    def test_said_twice(self, known: Catalog, other: str) -> None:
        with pytest.raises(Failure, match=f"both WHISPER_MODEL and {other} say which model"):
            translate({"WHISPER_MODEL": "base", other: "/data/x"}, known, NOWHERE)
        translate({"WHISPER_MODEL": "base", other: ""}, known, NOWHERE)


class TestNames:
    @pytest.mark.parametrize("name", strangers.STRANGERS)
    def test_what_others_call_otherwise_is_refused_with_our_name(self, known: Catalog, name: str) -> None:
        program, here = strangers.STRANGERS[name]
        with pytest.raises(Failure) as caught:
            translate({name: "1"}, known, NOWHERE)
        assert str(caught.value) == f"environment: {name} sets nothing. {program} calls it so; here it is {here}."

    @pytest.mark.parametrize("name", strangers.STRANGERS)
    def test_our_names_in_it_are_real(self, name: str) -> None:
        ours = [
            word.rstrip(",:")
            for word in strangers.STRANGERS[name][1].split()
            if word.startswith(("HAILO_", "WHISPER_", "MODEL_"))
        ]
        assert set(ours) <= {*settings.names(), "WHISPER_MODEL", "MODEL_CACHE_DIR"}

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("HAILO_WHISPER_MODEL_NAM", "HAILO_WHISPER_MODEL_NAME"),
            ("HAILO_WISPER_MODEL_PATH", "HAILO_WHISPER_MODEL_PATH"),
            ("WHISPER_MODLE", "WHISPER_MODEL"),
            ("WHISPER_MODEL_PATHS", "WHISPER_MODEL_PATH"),
        ],
    )
    def test_one_that_is_misspelt(self, known: Catalog, name: str, meant: str) -> None:
        with pytest.raises(Failure, match=rf"^environment: {name} sets nothing\. Did you mean {meant}\?$"):
            translate({name: "1"}, known, NOWHERE)

    def test_all_of_them_are_told_at_once(self, known: Catalog) -> None:
        with pytest.raises(Failure) as caught:
            translate({"ASR_MODEL": "base", "WHISPER_LANG": "en"}, known, NOWHERE)
        assert len(str(caught.value).splitlines()) == 2

    @pytest.mark.parametrize("service", ["HAILO_WHISPER", "WHISPER", "ASR", "HAILO_WHISPER_SERVER"])
    def test_what_kubernetes_says_of_a_service_of_our_name_sets_nothing_and_hinders_nothing(
        self, known: Catalog, service: str
    ) -> None:
        environ = {
            f"{service}_SERVICE_HOST": "10.0.0.1",
            f"{service}_SERVICE_PORT": "11437",
            f"{service}_SERVICE_PORT_HTTP": "11437",
            f"{service}_PORT": "tcp://10.0.0.1:11437",
            f"{service}_PORT_11437_TCP": "tcp://10.0.0.1:11437",
            f"{service}_PORT_11437_TCP_PROTO": "tcp",
            f"{service}_PORT_11437_TCP_PORT": "11437",
            f"{service}_PORT_11437_TCP_ADDR": "10.0.0.1",
        }
        translate(environ, known, NOWHERE)
        assert settings.load(environ=environ, missing_ok=True) == settings.Settings()

    @pytest.mark.parametrize("name", ["WHISPER_PORT", "HAILO_WHISPER_PORT"])
    def test_a_port_that_a_person_wrote_is_refused(self, known: Catalog, name: str) -> None:
        with pytest.raises(Failure, match=f"{name} sets nothing"):
            translate({name: "8000"}, known, NOWHERE)

    @pytest.mark.parametrize("name", sorted(strangers.COMPOSE))
    def test_what_compose_reads_itself_hinders_nothing(self, known: Catalog, name: str) -> None:
        environ = {name: "1"}
        translate(environ, known, NOWHERE)
        assert settings.load(environ=environ, missing_ok=True) == settings.Settings()

    def test_what_is_not_about_us_is_left_alone(self, known: Catalog) -> None:
        environ = {
            "PATH": "/bin",
            "NVIDIA_VISIBLE_DEVICES": "all",
            "TZ": "UTC",
            "HAILORT_LOGGER_PATH": "NONE",
            "container": "podman",
        }
        before = dict(environ)
        translate(environ, known, NOWHERE)
        assert environ == before


class TestTheSecret:
    @pytest.mark.parametrize(
        ("text", "lines"),
        [
            ("abc123\n", "default:abc123\n"),
            ("kitchen:k1\noffice:k2\n", "kitchen:k1\noffice:k2\n"),
            ("  abc  ", "default:abc\n"),
            ("# Of the kitchen.\n\nabc\n", "default:abc\n"),
            ("a:k\n\n# Another.\nb:l", "a:k\n\n# Another.\nb:l\n"),
        ],
    )
    def test_it_becomes_a_key_file_of_our_own(self, known: Catalog, tmp_path: Path, text: str, lines: str) -> None:
        (tmp_path / "secret").write_text(text)
        environ: dict[str, str] = {}
        translate(environ, known, tmp_path / "secret", tmp_path)
        made = Path(environ["HAILO_WHISPER_ACCESS_KEYS"])
        assert made.read_text() == lines
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
        assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700

    @pytest.mark.parametrize(
        ("text", "said"),
        [("abc123\n", ""), ("abc:def\n", " has 1 line `name:key`:"), ("# A.\na:k1\nb:k2\n", " has 2 lines `name:key`:")],
    )
    def test_whether_it_has_names_is_told_and_neither_they_nor_keys_are(
        self, known: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
    ) -> None:
        (tmp_path / "secret").write_text(text)
        translate({}, known, tmp_path / "secret", tmp_path)
        told = capsys.readouterr().err.removeprefix(f"The secret {tmp_path}/secret")
        assert told.startswith(said)
        assert bool(told) == bool(said)
        assert not any(word in told for word in ("abc", "def", "k1", "k2"))

    def test_the_file_that_the_command_writes_is_one(self, known: Catalog, tmp_path: Path) -> None:
        written = tmp_path / "written"
        keys = {name: writing.add(written, name, plain=name == "office") for name in ("kitchen", "office")}
        environ: dict[str, str] = {}
        translate(environ, known, written, tmp_path)
        _, found = file.read(Path(environ["HAILO_WHISPER_ACCESS_KEYS"])) or (None, [])
        assert {key.name: key.digest for key in found} == {name: file.digest(key) for name, key in keys.items()}

    @pytest.mark.parametrize("text", ["one\ntwo\n", "a:k\ntwo\n"])
    def test_lines_that_are_neither(self, known: Catalog, tmp_path: Path, text: str) -> None:
        (tmp_path / "secret").write_text(text)
        with pytest.raises(Failure, match=r"is neither one key nor lines as .* Make each line `name:key`"):
            translate({}, known, tmp_path / "secret", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["secret"]

    def test_a_key_file_that_was_named_is_taken_instead(self, known: Catalog, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("abc")
        environ = {"HAILO_WHISPER_ACCESS_KEYS": "/etc/keys"}
        translate(environ, known, tmp_path / "secret", tmp_path)
        assert environ == {"HAILO_WHISPER_ACCESS_KEYS": "/etc/keys"}

    @pytest.mark.parametrize(
        ("content", "said"),
        [(b"", "is empty"), (b"\n \n", "is empty"), (b"# No key.\n", "has comments alone"), (b"\xff\xfe", "cannot be read")],
    )
    def test_one_that_is_none(self, known: Catalog, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "secret").write_bytes(content)
        with pytest.raises(Failure, match=said):
            translate({}, known, tmp_path / "secret", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["secret"]

    def test_where_nothing_can_be_written_it_says_what_to_mount(self, known: Catalog, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("abc")
        with pytest.raises(Failure, match=r"has no place where it can be kept: .*`--tmpfs /tmp`.*`emptyDir`"):
            translate({}, known, tmp_path / "secret", tmp_path / "none")
