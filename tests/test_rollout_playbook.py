"""playbooks/rollout.yml and rollback.yml against a played fleet: what is touched, what is put back, and what the ledger and the summary say."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from played_fleet import Fleet, summary

NEW = {"hailo_whisper_version": "0.2.0"}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, "kitchen", "office", "attic")


def versions(fleet: Fleet) -> list[str]:
    return [fleet.version(name) for name in fleet.names]


def test_a_good_version_goes_round(fleet: Fleet) -> None:
    fleet.drain("attic")
    status, said = fleet.run("rollout", "--check", "--diff", **NEW)
    assert status == 0, said
    assert {row[2] for name, row in summary(said).items() if name} == {"would be done"}
    assert versions(fleet) == ["0.1.0"] * 3
    assert fleet.ledger("kitchen") == {}
    status, said = fleet.run("rollout", **NEW, hailo_whisper_rollout_why="ticket 7")
    assert status == 0, said
    found = summary(said)
    assert found["kitchen"] == ["0.1.0+deb12u1", "0.2.0", "done"]
    assert found[""] == ["3 of 3 as they should be."]
    assert versions(fleet) == ["0.2.0"] * 3
    ledger = fleet.ledger("office")
    assert (ledger["from"], ledger["to"], ledger["outcome"], ledger["why"]) == ("0.1.0+deb12u1", "0.2.0", "done", "ticket 7")
    assert "@" in ledger["by"]
    assert ledger["drained"] == []
    # Each was given nothing while it was changed; who was drained by hand stays so.
    log = fleet.gateway_log()
    assert log[0] == "drain kitchen"
    assert log.index("ready kitchen") < log.index("drain office") < log.index("ready office")
    assert "ready attic" not in log
    assert fleet.states() == {"kitchen": "ready", "office": "ready", "attic": "drain"}


def test_other_settings_of_the_same_version_go_from_machine_to_machine_too(fleet: Fleet) -> None:
    """playbooks/site.yml restarts all at once: behind a gateway nobody would be ready while they load."""
    fleet.inventory["hailo_whisper"]["hosts"].pop("attic")
    assert fleet.run("rollout", **NEW)[0] == 0
    before = len(fleet.gateway_log())
    status, said = fleet.run("rollout", **NEW, hailo_whisper_config={"log": {"transcripts": True}})
    assert status == 0, said
    assert {name: summary(said)[name] for name in ("kitchen", "office")} == {
        "kitchen": ["0.2.0+deb12u1", "0.2.0", "done"],
        "office": ["0.2.0+deb12u1", "0.2.0", "done"],
    }
    log = fleet.gateway_log()[before:]
    assert log.index("drain kitchen") < log.index("ready kitchen") < log.index("drain office") < log.index("ready office")


def test_one_goes_back_and_the_others_stay(fleet: Fleet) -> None:
    fleet.inventory["hailo_whisper"]["hosts"].pop("attic")
    assert fleet.run("rollout", **NEW)[0] == 0
    (fleet.folder / "kitchen/etc/hailo/models.d").mkdir()
    (fleet.folder / "kitchen/etc/hailo/models.d/since.yaml").write_text("models: {}\n")
    status, said = fleet.run("rollback", "--check", "--diff", hailo_whisper_rollback_anyway="true")
    assert status == 0, said
    told = " ".join(said.split())
    changes = "hailo-whisper 0.1.0+deb12u1, /etc/hailo/hailo-whisper.yaml"
    assert f"kitchen: would go back to 0.1.0+deb12u1, which changes {changes}, /etc/hailo/models.d/since.yaml." in told
    assert f"office: would go back to 0.1.0+deb12u1, which changes {changes}." in told
    assert summary(said)["office"] == ["0.2.0+deb12u1", "0.1.0+deb12u1", "would be rolled back"]
    # Which lines, in full.
    assert said.count("+++ /etc/hailo/hailo-whisper.yaml (of 0.1.0+deb12u1)") == 2
    shown = [line.strip() for line in said.splitlines()]
    assert (shown.count("-of: 0.2.0"), shown.count("+of: 0.1.0"), shown.count("-models: {}")) == (2, 2, 1)
    (fleet.folder / "kitchen/etc/hailo/models.d/since.yaml").unlink()
    assert fleet.version("kitchen") == "0.2.0"
    # What hangs over its requests goes too.
    (fleet.folder / "states.hangs").touch()
    status, said = fleet.run("rollback", "--limit", "kitchen")
    assert status == 0, said
    assert (
        "kitchen goes back all the same. The gateway tower says: hailo-whisper-gateway: it is drained, and still has 2"
        in " ".join(said.split())
    )
    assert summary(said)["kitchen"] == ["0.2.0+deb12u1", "0.1.0+deb12u1", "rolled back"]
    assert (fleet.version("kitchen"), fleet.config("kitchen")) == ("0.1.0", "of: 0.1.0\n")
    assert (fleet.version("office"), fleet.config("office")) == ("0.2.0", "of: 0.2.0\n")
    assert fleet.ledger("kitchen")["outcome"] == "rolled back"
    assert fleet.states()["kitchen"] == "ready"
    # A second time there is nothing to do.
    status, said = fleet.run("rollback", "--limit", "kitchen")
    assert status == 0, said
    assert summary(said)["kitchen"][2] == "was rolled back"


def test_one_that_cannot_go_back_is_left_in_service(fleet: Fleet) -> None:
    for name in ("office", "attic"):
        fleet.inventory["hailo_whisper"]["hosts"].pop(name)
    assert fleet.run("rollout", **NEW)[0] == 0
    log, ledger = fleet.gateway_log(), fleet.ledger("kitchen")
    # The ledger cannot be written.
    in_the_way = fleet.folder / "kitchen/var/lib/hailo-whisper/.rollout.json.part"
    in_the_way.mkdir()
    status, said = fleet.run("rollback")
    assert status == 2, said
    assert summary(said)["kitchen"][2] == "not begun"
    assert summary(said)[""][-1] == "0 of 1 as they should be. STOPPED: see above."
    in_the_way.rmdir()
    for package in (fleet.folder / "kitchen/var/lib/hailo-whisper/rollback").glob("*.deb"):
        package.unlink()
    status, said = fleet.run("rollback")
    assert status == 2, said
    assert summary(said)["kitchen"][2] == "untouched"
    assert (
        "kitchen cannot go back, and was left as it is: hailo-whisper of the version before is not in /var/lib/hailo-whisper/rollback any more."
        in " ".join(said.split())
    )
    assert (fleet.gateway_log(), fleet.ledger("kitchen"), fleet.version("kitchen")) == (log, ledger, "0.2.0")


def test_who_was_not_rolled_out_to_a_version_does_not_go_back_beyond_it(fleet: Fleet) -> None:
    fleet.inventory["hailo_whisper"]["hosts"].pop("attic")
    assert fleet.run("rollout", **NEW)[0] == 0
    assert fleet.run("rollout", "--limit", "kitchen,tower", hailo_whisper_version="0.3.0")[0] == 0
    status, said = fleet.run("rollback")
    assert status == 2, said
    assert "The last roll-out of these hosts was not the same one: office to 0.2.0; kitchen to 0.3.0." in " ".join(said.split())
    assert (fleet.version("kitchen"), fleet.version("office")) == ("0.3.0", "0.2.0")
    # Settings that came since are not undone unasked.
    (fleet.folder / "kitchen/etc/hailo/hailo-whisper.yaml").write_text("of: 0.3.0 with keys\n")
    status, said = fleet.run("rollback", hailo_whisper_rollback_from="3.0")
    assert status == 2, said
    assert "None of these hosts has a snapshot of a roll-out to 3.0, so there is nothing to go back to." in " ".join(said.split())
    status, said = fleet.run("rollback", hailo_whisper_rollback_from="0.3.0")
    assert status == 2, said
    assert "On kitchen was changed after its last roll-out: /etc/hailo/hailo-whisper.yaml." in " ".join(said.split())
    status, said = fleet.run("rollback", hailo_whisper_rollback_from="0.3.0", hailo_whisper_rollback_anyway="true")
    assert status == 0, said
    assert (summary(said)["kitchen"][2], summary(said)["office"][2]) == ("rolled back", "another version")
    assert versions(fleet)[:2] == ["0.2.0", "0.2.0"]
    assert fleet.config("kitchen") == "of: 0.2.0\n"


def test_a_bad_version_is_taken_back_from_the_canary_and_nobody_else_is_touched(fleet: Fleet) -> None:
    for name in fleet.names:
        fleet.mark(name, "spoilt", "0.2.0+deb12u1\n")
    status, said = fleet.run("rollout", **NEW)
    assert status == 2, said
    found = summary(said)
    assert found["kitchen"][2] == "rolled back"
    assert found["office"][2] == found["attic"][2] == "untouched"
    assert any(line.startswith("kitchen: Be ready: hailo-whisper 0.2.0+deb12u1 is not ready after 180 s.") for line in found[""])
    assert found[""][-1] == "0 of 3 as they should be. STOPPED: see above."
    assert versions(fleet) == ["0.1.0"] * 3
    assert fleet.config("kitchen") == "of: 0.1.0\n"
    assert fleet.ledger("kitchen")["outcome"] == "rolled back"
    assert "is not ready" in fleet.ledger("kitchen")["reason"]
    assert fleet.ledger("office") == {}
    assert fleet.states() == dict.fromkeys(fleet.names, "ready")


def test_models_of_the_version_before_are_there_until_the_new_one_is_proven(fleet: Fleet) -> None:
    wanted = {"hailo_whisper_model": "small", "hailo_whisper_model_prune": True}
    for name in fleet.names:
        (fleet.folder / name / "etc/xdg/hailo-whisper").mkdir(parents=True)
        rendered = {"model": {"name": "base"}, "models": {"offered": ["tiny"]}}
        fleet.mark(name, "etc/xdg/hailo-whisper/hailo-whisper.json", json.dumps(rendered))
    pruned = [fleet.folder / name / "pruned" for name in fleet.names]
    spoilt = fleet.mark("kitchen", "spoilt", "0.2.0+deb12u1\n")
    status, said = fleet.run("rollout", **NEW, **wanted)
    assert status == 2, said
    assert summary(said)["kitchen"][2] == "rolled back"
    assert not any(path.exists() for path in pruned)
    spoilt.write_text("")
    # That they cannot be removed stops nobody.
    fleet.mark("kitchen", "prune-fails")
    status, said = fleet.run("rollout", **NEW, **wanted)
    assert status == 0, said
    assert [path.exists() and path.read_text() for path in pruned] == [False, *["all but base and tiny\n"] * 2]
    assert "kitchen has models still that are not wanted any more:" in " ".join(said.split())


def test_a_gateway_that_is_lost_keeps_no_bad_version_in_service_and_its_host_is_not_drained_for_ever(fleet: Fleet) -> None:
    fleet.mark("kitchen", "spoilt", "0.2.0+deb12u1\n")
    cuts = fleet.mark("kitchen", "cuts")
    status, said = fleet.run("rollout", **NEW)
    assert status == 2, said
    assert summary(said)["kitchen"][2] == "rolled back"
    assert versions(fleet) == ["0.1.0"] * 3
    assert "And it is drained still: kitchen gets no requests from the gateway tower" in fleet.ledger("kitchen")["reason"]
    assert fleet.ledger("kitchen")["drained"] == ["tower"]
    assert fleet.states()["kitchen"] == "drain"
    cuts.unlink()
    (fleet.folder / "cut").unlink()
    status, said = fleet.run("rollback", "--limit", "kitchen,tower")
    assert status == 0, said
    assert summary(said)["kitchen"][2] == "rolled back"
    assert fleet.ledger("kitchen")["drained"] == []
    assert fleet.states()["kitchen"] == "ready"


def test_a_gateway_that_cannot_be_reached_is_said_to_be_it(fleet: Fleet) -> None:
    (fleet.folder / "cut").touch()
    status, said = fleet.run("rollout", "--limit", "kitchen,office", **NEW)
    assert status == 2, said
    found = summary(said)
    assert found["kitchen"][2] == found["office"][2] == "refused"
    assert "The gateway tower does not say how its appliances are" in " ".join(" ".join(found[""]).split())
    assert fleet.ledger("kitchen") == {}


def test_a_gateway_that_cannot_be_reached_keeps_nobody_at_the_new_version(fleet: Fleet) -> None:
    assert fleet.run("rollout", **NEW)[0] == 0
    (fleet.folder / "cut").touch()
    status, said = fleet.run("rollback")
    assert status == 0, said
    assert "The gateway tower does not say how its appliances are, and is passed over" in " ".join(said.split())
    assert {summary(said)[name][2] for name in fleet.names} == {"rolled back"}
    assert versions(fleet) == ["0.1.0"] * 3
    assert fleet.ledger("kitchen")["drained"] == []


def test_where_a_host_is_drained_is_remembered_until_that_gateway_is_back(fleet: Fleet) -> None:
    fleet.mark("kitchen", "spoilt", "0.2.0+deb12u1\n")
    cuts = fleet.mark("kitchen", "cuts")
    assert fleet.run("rollout", **NEW)[0] == 2
    cuts.unlink()
    status, said = fleet.run("rollback", "--limit", "kitchen,tower")
    assert status == 0, said
    assert fleet.ledger("kitchen")["drained"] == ["tower"]
    (fleet.folder / "cut").unlink()
    # An administrator was faster, of which the ledger knows nothing.
    fleet.put_back("kitchen")
    status, said = fleet.run("rollback", "--limit", "kitchen,tower")
    assert status == 0, said
    assert fleet.ledger("kitchen")["drained"] == []
    assert fleet.states()["kitchen"] == "ready"


def test_a_host_that_a_gateway_does_not_know_is_not_changed_while_that_gives_it_requests(fleet: Fleet) -> None:
    """It has another name there still."""
    for name in ("office", "attic"):
        fleet.inventory["hailo_whisper"]["hosts"].pop(name)
    assert fleet.run("rollout", **NEW)[0] == 0
    states = fleet.folder / "states"
    states.write_text(states.read_text().replace("kitchen", "scullery"))
    log = fleet.gateway_log()
    status, said = fleet.run("rollout", hailo_whisper_version="0.3.0")
    assert status == 2, said
    assert (
        "The gateway tower does not know kitchen (it has attic, office, scullery). It could not be drained there. Run playbooks/gateway.yml first."
        in " ".join(said.split())
    )
    assert fleet.version("kitchen") == "0.2.0"
    # What is bad is left all the same.
    status, said = fleet.run("rollback")
    assert status == 0, said
    assert "The gateway tower does not know kitchen (it has attic, office, scullery). It is not drained there." in " ".join(
        said.split()
    )
    assert fleet.version("kitchen") == "0.1.0"
    assert fleet.gateway_log() == log


def test_each_of_two_gateways_gives_a_host_nothing_while_it_is_changed(fleet: Fleet) -> None:
    fleet.second_gateway("spire")
    status, said = fleet.run("rollout", **NEW)
    assert status == 0, said
    assert versions(fleet) == ["0.2.0"] * 3
    for gateway in ("", "spire"):
        log = fleet.gateway_log(gateway)
        assert log.index("drain kitchen") < log.index("ready kitchen") < min(log.index("drain office"), log.index("drain attic"))
        assert fleet.states(gateway) == dict.fromkeys(fleet.names, "ready")
    # One of them is lost while a host is changed: what is bad goes all the same, and the other gives that host requests again.
    fleet.mark("kitchen", "spoilt", "0.3.0+deb12u1\n")
    fleet.mark("kitchen", "cuts", "-spire")
    status, said = fleet.run("rollout", hailo_whisper_version="0.3.0")
    assert status == 2, said
    assert summary(said)["kitchen"][2] == "rolled back"
    assert versions(fleet) == ["0.2.0"] * 3
    assert fleet.ledger("kitchen")["drained"] == ["spire"]
    assert (fleet.states()["kitchen"], fleet.states("spire")["kitchen"]) == ("ready", "drain")
    # Back, it is told too.
    (fleet.folder / "cut-spire").unlink()
    status, said = fleet.run("rollback", "--limit", "kitchen,hailo_whisper_gateway")
    assert status == 0, said
    assert fleet.ledger("kitchen")["drained"] == []
    assert fleet.states("spire") == fleet.states() == dict.fromkeys(fleet.names, "ready")


def test_a_canary_that_fails_while_it_is_watched_goes_back(fleet: Fleet) -> None:
    fleet.mark("office", "deaf")
    status, said = fleet.run("rollout", **NEW, hailo_whisper_rollout_canaries=["office"], hailo_whisper_rollout_soak_seconds=9)
    # Going back it is not watched, and hears.
    assert status == 2, said
    assert summary(said)["office"][2] == "rolled back"
    assert "did not hear kettle" in fleet.ledger("office")["reason"]
    assert versions(fleet) == ["0.1.0"] * 3
    # It had been given requests again.
    assert fleet.gateway_log() == ["drain office", "drain office", "ready office", "drain office", "ready office"]


def test_one_that_cannot_go_back_is_said_to_need_somebody_and_is_mended_by_the_next_run(fleet: Fleet) -> None:
    fleet.mark("kitchen", "spoilt", "0.2.0+deb12u1\n")
    broken = fleet.mark("kitchen", "apt-fails")
    status, said = fleet.run("rollout", **NEW)
    assert status == 2, said
    assert summary(said)["kitchen"][2] == "failed"
    assert "kitchen needs you." in said
    assert "apt could not go back to 0.1.0+deb12u1: E: no room" in said
    assert fleet.states()["kitchen"] == "drain", "what cannot transcribe gets no requests"
    broken.unlink()
    status, said = fleet.run("rollback", "--limit", "kitchen")
    assert status == 0, said
    assert fleet.version("kitchen") == "0.1.0"
    assert fleet.states()["kitchen"] == "ready"


def test_what_became_of_a_host_is_said_where_its_ledger_cannot_be_written(fleet: Fleet) -> None:
    for name in ("office", "attic"):
        fleet.inventory["hailo_whisper"]["hosts"].pop(name)
    fleet.mark("kitchen", "spoilt", "0.2.0+deb12u1\n")
    fleet.mark("kitchen", "fills")
    status, said = fleet.run("rollout", **NEW)
    assert status == 2, said
    assert summary(said)["kitchen"][2] == "rolled back"
    assert "kitchen: Be ready: hailo-whisper 0.2.0+deb12u1 is not ready after 180 s." in said
    assert fleet.ledger("kitchen")["outcome"] == "under way"
    # Finished by the next, which writes it no better; it is not as it should be.
    (fleet.folder / "kitchen/var/lib/hailo-whisper/.rollout.json.part").rmdir()
    (fleet.folder / "kitchen/status").write_text("hailo-whisper 0.2.0+deb12u1 installed\n")
    status, said = fleet.run("rollback")
    assert status == 2, said
    assert summary(said)["kitchen"][2] == "rolled back"
    assert (
        "/var/lib/hailo-whisper/.rollout.json.part could not be read or written (Is a directory)" in said.partition("SUMMARY")[2]
    )
    assert summary(said)[""][-1] == "0 of 1 as they should be. STOPPED: see above."
    assert fleet.states()["kitchen"] == "ready"


def test_where_one_is_refused_none_is_touched(fleet: Fleet) -> None:
    fleet.mark("attic", "refused")
    status, said = fleet.run("rollout", **NEW)
    assert status == 2, said
    assert "This host is refused." in said
    assert summary(said)["attic"][2] == "refused"
    assert versions(fleet) == ["0.1.0"] * 3
    assert fleet.gateway_log() == []


def test_a_key_that_is_not_taken_is_found_before_anybody_is_touched(fleet: Fleet) -> None:
    fleet.mark("office", "stale")
    with fleet.serving():
        status, said = fleet.run("rollout", **NEW)
    assert status == 2, said
    assert "office: It answered 401." in said
    assert fleet.gateway_log() == []
    assert fleet.ledger("kitchen") == {}


def test_the_version_before_is_asked_as_it_is_configured(fleet: Fleet) -> None:
    """The inventory is ahead of it: it has another file of keys."""
    fleet.inventory["hailo_whisper"]["hosts"].pop("attic")
    for name in ("kitchen", "office"):
        fleet.mark(name, "keys", "/etc/hailo/hailo-whisper.keys")
    with fleet.serving():
        # The new version takes others, by this mark.
        (fleet.folder / "office/keys").unlink()
        status, said = fleet.run("rollout", **NEW, hailo_whisper_rollout_canaries=["kitchen"])
        assert status == 2, said
        assert summary(said)["kitchen"][2] == "rolled back"
        assert "Have the right key: It answered 401 to the new ones." in said
        assert fleet.ledger("kitchen")["outcome"] == "rolled back"
        assert fleet.run("rollout", "--limit", "office", **NEW)[0] == 0
        fleet.mark("office", "keys", "/etc/hailo/hailo-whisper.keys")
        status, said = fleet.run("rollback", "--limit", "office")
    assert status == 0, said
    assert summary(said)["office"][2] == "rolled back"


def test_another_is_the_canary_where_the_first_is_off(fleet: Fleet) -> None:
    fleet.mark("kitchen", "off")
    status, said = fleet.run("rollout", **NEW, hailo_whisper_rollout_canaries=["kitchen"])
    assert status != 0, said
    assert "kitchen was to go first and cannot be reached, so that nobody would be watched." in " ".join(said.split())
    assert fleet.ledger("office") == {}
    (fleet.folder / "kitchen/off").unlink()
    fades = fleet.mark("kitchen", "fades")
    with fleet.serving():
        status, said = fleet.run("rollout", **NEW, hailo_whisper_rollout_canaries=["kitchen"])
    assert status != 0, said
    assert "kitchen was to go first and cannot be reached, so that nobody would be watched." in " ".join(said.split())
    assert fleet.ledger("office") == {}
    fades.unlink()
    fleet.mark("kitchen", "off")
    fleet.mark("office", "deaf")
    status, said = fleet.run("rollout", **NEW, hailo_whisper_rollout_soak_seconds=9)
    assert status != 0, said
    found = summary(said)
    assert (found["kitchen"][2], found["office"][2], found["attic"][2]) == ("not reached", "rolled back", "untouched")


def test_one_that_does_not_finish_what_it_has_is_left_as_it_is(fleet: Fleet) -> None:
    (fleet.folder / "states.hangs").touch()
    status, said = fleet.run("rollout", **NEW)
    assert status == 2, said
    assert (summary(said)["kitchen"][2], summary(said)["office"][2]) == ("not begun", "untouched")
    assert "still has 2 requests" in fleet.ledger("kitchen")["reason"]
    assert versions(fleet) == ["0.1.0"] * 3
    assert fleet.states() == dict.fromkeys(fleet.names, "ready")


def test_no_room_for_the_way_back_is_said_and_nothing_is_begun(fleet: Fleet) -> None:
    (fleet.folder / "kitchen/var/lib/hailo-whisper").mkdir(parents=True)
    fleet.mark("kitchen", "var/lib/hailo-whisper/rollback", "in the way")
    status, said = fleet.run("rollout", "--limit", "kitchen,tower", **NEW)
    assert status == 2, said
    found = summary(said)
    assert found["kitchen"][2] == "not begun"
    assert "kitchen: Make the folder of what is kept: " in "\n".join(found[""])
    assert fleet.gateway_log() == []
    assert fleet.ledger("kitchen") == {}


def test_canaries_that_the_limit_leaves_out_are_known(fleet: Fleet) -> None:
    status, said = fleet.run("rollout", "--limit", "kitchen", **NEW, hailo_whisper_rollout_canaries=["office", "attic"])
    assert status == 0, said
    assert summary(said)["kitchen"][2] == "done"
    assert (
        "Nobody is watched: of hailo_whisper_rollout_canaries, office, attic, none is among the hosts of this run."
        in " ".join(said.split())
    )


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no-version": ({"hailo_whisper_version": ""}, "Nothing says which version is to be rolled out"),
    "no-way-back": ({"hailo_whisper_deb": "/nowhere"}, "could not go back: nobody has hailo-whisper_0.1.0+deb12u1_"),
    "method": ({"hailo_whisper_install_method": "venv"}, "has hailo-whisper by the method deb, and the inventory says venv."),
    "canary": ({"hailo_whisper_rollout_canaries": "kichen"}, "hailo_whisper_rollout_canaries names kichen, which is neither"),
    "port": ({"hailo_whisper_config": {"server": {"port": 8000}}}, "kitchen answers at port 11437, and the inventory says 8000"),
    "gateway": ({"rollout_gateway_program": "/nowhere"}, "The gateway tower does not say how its appliances are"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal(fleet: Fleet, case: str) -> None:
    variables, sentence = REFUSALS[case]
    status, said = fleet.run("rollout", "--limit", "kitchen,tower", **(NEW | variables))
    assert status == 2, said
    assert sentence in " ".join(said.split())
    assert fleet.ledger("kitchen") == {}
    assert fleet.gateway_log() == []


def test_the_controller_killed_in_the_middle_leaves_nobody_drained_for_ever(fleet: Fleet) -> None:
    with fleet.serving():
        wait = fleet.mark("office", "wait")
        process = fleet.start("rollout", **NEW)
        end = time.monotonic() + 200
        while not (fleet.folder / "office/installing").exists():
            assert time.monotonic() < end, "it never came to the second host"
            time.sleep(0.1)
        fleet.kill(process)
        wait.unlink()
        assert fleet.ledger("kitchen")["outcome"] == "done"
        assert fleet.ledger("office")["outcome"] == "under way"
        assert fleet.states()["office"] == "drain"
        drained = fleet.gateway_log().count("drain kitchen")
        status, said = fleet.run("rollout", **NEW)
        assert status == 0, said
        found = summary(said)
        assert (found["kitchen"][2], found["office"][2], found["attic"][2]) == ("was done", "done", "done")
        assert fleet.gateway_log().count("drain kitchen") == drained, "who is done and ready is passed over"
        assert found["office"][0] == "0.1.0+deb12u1", "the version before is still the one that it goes back to"
        assert fleet.states() == dict.fromkeys(fleet.names, "ready")
        assert versions(fleet) == ["0.2.0"] * 3


def test_a_host_that_is_lost_in_the_middle_stops_the_others(fleet: Fleet) -> None:
    away = fleet.mark("kitchen", "away")
    status, said = fleet.run("rollout", **NEW, hailo_whisper_rollout_canaries=0, hailo_whisper_rollout_serial=[2, 1])
    assert status != 0, said
    found = summary(said)
    assert (found["kitchen"][2], found["office"][2], found["attic"][2]) == ("lost", "done", "untouched")
    assert "kitchen could not be reached any more in the middle of it. Nobody else is touched" in " ".join(said.split())
    away.unlink()
    assert fleet.run("rollout", **NEW)[0] == 0
    assert versions(fleet) == ["0.2.0"] * 3
    assert fleet.states() == dict.fromkeys(fleet.names, "ready")
