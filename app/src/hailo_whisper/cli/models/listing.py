"""`models list` and `models path`: what there is, and where."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from ... import settings
from ...models import hefs
from ...models.catalog import Model
from ...models.store import ModelMissing, ModelUnusable, Store, read_manifest, recorded_entry
from .shared import Place, say

SHOWN = {"name", "aliases", "kind", "family", "engine", "description", "languages", "licence", "memory_mb", "quality", "speed"}


def add_actions(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Iterator[argparse.ArgumentParser]:
    """Declare the actions."""
    show = actions.add_parser("list", help="list the known models and which of them are here")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(act=_list)
    yield show
    path = actions.add_parser("path", help="print the folder of a complete model")
    path.add_argument("name", nargs="?", metavar="NAME", help="default: the model of the configuration")
    path.set_defaults(act=_path)
    yield path


def _list(args: argparse.Namespace, place: Place) -> int:
    store = place.store
    models = store.models()
    rows = [_described(model, store) for model in models]
    if args.json:
        print(json.dumps({"store": str(store.root), "models": rows}, indent=2))
        return 0
    wide = max((len(model.name) for model in models), default=4)
    print(f"{'NAME':{wide}} {'KIND':10} {'STATE':10} {'SIZE':>8} {'MEMORY':>8}  DESCRIPTION")
    for model, row in zip(models, rows, strict=True):
        size, memory = f"{model.size / 1e6:.0f} MB", f"{model.memory_mb} MB"
        print(f"{model.name:{wide}} {model.kind:10} {row['state']:10} {size:>8} {memory:>8}  {model.description}")
    say(f"The store is {store.root}.")
    for row in rows:
        if row["state"] == "unusable":
            say(row["reason"])
    return 0


def _described(model: Model, store: Store) -> dict[str, object]:
    state, reason = "installed", None
    try:
        store.check(model.name)
    except ModelMissing:
        state = "available"
    except ModelUnusable as fault:
        state, reason = "unusable", str(fault)
    folder = store.folder(model.name)
    here = state != "available"
    return model.model_dump(mode="json", include=SHOWN) | {
        "requires": model.requires.model_dump() if model.requires else None,
        "multilingual": model.multilingual,
        # Of a form for the NPU: what takes its place on the CPU, with engine.fallback.
        "form_of": hefs.general(model.name) if model.engine == hefs.ENGINE else None,
        "size": model.size,
        "unverified": model.unverified,
        "state": state,
        "reason": reason,
        "path": str(folder) if here else None,
        "source": read_manifest(folder).get("source") if here else None,
        # Of a package: it is not for the store's commands to remove.
        "packaged": here and store.is_packaged(model.name),
        "own": here and recorded_entry(folder) is not None,
    }


def _path(args: argparse.Namespace, place: Place) -> int:
    configured = settings.load(missing_ok=True).model
    if args.name is None and configured.path:
        folder = Path(configured.path)
        place.store.check_folder(folder)
    else:
        folder = place.store.path(args.name or configured.name)
    print(folder)
    return 0
