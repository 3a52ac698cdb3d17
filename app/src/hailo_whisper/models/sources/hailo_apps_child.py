"""Runs hailo-apps' downloader as it is, as a program of its own: `python hailo_apps_child.py FOLDER [what the downloader takes]`.

hailo-apps is installed without what its other programs need (OpenCV and the like), some of which it imports on the way to its downloader.
What of that is missing is stood in for, in this process only. The models go to FOLDER/models and not to where hailo-apps would put them: what
is half there, or wrong, is never seen by the service.
"""

import importlib
import importlib.abc
import importlib.machinery
import runpy
import sys
import types
from collections.abc import Sequence

DOWNLOADER = "hailo_apps.installation.download_resources"
DEFINES = "hailo_apps.python.core.common.defines"
# Of hailo-apps' own requirements, those that the server does not have. None of them takes part in a download.
ABSENT = frozenset({"PIL", "cv2", "cython_bbox", "dotenv", "gi", "lancedb", "lap", "loguru", "scipy", "setproctitle"})
# Before the words of the downloader there is one of ours: where hailo-apps' list of models is.
LISTED = "listed in: "


class _StandIn(types.ModuleType):
    """A module that is not there. Its functions do nothing: python-dotenv's finds no file of settings, for example."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Asked last, so that whatever is installed goes first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        known = fullname.partition(".")[0] in ABSENT
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True) if known else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def main() -> None:
    """Stand in for what is missing, point the downloader to the folder, and become it."""
    folder, *arguments = sys.argv[1:]
    sys.meta_path.append(_StandIns())
    defines = importlib.import_module(DEFINES)
    # The downloader takes the constant from here when it is imported.
    setattr(defines, "RESOURCES_ROOT_PATH_DEFAULT", folder)  # noqa: B010 (its name is no attribute that a type checker knows)
    print(LISTED + str(defines.DEFAULT_RESOURCES_CONFIG_PATH), flush=True)
    sys.argv = [DOWNLOADER, *arguments]
    runpy.run_module(DOWNLOADER, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
