"""What the role `gateway` refuses, what its filter makes of an inventory, its authority, and what HAProxy says of its configuration."""

import datetime
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from ansible_run import ansible_playbook
from gateways import gateway, haproxy, render
from playing_appliance import appliance
from polling import until

Playbook = Callable[..., "subprocess.CompletedProcess[str]"]

AUTHORITY = "roles/gateway/files/authority.py"
KEYS: dict[str, Any] = {"hailo_whisper_keys": {"a": "sk-one"}}
REACHED: dict[str, Any] = {"hailo_whisper_config": {"server": {"host": "0.0.0.0"}}}
TOWER: dict[str, Any] = {"hailo_whisper_gateway": {"hosts": {"tower": {}}}}


@pytest.fixture
def filtered(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    monkeypatch.syspath_prepend(str(project / "plugins/filter"))
    from gateway import nodes

    def run(hosts: dict[str, Any], names: list[str] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = nodes(names or list(hosts), hosts)
        return found

    return run


def test_the_nodes_of_an_inventory(filtered: Callable[..., dict[str, Any]]) -> None:
    hosts: dict[str, dict[str, Any]] = {
        "kitchen": {"ansible_host": "192.0.2.10", **REACHED},
        "office": {
            "ansible_host": "2001:db8::1",
            "hailo_whisper_config": {
                "server": {"host": "::", "port": 8080},
                "limits": {"deadline_factor": 1, "stall_seconds": 30},
            },
            "hailo_whisper_gateway_weight": 200,
        },
        "far away": {
            "hailo_whisper_gateway_address": "vpn.example:443",
            "hailo_whisper_config": {"server": None, "limits": {"duration_seconds": 28800}},
        },
    }
    found = filtered({name: each | KEYS for name, each in hosts.items()})
    assert found["mistakes"] == []
    assert [(each["server"], each["address"], each["weight"]) for each in found["nodes"]] == [
        ("kitchen", "192.0.2.10:11437", 100),
        ("office", "[2001:db8::1]:8080", 200),
        ("far-away", "vpn.example:443", 100),
    ]
    # A minute more than 60 s and four times eight hours.
    assert (found["answer"], found["silence"]) == (60 + 4 * 28800 + 60, 30 + 60)


def test_its_figures_are_those_of_the_service(project: Path, filtered: Callable[..., dict[str, Any]]) -> None:
    limits = yaml.safe_load((project / "app/config/hailo-whisper.yaml").read_text())["limits"]
    found = filtered({"kitchen": REACHED})
    assert found["answer"] == limits["deadline_seconds"] + limits["deadline_factor"] * limits["duration_seconds"] + 60
    assert found["silence"] == limits["stall_seconds"] + 60


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "alone": ({"kitchen": KEYS}, "The service of kitchen is there for the machine itself alone. Set server.host"),
    "same-address": (
        {"kitchen": {"ansible_host": "192.0.2.1", **REACHED, **KEYS}, "office": {"ansible_host": "192.0.2.1", **REACHED, **KEYS}},
        "kitchen and office have the address 192.0.2.1:11437 both.",
    ),
    "own-keys": ({"kitchen": REACHED, "office": REACHED}, "kitchen, office do not have the same API keys"),
    "other-keys": (
        {"kitchen": REACHED | KEYS, "office": REACHED | {"hailo_whisper_keys": {"a": "sk-two"}}},
        "kitchen, office do not have the same API keys",
    ),
    "some-keys": (
        {"kitchen": REACHED, "office": {"hailo_whisper_config": {"server": {"host": "::"}, "access": {"keys": None}}}},
        "kitchen ask for an API key, and office do not",
    ),
    "weight": ({"kitchen": REACHED | {"hailo_whisper_gateway_weight": "heavy"}}, "Set a number from 1 to 256."),
    "address": ({"kitchen": {"hailo_whisper_gateway_address": "192.0.2.1"}}, "Write it as host:port."),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake(filtered: Callable[..., dict[str, Any]], case: str) -> None:
    hosts, sentence = MISTAKES[case]
    (found,) = filtered(hosts)["mistakes"]
    assert sentence in found
    assert "sk-" not in found


def test_a_node_that_is_not_there(filtered: Callable[..., dict[str, Any]]) -> None:
    found = filtered({"kitchen": REACHED}, ["kitchen", "kichen"])
    assert found["mistakes"] == ["hailo_whisper_gateway_nodes names kichen, and the inventory has no host of that name."]


def test_machines_that_ask_for_no_key_are_none_the_worse(filtered: Callable[..., dict[str, Any]]) -> None:
    config = {"hailo_whisper_config": {"server": {"host": "::"}, "access": {"insecure": True}}}
    assert filtered({"kitchen": config, "office": config})["mistakes"] == []


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    def run(inventory: dict[str, Any], name: str = "gateway.yml", *arguments: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "hosts.yml").write_text(json.dumps(inventory | {"all": {"vars": {"ansible_connection": "local"}}}))
        return ansible_playbook("--inventory", tmp_path / "hosts.yml", f"playbooks/{name}", *arguments)

    return run


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": (
        TOWER,
        "There is no appliance behind the gateway tower. Put the machines into the group hailo_whisper of the inventory",
    ),
    "alone": (
        TOWER | {"hailo_whisper": {"hosts": {"kitchen": {}}}},
        "The service of kitchen is there for the machine itself alone.",
    ),
    "half-a-certificate": (
        {
            "hailo_whisper_gateway": {"hosts": {"tower": {"hailo_whisper_gateway_tls": "given"}}},
            "hailo_whisper": {"hosts": {"kitchen": REACHED}},
        },
        "hailo_whisper_gateway_tls is given, and there is no certificate.",
    ),
    "clients-without-tls": (
        {
            "hailo_whisper_gateway": {
                "hosts": {"tower": {"hailo_whisper_gateway_tls": "none", "hailo_whisper_gateway_clients_ca": "/a"}}
            },
            "hailo_whisper": {"hosts": {"kitchen": REACHED}},
        },
        "asks the clients for certificates, which needs TLS",
    ),
    "tls": (
        {
            "hailo_whisper_gateway": {"hosts": {"tower": {"hailo_whisper_gateway_tls": False}}},
            "hailo_whisper": {"hosts": {"kitchen": REACHED}},
        },
        "value of gateway_tls must be one of: own, given, none, got: False",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal(playbook: Playbook, case: str) -> None:
    inventory, sentence = REFUSALS[case]
    done = playbook(inventory)
    assert done.returncode != 0, done.stdout
    assert sentence in " ".join((done.stdout + done.stderr).split())
    assert "changed=0" in done.stdout


def test_an_inventory_without_a_gateway_is_told_nothing_of_it(playbook: Playbook) -> None:
    done = playbook({"hailo_whisper": {"hosts": {"kitchen": {}}}})
    assert done.returncode == 0, done.stdout
    assert "hailo_whisper_gateway" not in done.stdout + done.stderr


def authority(project: Path, *arguments: str, **given: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(project / AUTHORITY), *arguments]
    return subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)


def openssl(*arguments: str, given: str = "") -> str:
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def key() -> str:
    return openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def public(key: str) -> str:
    return openssl("pkey", "-pubout", given=key)


class TestAuthority:
    def test_a_certificate_stays_as_long_as_it_will_do(self, project: Path, tmp_path: Path, key: str) -> None:
        folder = tmp_path / "authority"

        def sign(present: str, *names: str) -> "subprocess.CompletedProcess[str]":
            return authority(project, "sign", str(folder), *names, key=public(key), certificate=present)

        first = sign("", "speech.example", "192.0.2.20")
        assert first.returncode == 0, first.stderr
        shown = openssl("x509", "-noout", "-ext", "subjectAltName,extendedKeyUsage", given=first.stdout)
        assert "DNS:speech.example, IP Address:192.0.2.20" in shown
        assert "TLS Web Server Authentication" in shown
        (tmp_path / "crt").write_text(first.stdout)
        assert openssl("verify", "-CAfile", str(folder / "ca.crt"), str(tmp_path / "crt")).endswith("OK\n")
        assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600
        assert sign(first.stdout, "speech.example", "192.0.2.20").stdout == first.stdout
        assert sign(first.stdout, "speech.example").stdout != first.stdout
        other = authority(
            project, "sign", str(tmp_path / "other"), "speech.example", "192.0.2.20", key=public(key), certificate=first.stdout
        )
        assert other.stdout != first.stdout, "it is another authority's"

    def test_one_that_ends_soon_is_replaced(self, project: Path, tmp_path: Path, key: str) -> None:
        program = (project / AUTHORITY).read_text()
        short = tmp_path / "short.py"
        short.write_text(program.replace("DAYS = 825", "DAYS = 60"))
        folder = str(tmp_path / "authority")
        given = json.dumps({"key": public(key), "certificate": ""})
        first = subprocess.run(
            [sys.executable, str(short), "sign", folder, "a"], input=given, capture_output=True, text=True, check=True
        ).stdout
        second = authority(project, "sign", folder, "a", key=public(key), certificate=first).stdout
        ends = openssl("x509", "-noout", "-enddate", given=second).strip().partition("=")[2]
        end = datetime.datetime.strptime(ends, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=datetime.UTC)
        assert (end - datetime.datetime.now(datetime.UTC)).days > 800

    def test_half_of_it_is_refused_and_not_made_anew(self, project: Path, tmp_path: Path, key: str) -> None:
        folder = tmp_path / "authority"
        authority(project, "sign", str(folder), "a", key=public(key), certificate="")
        (folder / "ca.crt").unlink()
        done = authority(project, "sign", str(folder), "a", key=public(key), certificate="")
        assert (done.returncode, "Put ca.key and ca.crt back, both of them" in done.stderr) == (1, True)
        (folder / "ca.crt").write_text((folder / "ca.key").read_text())
        assert authority(project, "sign", str(folder), "a", key=public(key), certificate="").returncode == 1

    def test_a_client_is_made_once(self, project: Path, tmp_path: Path) -> None:
        folder = tmp_path / "authority"
        done = authority(project, "client", str(folder), "kitchen")
        assert done.stdout.strip() == str(folder / "clients/kitchen.crt")
        assert (folder / "clients/kitchen.key").stat().st_mode & 0o777 == 0o600
        again = authority(project, "client", str(folder), "kitchen")
        assert (again.returncode, "Choose another name." in again.stderr) == (1, True)

    @pytest.mark.parametrize(
        ("certificate", "private", "sentence"),
        [
            ("nothing", "{key}", "has no certificate in PEM"),
            ("{certificate}", "nothing", "has no private key in PEM"),
            ("{certificate}", "{other}", "is not the key of the first certificate"),
            ("{certificate}{key}", "{key}", "hailo_whisper_gateway_certificate has a private key in it"),
        ],
    )
    def test_given_files_that_do_not_fit(
        self, project: Path, tmp_path: Path, key: str, certificate: str, private: str, sentence: str
    ) -> None:
        signed = authority(project, "sign", str(tmp_path / "authority"), "a", key=public(key), certificate="").stdout
        other = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        known = {"certificate": signed, "key": key, "other": other}
        done = authority(project, "match", certificate=certificate.format(**known), key=private.format(**known))
        assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
        assert authority(project, "match", certificate=signed, key=key).returncode == 0


def test_haproxy_has_nothing_to_say_of_the_configuration(tmp_path: Path) -> None:
    """Also no warning: a later version would refuse what is warned of now."""
    config = render(tmp_path, {"kitchen": REACHED | {"ansible_host": "192.0.2.1"}}, gateway_tls="none", gateway_port=8080)
    # This machine has no such user.
    config.write_text(
        "\n".join(line for line in config.read_text().splitlines() if line.split()[:1] not in (["user"], ["group"]))
    )
    text = config.read_text().replace("user root group root ", "")
    config.write_text(text + "\n")
    # The role makes it.
    (tmp_path / "state").write_text("1\n")
    done = subprocess.run([haproxy(), "-c", "-f", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[WARNING]" not in done.stderr
    assert "[ALERT]" not in done.stderr


def test_tls_by_the_own_authority_and_certificates_of_clients(project: Path, tmp_path: Path, key: str) -> None:
    folder = tmp_path / "authority"
    signed = authority(project, "sign", str(folder), "localhost", "127.0.0.1", key=public(key), certificate="").stdout
    authority(project, "client", str(folder), "kitchen")
    etc = tmp_path / "gateway/etc"
    with appliance() as played:
        etc.mkdir(parents=True)
        (etc / "gateway.pem").write_text(signed)
        (etc / "gateway.pem.key").write_text(key)
        (etc / "clients.pem").write_text((folder / "ca.crt").read_text())
        variables = {"gateway_tls": "own", "gateway_clients_ca": str(folder / "ca.crt")}
        with gateway(tmp_path / "gateway", {"kitchen": played.host}, {"inter 2s": "inter 200ms"}, **variables) as front:
            context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
            url = f"https://127.0.0.1:{front.port}"
            until(lambda: front.ready() == {"kitchen"})
            with (
                httpx.Client(verify=context, trust_env=False) as stranger,
                pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)),
            ):
                stranger.get(f"{url}/health")
            known = ssl.create_default_context(cafile=str(folder / "ca.crt"))
            known.load_cert_chain(folder / "clients/kitchen.crt", folder / "clients/kitchen.key")
            with httpx.Client(verify=known, trust_env=False) as client:
                assert client.post(f"{url}/echo", content=b"abc").json() == {"length": 3}
            assert played.seen[-1][1]["x-forwarded-proto"] == "https"
            until(lambda: [line for line in front.log() if line["path"] == "/echo"])
            assert front.log()[-1]["certificate"] == "kitchen"
            # As somebody with many recordings meets it.
            (tmp_path / "clip.wav").write_bytes(b"sound" * 1000)
            given = {"SSL_CERT_FILE": str(folder / "ca.crt")}
            shown = ["--cert", str(folder / "clients/kitchen.crt"), "--cert-key", str(folder / "clients/kitchen.key")]
            for environment, more, sentence in (
                (
                    {},
                    shown,
                    "Name the certificate of the authority that vouches for it by the environment: SSL_CERT_FILE=ca.crt.",
                ),
                (given, [], "wants a certificate of its clients"),
                # The played appliance has had it, and it transcribes nothing.
                (given, shown, "answers with what is no verbose_json"),
            ):
                command = [
                    sys.executable,
                    "-m",
                    "hailo_whisper",
                    "transcribe",
                    str(tmp_path / "clip.wav"),
                    "--server",
                    url,
                    *more,
                ]
                clean = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"} | {"NO_PROXY": "127.0.0.1"}
                done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=False)
                assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
            assert played.seen[-1][0] == "/v1/audio/transcriptions"
