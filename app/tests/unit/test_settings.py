import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hailo_whisper import settings
from hailo_whisper.settings import ConfigurationInvalid, ConfigurationMissing, Settings

CONFIG = Path(__file__).parents[2] / "config"


def _refusal(text: str, tmp_path: Path) -> str:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationInvalid) as caught:
        settings.load(path, environ={})
    return str(caught.value)


def _env_refusal(**environ: str) -> str:
    with pytest.raises(ConfigurationInvalid) as caught:
        settings.load(environ=environ, missing_ok=True)
    return str(caught.value)


def _xdg(folder: Path, data: Mapping[str, Any]) -> Path:
    path = folder / settings.RENDERED
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(data))
    return path


class TestBadInput:
    def test_a_misspelt_key(self, tmp_path: Path) -> None:
        said = _refusal("model:\n  keepalive: 5\n", tmp_path)
        assert said == f"{tmp_path}/bad.yaml: unknown key model.keepalive. Did you mean model.keep_alive?"

    def test_a_misspelt_section(self, tmp_path: Path) -> None:
        assert _refusal("sever:\n  port: 1\n", tmp_path).endswith("unknown key sever. Did you mean server?")

    def test_a_key_like_no_other_gets_the_list_of_all(self, tmp_path: Path) -> None:
        assert _refusal("server: {zzz: 1}", tmp_path).endswith("unknown key server.zzz. Known are: server.host, server.port.")

    @pytest.mark.parametrize(
        ("text", "name", "detail"),
        [
            ("server: {port: http}", "server.port is 'http'", "valid integer"),
            ("server: {port: '8080'}", "server.port is '8080'", "valid integer"),
            ("server: {port: true}", "server.port is True", "valid integer"),
            ("server: {port: 8080.5}", "server.port is 8080.5", "integer"),
            ("server: [1, 2]", "server is [1, 2]", "a section of settings for Server"),
            ("model: base", "model is 'base'", "a section of settings for Model"),
            ("model: {name: 3}", "model.name is 3", "valid string"),
            ("model: {name: ../../etc}", "model.name is '../../etc'", "match pattern"),
            ("model: {path: models/base}", "model.path is 'models/base'", "match pattern"),
            ("model: {compute_type: int7}", "model.compute_type is 'int7'", "'int8'"),
            ("model: {keep_alive: -2}", "model.keep_alive is -2", "greater than or equal to -1"),
            ("transcription: {beam: 0}", "transcription.beam is 0", "greater than or equal to 1"),
            ("vad: {enabled: 'yes'}", "vad.enabled is 'yes'", "valid boolean"),
            ("transcription: {language: English}", "transcription.language is 'English'", "match pattern"),
            ("limits: {upload_mib: 0}", "limits.upload_mib is 0", "greater than or equal to 1"),
            ("limits: {deadline_seconds: .inf}", "limits.deadline_seconds is inf", "finite number"),
            ("limits: {load_seconds: .nan}", "limits.load_seconds is nan", "finite number"),
            ("resource_limits: {memory_max: lots}", "resource_limits.memory_max is 'lots'", "match pattern"),
            ("resource_limits: {cpu_quota: '2'}", "resource_limits.cpu_quota is '2'", "match pattern"),
            ("server: {host: example}", "server.host is 'example'", "is not an IP address: use 127.0.0.1, 0.0.0.0"),
            ("server: {1: 2}", "server.1", "string"),
        ],
    )
    def test_a_wrong_type_or_value(self, text: str, name: str, detail: str, tmp_path: Path) -> None:
        said = _refusal(text, tmp_path)
        assert said.startswith(f"{tmp_path}/bad.yaml: {name}")
        assert detail in said
        assert said.endswith(".")
        assert "\n" not in said

    @pytest.mark.parametrize("port", [0, -1, 65536, 114370])
    def test_a_port_out_of_range(self, port: int, tmp_path: Path) -> None:
        said = _refusal(f"server: {{port: {port}}}", tmp_path)
        bound = "greater than or equal to 1" if port < 1 else "less than or equal to 65535"
        assert said == f"{tmp_path}/bad.yaml: server.port is {port}: it should be {bound}."

    def test_norwegian_without_quotes(self, tmp_path: Path) -> None:
        said = _refusal("transcription:\n  language: no\n", tmp_path)
        assert said.endswith('transcription.language is read as false by YAML: put the word in quotes, as in language: "no".')

    def test_another_layout(self, tmp_path: Path) -> None:
        said = _refusal("schema_version: 2", tmp_path)
        assert (
            "schema_version is 2, and this version of hailo-whisper reads 1: install the one it was made for, or put back" in said
        )

    def test_every_mistake_at_once(self, tmp_path: Path) -> None:
        said = _refusal("server: {port: 0, hots: '::1'}\nmodell: {}\n", tmp_path).splitlines()
        assert len(said) == 3
        assert all(line.startswith(f"{tmp_path}/bad.yaml: ") for line in said)

    def test_no_yaml(self, tmp_path: Path) -> None:
        said = _refusal("server: {port: 1", tmp_path)
        assert said.startswith(f"{tmp_path}/bad.yaml is not valid YAML: ")
        assert "line 1" in said
        assert said.endswith("Mend that line.")

    @pytest.mark.parametrize(("text", "kind"), [("- server", "list"), ("server", "str"), ("42", "int")])
    def test_no_mapping(self, text: str, kind: str, tmp_path: Path) -> None:
        assert _refusal(text, tmp_path).endswith(f"the file must hold sections such as `server:`, not a {kind}.")

    def test_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigurationInvalid, match="Check its owner, its mode and that it is UTF-8 text"):
            settings.load(tmp_path / "bad.yaml", environ={})

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationInvalid, match="cannot be read"):
            settings.load(tmp_path, environ={})

    def test_no_file_at_all(self, tmp_path: Path) -> None:
        environ = {"XDG_CONFIG_HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "etc")}
        with pytest.raises(ConfigurationMissing) as caught:
            settings.load(environ=environ)
        said = str(caught.value)
        assert f"{tmp_path}/home/hailo-whisper/hailo-whisper.json, {tmp_path}/etc/hailo-whisper/hailo-whisper.json" in said
        assert "Run `hailo-whisper config render` to make it from /etc/hailo/hailo-whisper.yaml" in said
        assert settings.load(environ=environ, missing_ok=True) == Settings()

    @pytest.mark.parametrize("missing_ok", [False, True])
    def test_a_file_that_was_asked_for_and_is_not_there(self, missing_ok: bool, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationMissing, match=f"There is no {tmp_path}/none.yaml. Write one"):
            settings.load(tmp_path / "none.yaml", environ={}, missing_ok=missing_ok)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.sampled_from(["server", "port"]), inner)
            ),
        )
    )
    def test_whatever_it_is_it_is_taken_or_refused_with_sentences(self, data: object) -> None:
        said = "here: "
        try:
            settings.parse(data, "here")
        except ConfigurationInvalid as refusal:
            said = str(refusal)
        assert said.startswith("here: ")

    @pytest.mark.parametrize("source", ["wheel", "folder", "folder:here", "mirror:host", "mirror:ftp://host/x", "https://host"])
    def test_a_source_of_models_that_is_none(self, tmp_path: Path, source: str) -> None:
        said = _refusal(f'models:\n  sources: ["hub", "{source}"]\n', tmp_path)
        assert f"models.sources is ['hub', '{source}']: {source!r} is no source: use hub, https, wheels" in said

    def test_a_name_of_an_offered_model_that_is_none(self, tmp_path: Path) -> None:
        assert "models.offered.0" in _refusal('models:\n  offered: ["../base"]\n', tmp_path)


