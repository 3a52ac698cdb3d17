"""What people give to a container, made into settings."""

import stat
from pathlib import Path

import pytest

from hailo_whisper import settings
from hailo_whisper.cli.container import translate
from hailo_whisper.failure import Failure
from hailo_whisper.keys import file, writing
from hailo_whisper.models import catalog
from hailo_whisper.models.catalog import Catalog
from hailo_whisper.settings import strangers

NOWHERE = Path("/nowhere")


@pytest.fixture(scope="module")
def known() -> Catalog:
    return catalog.load()


def cached(cache: Path, known: Catalog, name: str, *, whole: bool = True) -> Path:
    """A model as the hub's cache has it; the files have the sizes and nothing else."""
    model = known.get(name)
    hub = model.sources.hub
    assert hub
    folder = cache / f"models--{hub.repository.replace('/', '--')}" / "snapshots" / hub.revision
    folder.mkdir(parents=True)
    for part, about in model.files.items():
        with (folder / part).open("wb") as made:
            made.truncate((about.size or 1) if whole else 1)
    return folder


class TestTheModel:
    @pytest.mark.parametrize("wanted", ["large-v3", "Systran/faster-whisper-large-v3"])
    def test_by_its_name_or_its_repository(self, known: Catalog, wanted: str) -> None:
        environ = {"WHISPER_MODEL": wanted}
        translate(environ, known, NOWHERE)
        assert environ == {"HAILO_WHISPER_MODEL_NAME": "large-v3"}

    def test_by_its_folder(self, known: Catalog) -> None:
        environ = {"WHISPER_MODEL": "/data/models/whisper/large-v3"}
        translate(environ, known, NOWHERE)
        assert settings.load(environ=environ, missing_ok=True).model.path == "/data/models/whisper/large-v3"

    def test_one_that_nobody_knows(self, known: Catalog) -> None:
        with pytest.raises(Failure, match=r"WHISPER_MODEL is larg-v3\..*large-v3"):
            translate({"WHISPER_MODEL": "larg-v3"}, known, NOWHERE)

    @pytest.mark.parametrize("other", ["WHISPER_MODEL_PATH", "HAILO_WHISPER_MODEL_NAME"])
    def test_said_twice(self, known: Catalog, other: str) -> None:
        with pytest.raises(Failure, match=f"both WHISPER_MODEL and {other} say which model"):
            translate({"WHISPER_MODEL": "base", other: "/data/x"}, known, NOWHERE)
        translate({"WHISPER_MODEL": "base", other: ""}, known, NOWHERE)

    @pytest.mark.parametrize("place", ["", "hub", "huggingface/hub"])
    def test_in_the_cache_of_the_hub(self, known: Catalog, tmp_path: Path, place: str) -> None:
        folder = cached(tmp_path / place, known, "base")
        environ = {
            "WHISPER_MODEL": "base",
            "MODEL_CACHE_DIR": str(tmp_path),
            "HAILO_WHISPER_STORAGE_MODELS": str(tmp_path / "none"),
        }
        translate(environ, known, NOWHERE)
        assert environ["WHISPER_MODEL_PATH"] == str(folder)
        assert "MODEL_CACHE_DIR" not in environ

    def test_one_that_is_cut_short_is_not_taken(self, known: Catalog, tmp_path: Path) -> None:
        cached(tmp_path, known, "base", whole=False)
        environ = {"WHISPER_MODEL": "base", "MODEL_CACHE_DIR": str(tmp_path)}
        translate(environ, known, NOWHERE)
        assert "WHISPER_MODEL_PATH" not in environ, "and readiness says what is missing"

    def test_as_a_plain_folder_of_the_cache(self, known: Catalog, tmp_path: Path) -> None:
        (tmp_path / "base").mkdir()
        (tmp_path / "base" / "model.bin").touch()
        environ = {"MODEL_CACHE_DIR": str(tmp_path)}
        translate(environ, known, NOWHERE)
        assert environ["WHISPER_MODEL_PATH"] == str(tmp_path / "base"), "base is the default"

    def test_the_folder_of_the_models_goes_first(self, known: Catalog, tmp_path: Path) -> None:
        cached(tmp_path / "cache", known, "base")
        (tmp_path / "models" / "base").mkdir(parents=True)
        (tmp_path / "models" / "base" / "model.bin").touch()
        environ = {"MODEL_CACHE_DIR": str(tmp_path / "cache"), "HAILO_WHISPER_STORAGE_MODELS": str(tmp_path / "models")}
        translate(environ, known, NOWHERE)
        assert "WHISPER_MODEL_PATH" not in environ

    def test_where_that_folder_may_not_be_read_readiness_says_so(self, known: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> bool:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "exists", refuse)
        environ = {"MODEL_CACHE_DIR": "/data/cache", "HAILO_WHISPER_ACCESS_KEYS": "/etc/keys"}
        translate(environ, known, NOWHERE)
        assert "WHISPER_MODEL_PATH" not in environ

    def test_what_was_said_is_not_looked_for(self, known: Catalog, tmp_path: Path) -> None:
        cached(tmp_path, known, "base")
        environ = {"WHISPER_MODEL_PATH": "/data/mine", "MODEL_CACHE_DIR": str(tmp_path)}
        translate(environ, known, NOWHERE)
        assert environ["WHISPER_MODEL_PATH"] == "/data/mine"

    def test_a_cache_that_may_not_be_read(self, known: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> bool:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "is_file", refuse)
        with pytest.raises(Failure, match=r"The cache /data/cache cannot be read: Permission denied.*`user:` in compose"):
            translate({"MODEL_CACHE_DIR": "/data/cache"}, known, NOWHERE)


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
