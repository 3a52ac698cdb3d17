from dataclasses import replace
from typing import Any

import pytest
from machines import FakeMachine
from patients import patient

from hailo_whisper.accelerators.hailo import Binding
from hailo_whisper.accelerators.lack import Lack
from hailo_whisper.accelerators.nvidia import Probe
from hailo_whisper.cli.doctor import devices
from hailo_whisper.cli.doctor.finding import Finding, State
from hailo_whisper.cli.doctor.patient import Patient

HAILO: dict[str, Any] = {"engine": {"kind": "hailo"}}
CUDA: dict[str, Any] = {"engine": {"kind": "cuda"}}


def _with_binding(one: Patient) -> Patient:
    return replace(one, machine=replace(one.machine, npu=replace(one.machine.npu, binding=True)))


def _states(findings: list[Finding]) -> dict[str, State]:
    return {finding.check: finding.state for finding in findings}


@pytest.mark.parametrize(("flags", "state"), [("avx avx2", State.OK), ("avx", State.WARNING), ("", State.WARNING)])
def test_the_processor(machine: FakeMachine, flags: str, state: State) -> None:
    machine.write("proc/cpuinfo", f"model name\t: A CPU\nflags\t\t: fpu {flags}\n")
    (found,) = devices.processor(patient(machine))
    assert found.state is state


class TestHailo:
    def test_none_and_none_wanted(self, machine: FakeMachine) -> None:
        assert _states(devices.npu(patient(machine))) == {"hailo": State.OK}
        assert devices.npu_software(patient(machine)) == []

    def test_none_but_wanted(self, machine: FakeMachine) -> None:
        assert _states(devices.npu(patient(machine, **HAILO))) == {"hailo": State.BROKEN}
        assert devices.npu_software(patient(machine, **HAILO))[0].state is State.BROKEN

    def test_one_that_is_well(self, machine: FakeMachine) -> None:
        machine.hailo()
        one = _with_binding(patient(machine, **HAILO))
        assert _states(devices.npu(one)) == {"hailo": State.OK, "hailo-holder": State.OK}
        first, second = devices.npu_software(one)
        assert (first.found, second.found) == ("hailo1x_pci 5.2.0", "libhailort 5.2.0, Python binding 5.2.0")
        assert _states([first, second]) == {"hailo-driver": State.OK, "hailo-library": State.OK}

    @pytest.mark.parametrize(("sections", "state"), [({}, State.WARNING), (HAILO, State.BROKEN)])
    def test_one_that_the_service_may_not_open(self, machine: FakeMachine, sections: dict[str, Any], state: State) -> None:
        machine.hailo(mode=0o600)
        found = devices.npu(patient(machine, **sections))[0]
        assert (found.state, found.found) == (
            state,
            "hailo10h at 0000:00:00.0: /dev/hailo0 is root:root 0600, hailo-whisper may not open it",
        )
        assert "usermod -aG hailo hailo-whisper" in str(found.cure)
        nobody = devices.npu(replace(patient(machine, **sections), user=None))[0]
        assert "usermod" not in str(nobody.cure)

    @pytest.mark.parametrize(("sections", "state"), [({}, State.WARNING), (HAILO, State.BROKEN)])
    def test_one_without_a_driver(self, machine: FakeMachine, sections: dict[str, Any], state: State) -> None:
        machine.board("0x1e60", "0x45c4")
        (found,) = devices.npu(patient(machine, **sections))
        assert (found.state, "hailort-pcie-driver" in str(found.cure)) == (state, True)
        assert devices.npu_software(patient(machine, **sections))[0].state is state

    def test_one_that_another_program_has(self, machine: FakeMachine) -> None:
        machine.hailo()
        (machine.root / "proc/812/fd").mkdir(parents=True)
        machine.write("proc/812/comm", "hailo-ollama\n")
        (machine.root / "proc/812/fd/5").symlink_to("/dev/hailo0")
        found = devices.npu(patient(machine, is_root=False))[1]
        assert (found.state, found.found) == (State.WARNING, "held by hailo-ollama (process 812) (only root sees all)")
        machine.write("proc/812/cmdline", "python\0-m\0hailo_whisper.engines.worker\0")
        assert devices.npu(patient(machine))[1].found == "held by the service"

    def test_without_the_binding(self, machine: FakeMachine) -> None:
        machine.hailo()
        one = patient(machine)
        one = replace(one, machine=replace(one.machine, npu=replace(one.machine.npu, binding=False)))
        found = devices.npu_software(one)[1]
        assert (found.state, "python3-h10-hailort" in str(found.cure)) == (State.WARNING, True)

    @pytest.mark.parametrize(
        ("binding", "state", "shown"),
        [
            (Binding(None, trouble="ImportError: libhailort.so"), State.BROKEN, "cannot be loaded: ImportError: libhailort.so"),
            (Binding("5.1.1"), State.BROKEN, "the Hailo driver is 5.2.0 and HailoRT's Python binding is 5.1.1"),
            (Binding("5.2.0", emulated=True), State.WARNING, "emulated"),
        ],
    )
    def test_a_binding_that_is_not_as_it_should_be(
        self, machine: FakeMachine, binding: Binding, state: State, shown: str
    ) -> None:
        machine.hailo()
        found = devices.npu_software(_with_binding(patient(machine, binding=binding, **HAILO)))[1]
        assert (found.state, shown in found.found, bool(found.cure)) == (state, True, True)


