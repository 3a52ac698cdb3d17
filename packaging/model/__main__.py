"""`python -m model NAME`: stages the source tree of a model's package, from a store that has the model.

Every byte is compared with its sum before it is packed. script/build-deb --model runs this, and builds what it has staged.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from hailo_whisper.failure import Failure
from hailo_whisper.models import catalog
from hailo_whisper.models.catalog import Model
from hailo_whisper.models.store import Store, write_manifest

from . import words

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Stage the tree. Returns 1, with a sentence, when the model is not there, is not what it must be, or may not be handed on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the model")
    parser.add_argument("--store", type=Path, required=True, help="the folder of models that has it")
    parser.add_argument(
        "--catalog", type=Path, default=Path("/etc/hailo/models.d"), help="a folder with further models (default: %(default)s)"
    )
    parser.add_argument("--changelog", type=Path, required=True, help="that of the service's package: the version is the same")
    parser.add_argument("--into", type=Path, required=True, help="the folder of the source tree")
    args = parser.parse_args()
    try:
        store = Store(args.store, catalog.load(extra=args.catalog))
        store.verify(args.name)
        model = store.model(args.name)
        _stage(model, store.folder(model.name), args.changelog.read_text(encoding="utf-8"), args.into)
    except (Failure, OSError) as error:
        print(f"model: {error}", file=sys.stderr)
        return 1
    return 0


def _stage(model: Model, folder: Path, changelog: str, into: Path) -> None:
    version, trailer, epoch = words.release(changelog)
    debian, files = into / "debian", into / "model" / model.name
    shutil.copytree(HERE / "debian", debian)
    files.mkdir(parents=True)
    for name in model.files:
        shutil.copyfile(folder / name, files / name)
        # The record has the times, so that the service need not read gigabytes to know that they are the ones that were compared.
        os.utime(files / name, (epoch, epoch))
    write_manifest(files, model, f"package:{words.package(model)}", own=model.name not in catalog.load())
    for name, text in {
        "control": words.control(model),
        "copyright": words.copyright_of(model),
        "changelog": words.changelog(version, trailer),
        f"{words.package(model)}.install": f"model/{model.name} usr/share/hailo-whisper/models\n",
    }.items():
        (debian / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
