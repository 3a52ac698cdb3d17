"""Programs and plugins that Ansible finds by their place, as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType


def loaded(path: Path) -> ModuleType:
    """The module in a file, anew."""
    specification = importlib.util.spec_from_file_location(f"loaded_{path.parent.name}_{path.stem}", path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
