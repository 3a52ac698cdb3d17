"""The settings that the role `config` writes are those of the program that is installed."""

import json
import os
from pathlib import Path

import pytest
import yaml
from ansible_run import HERE, ansible_playbook


@pytest.mark.skipif(os.geteuid() != 0, reason="the file is given to root")
@pytest.mark.parametrize("method", ["venv", "deb"])
def test_a_packaged_program_is_given_the_settings_that_it_knows(project: Path, tmp_path: Path, method: str) -> None:
    schema = json.loads((project / "app/config/hailo-whisper.schema.json").read_text(encoding="utf-8"))
    del schema["properties"]["vad"]
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    program = tmp_path / "hailo-whisper"
    program.write_text(f'#!/bin/sh\n[ "$2" != schema ] || cat {tmp_path}/schema.json\n')
    program.chmod(0o755)
    source = tmp_path / "etc/hailo-whisper.yaml"
    task = {"ansible.builtin.include_role": {"name": "config"}}
    handler = {"name": "Restart hailo-whisper", "ansible.builtin.debug": {"msg": "It would be restarted."}}
    (tmp_path / "play.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task], "handlers": [handler]}])
    )
    variables = {
        "hailo_whisper_install_method": method,
        "hailo_whisper_config": {"access": {"insecure": True}},
        "config_program": str(program),
        "config_source": str(source),
    }
    done = ansible_playbook(*HERE, "--extra-vars", json.dumps(variables), tmp_path / "play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    written = yaml.safe_load(source.read_text(encoding="utf-8"))
    # An older one would refuse a section that it does not know.
    assert ("vad" in written) == (method == "venv")
    assert written["windows"]