class TestNvidia:
    def test_none(self, machine: FakeMachine) -> None:
        assert _states(devices.gpu(patient(machine))) == {"nvidia": State.OK}
        assert _states(devices.gpu(patient(machine, **CUDA))) == {"nvidia": State.BROKEN}

    def test_one_that_is_well(self, machine: FakeMachine) -> None:
        machine.nvidia()
        first, second = devices.gpu(patient(machine))
        assert first.found == "NVIDIA H200 with 150000 MB, driver 550.54.14 for CUDA 12.4"
        assert "libcublas.so.12 in" in second.found
        assert _states([first, second]) == {"nvidia": State.OK, "nvidia-libraries": State.OK}

    def test_one_of_windows(self, machine: FakeMachine) -> None:
        machine.wsl()
        first, second = devices.gpu(patient(machine))
        assert first.found == "NVIDIA H200 with 150000 MB, driver of an unknown version for CUDA 12.4"
        assert "libcuda.so.1 in" in second.found

    @pytest.mark.parametrize(("sections", "state"), [({}, State.WARNING), (CUDA, State.BROKEN)])
    def test_one_without_its_libraries(self, machine: FakeMachine, sections: dict[str, Any], state: State) -> None:
        machine.nvidia(libraries=False)
        (found,) = devices.gpu(patient(machine, **sections))
        assert (found.state, "cannot be found" in found.found) == (state, True)
        assert "pip install nvidia-cublas-cu12" in str(found.cure)

    def test_one_whose_nodes_are_closed(self, machine: FakeMachine) -> None:
        machine.nvidia()
        machine.node("nvidiactl", 0o600)
        (found,) = devices.gpu(patient(machine))
        assert found.found.endswith("the service may not open /dev/nvidiactl (root:root 0600)")
        assert str(found.cure).startswith("The driver makes its nodes for everybody unless NVreg_DeviceFileMode")

    @pytest.mark.parametrize(("sections", "state"), [({}, State.WARNING), (CUDA, State.BROKEN)])
    def test_one_whose_driver_refuses(self, machine: FakeMachine, sections: dict[str, Any], state: State) -> None:
        machine.nvidia()
        (found,) = devices.gpu(patient(machine, probe=Probe(trouble=Lack("it has failed", "mend it")), **sections))
        assert (found.state, found.found) == (state, "driver 550.54.14: it has failed")
        assert found.cure == "Mend it."

    def test_one_of_a_number_that_is_not_there(self, machine: FakeMachine) -> None:
        machine.nvidia()
        (found,) = devices.gpu(patient(machine, **CUDA, cuda={"device_index": 1}))
        assert (found.state, found.found) == (State.BROKEN, "cuda.device_index is 1, and there are 1 GPUs for this program")
        assert "nvidia-smi -L" in str(found.cure)