class TestFiles:
    def test_empty_means_the_defaults(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.yaml"
        for text in ("", "# nothing but a comment\n", "server:\nmodel:\n"):
            path.write_text(text)
            assert settings.load(path, environ={}) == Settings()

    @pytest.mark.parametrize(
        ("left", "said"),
        [
            (b"", "is empty."),
            (bytes(300), "is not valid YAML: "),
            (b'{"server": {"port": 1', "is not valid YAML: "),
            (b"\xff", "cannot be read"),
        ],
        ids=["empty", "zeros", "cut-off", "noise"],
    )
    def test_what_a_power_cut_left_of_the_rendered_file_is_no_setting(self, left: bytes, said: str, tmp_path: Path) -> None:
        path = _xdg(tmp_path, {"access": {"keys": "/etc/hailo/hailo-whisper.keys"}})
        path.write_bytes(left)
        with pytest.raises(ConfigurationInvalid) as caught:
            settings.load(environ={"XDG_CONFIG_HOME": str(tmp_path)})
        refusal = str(caught.value)
        assert refusal.startswith(f"{path} {said}")
        assert "Run `hailo-whisper config render`, which makes it anew from /etc/hailo/hailo-whisper.yaml" in refusal
        assert "Mend" not in refusal

    def test_a_rendered_file_that_may_not_be_read_is_not_damaged(self, tmp_path: Path) -> None:
        path = _xdg(tmp_path, {})
        path.unlink()
        path.symlink_to("/proc/self/mem")
        with pytest.raises(ConfigurationInvalid, match="Check its owner, its mode"):
            settings.load(environ={"XDG_CONFIG_HOME": str(tmp_path)})

    def test_a_rendered_file_without_a_setting_is_whole(self, tmp_path: Path) -> None:
        _xdg(tmp_path, {})
        assert settings.load(environ={"XDG_CONFIG_HOME": str(tmp_path)}) == Settings()

    def test_what_the_file_says_is_in_force(self, tmp_path: Path) -> None:
        path = tmp_path / "some.yaml"
        path.write_text("server: {host: localhost, port: 8080}\ntranscription: {language: null}\nlimits: {deadline_seconds: 5}\n")
        loaded = settings.load(path, environ={})
        assert (loaded.server.host, loaded.server.port) == ("127.0.0.1", 8080)
        assert loaded.transcription.language is None
        assert loaded.limits.deadline_seconds == 5.0
        assert loaded.model == Settings().model

    def test_dump_and_load_are_inverse(self, tmp_path: Path) -> None:
        changed = settings.parse({"model": {"name": "tiny.en", "keep_alive": 60}, "resource_limits": {"memory_max": "2G"}}, "")
        path = tmp_path / "dumped.json"
        path.write_text(settings.dump(changed))
        assert settings.load(path, environ={}) == changed

    def test_nothing_can_be_set_afterwards(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            setattr(Settings().server, "port", 1)  # noqa: B010


class TestXdg:
    def test_the_home_comes_before_the_system(self, tmp_path: Path) -> None:
        environ = {"XDG_CONFIG_HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": f"{tmp_path}/first:{tmp_path}/second"}
        for number, folder in enumerate(("second", "first", "home"), 1):
            _xdg(tmp_path / folder, {"server": {"port": number}})
            assert settings.load(environ=environ).server.port == number

    def test_a_named_file_comes_before_all(self, tmp_path: Path) -> None:
        _xdg(tmp_path, {"server": {"port": 1}})
        named = tmp_path / "named.yaml"
        named.write_text("server: {port: 2}")
        assert settings.load(named, environ={"XDG_CONFIG_HOME": str(tmp_path)}).server.port == 2

    def test_the_defaults_of_the_specification(self) -> None:
        assert settings.candidates({"HOME": "/home/ada"}) == [
            Path("/home/ada/.config/hailo-whisper/hailo-whisper.json"),
            Path("/etc/xdg/hailo-whisper/hailo-whisper.json"),
        ]
        empty = {"HOME": "/home/ada", "XDG_CONFIG_HOME": "", "XDG_CONFIG_DIRS": ""}
        assert settings.candidates(empty) == settings.candidates({"HOME": "/home/ada"})

    def test_relative_paths_are_ignored(self) -> None:
        environ = {"XDG_CONFIG_HOME": "here", "XDG_CONFIG_DIRS": "there:/etc/own:"}
        assert settings.candidates(environ) == [Path("/etc/own/hailo-whisper/hailo-whisper.json")]

    def test_a_mistake_is_told_of_by_the_name_of_its_file(self, tmp_path: Path) -> None:
        path = _xdg(tmp_path, {"server": {"prot": 1}})
        # The environment is fine, and must not be blamed.
        environ = {"XDG_CONFIG_HOME": str(tmp_path), "HAILO_WHISPER_SERVER_PORT": "8080"}
        with pytest.raises(ConfigurationInvalid, match=f"^{path}: unknown key server.prot"):
            settings.load(environ=environ)


class TestEnvironment:
    def test_it_comes_before_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "some.yaml"
        path.write_text("server: {host: 0.0.0.0, port: 1}")
        loaded = settings.load(path, environ={"HAILO_WHISPER_SERVER_PORT": "8080"})
        assert (loaded.server.host, loaded.server.port) == ("0.0.0.0", 8080)

    @pytest.mark.parametrize("section", ["server", "model", "transcription", "limits", "storage", "resource_limits"])
    def test_every_setting_has_a_variable(self, section: str) -> None:
        for key, value in getattr(Settings(), section):
            name = f"HAILO_WHISPER_{section}_{key}".upper()
            with pytest.raises(ConfigurationInvalid, match=f"environment: {section}.{key} is "):
                settings.load(environ={name: "{wrong: 1}"}, missing_ok=True)
            assert settings.load(environ={name: json.dumps(value)}, missing_ok=True) == Settings()

    @pytest.mark.parametrize(
        ("name", "text", "section", "key", "value"),
        [
            ("HAILO_WHISPER_MODEL_NAME", "tiny.en", "model", "name", "tiny.en"),
            ("HAILO_WHISPER_MODEL_KEEP_ALIVE", "-1", "model", "keep_alive", -1),
            ("HAILO_WHISPER_VAD_ENABLED", "false", "vad", "enabled", False),
            ("HAILO_WHISPER_TRANSCRIPTION_LANGUAGE", "null", "transcription", "language", None),
            ("HAILO_WHISPER_TRANSCRIPTION_LANGUAGE", "", "transcription", "language", None),
            ("HAILO_WHISPER_TRANSCRIPTION_LANGUAGE", '"no"', "transcription", "language", "no"),
            ("HAILO_WHISPER_LIMITS_DEADLINE_SECONDS", "2.5", "limits", "deadline_seconds", 2.5),
            ("HAILO_WHISPER_RESOURCE_LIMITS_CPU_QUOTA", "150%", "resource_limits", "cpu_quota", "150%"),
            ("HAILO_WHISPER_SERVER_HOST", "::1", "server", "host", "::1"),
            ("WHISPER_MODEL_PATH", "/srv/model", "model", "path", "/srv/model"),
            ("WHISPER_MODEL_PATH", "", "model", "path", None),
        ],
    )
    def test_values_are_read_as_yaml(self, name: str, text: str, section: str, key: str, value: object) -> None:
        loaded = settings.load(environ={name: text}, missing_ok=True)
        assert getattr(getattr(loaded, section), key) == value

    def test_a_misspelt_variable(self) -> None:
        said = _env_refusal(HAILO_WHISPER_SERVER_PROT="1")
        assert said == "environment: HAILO_WHISPER_SERVER_PROT sets nothing. Did you mean HAILO_WHISPER_SERVER_PORT?"

    def test_a_wrong_value(self) -> None:
        said = _env_refusal(HAILO_WHISPER_SERVER_PORT="http")
        assert said.startswith("environment: server.port is 'http': it should be a valid integer")

    def test_a_value_that_is_no_yaml(self) -> None:
        said = _env_refusal(HAILO_WHISPER_MODEL_NAME="[base")
        assert said == "environment: HAILO_WHISPER_MODEL_NAME cannot be read as a value: '[base'. Put it in quotes."

    @pytest.mark.parametrize(
        ("name", "text", "listed"),
        [
            ("MODELS_OFFERED", "small,medium", '["small", "medium"]'),
            ("MODELS_OFFERED", "small", '["small"]'),
            ("MODELS_OFFERED", "[small, medium", '["small", "medium"]'),
            ("ACCESS_CORS_ORIGINS", "*", '["*"]'),
            (
                "ACCESS_CORS_ORIGINS",
                "https://a.example, https://b.example:8443",
                '["https://a.example", "https://b.example:8443"]',
            ),
        ],
    )
    def test_a_list_that_is_written_as_words(self, name: str, text: str, listed: str) -> None:
        name = f"HAILO_WHISPER_{name}"
        said = _env_refusal(**{name: text})
        assert said.lower().endswith(f"write it as a list, {listed}.")
        assert repr(text) in said
        settings.load(environ={name: listed}, missing_ok=True)

    def test_other_variables_are_nobodys_business(self) -> None:
        environ = {"WHISPER_MODEL": "x", "HAILO": "y", "PATH": "/bin", "PORT": "1"}
        assert settings.load(environ=environ, missing_ok=True) == Settings()


class TestPublished:
    def test_the_schema_is_that_of_the_settings(self) -> None:
        published = json.loads((CONFIG / "hailo-whisper.schema.json").read_text())
        assert published == settings.schema(), "run `hailo-whisper config schema > config/hailo-whisper.schema.json`"

    def test_the_schema_is_one_and_describes_every_setting(self) -> None:
        schema = settings.schema()
        jsonschema.Draft202012Validator.check_schema(schema)
        for section in schema["$defs"].values():
            for name, key in section["properties"].items():
                assert key.get("description"), name
                assert "default" in key, name

    def test_the_schema_refuses_what_we_refuse(self) -> None:
        validator = jsonschema.Draft202012Validator(settings.schema())
        assert validator.is_valid(json.loads(settings.dump(Settings())))
        refused: list[object] = [{"server": {"prot": 1}}, {"server": {"port": 0}}, {"modell": {}}, {"model": {"name": 1}}]
        for bad in refused:
            assert not validator.is_valid(bad), bad

    def test_the_commented_yaml_shows_every_key_with_its_default(self) -> None:
        path = CONFIG / "hailo-whisper.yaml"
        assert yaml.safe_load(path.read_text()) == Settings().model_dump()
        comments = " ".join(" ".join(line.split("#", 1)[1] for line in path.read_text().splitlines() if "#" in line).split())
        for section in settings.schema()["$defs"].values():
            for name, key in section["properties"].items():
                assert " ".join(key["description"].split()) in comments, name
