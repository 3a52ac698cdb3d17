"""`models verify` and `models remove`: the models that are here."""

import argparse
from collections.abc import Iterator

from ... import settings
from ...failure import Failure
from ...models.hailo_apps_folder import hide
from ...models.removal import remove
from ...models.store import ModelMissing, ModelUnusable, Store
from .names import meant
from .shared import Place, say


def add_actions(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Iterator[argparse.ArgumentParser]:
    """Declare the actions."""
    verify = actions.add_parser("verify", help="compare every byte of the models here with their sha256 sums")
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: every model that is here")
    verify.set_defaults(act=_verify)
    yield verify
    discard = actions.add_parser(
        "remove",
        help="remove models from the store",
        description="Remove models from the store, whole or broken. Prints `removed NAME`, or `unchanged NAME` when it is not there.",
    )
    discard.add_argument("names", nargs="+", metavar="NAME")
    discard.add_argument("--check", action="store_true", help="say what would be done and change nothing")
    discard.set_defaults(act=_remove)
    yield discard


def _verify(args: argparse.Namespace, place: Place) -> int:
    store = place.store
    names = meant(args.names, place, args.dest) or [model.name for model in store.models() if _lies_in(store, model.name)]
    if not names:
        raise ModelMissing(f"There is no model in {store.root} to verify. Run `hailo-whisper models pull NAME` first.")
    status = 0
    for name in names:
        try:
            store.verify(name)
        except ModelUnusable as fault:
            say(f"hailo-whisper: {fault}")
            status = 1
        else:
            print(f"ok {name}", flush=True)
    return status


def _lies_in(store: Store, name: str) -> bool:
    try:
        store.check(name)
    except ModelMissing:
        return False
    except ModelUnusable:
        pass
    return True


def _remove(args: argparse.Namespace, place: Place) -> int:
    store, status = place.store, 0
    names = list(dict.fromkeys(args.names))
    for name in names:
        store.model(name)  # a misspelt name is refused before anything is removed
    for name in names:
        try:
            if args.check:
                here = _lies_in(store, name)
                print("would remove" if here and not store.is_packaged(name) else "unchanged", name)
            else:
                model = store.model(name)
                print("removed" if remove(name, store, say) else "unchanged", name, flush=True)
                hide(model, store, place.resources)
        except Failure as failure:
            say(f"hailo-whisper: {failure}")
            status = 1
    configured = settings.load(missing_ok=True).model
    if configured.path is None and configured.name in names and args.dest is None:
        say(
            f"{configured.name} is the model of the configuration (model.name): without it the service has none at its next start."
        )
    return status
