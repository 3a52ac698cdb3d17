from pathlib import Path

from machines import FakeMachine

from hailo_whisper.accelerators.machine import signs


def test_the_signs_change_with_the_nodes_and_their_modes(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path / "root")
    seen = [signs(machine.root)]
    node = machine.node("hailo0", 0o600)
    seen.append(signs(machine.root))
    node.chmod(0o666)
    seen.append(signs(machine.root))
    machine.node("nvidia0")
    seen.append(signs(machine.root))
    assert len({str(each) for each in seen}) == 4
    machine.node("null")
    assert signs(machine.root) == seen[-1], "what is no accelerator's does not count"
