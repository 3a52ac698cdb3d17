"""`models pull`: fetch models from wherever they can be had."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...failure import Failure
from ...models import sources
from ...models.caching import is_cached, pull_into_cache
from ...models.hailo_apps_folder import fetched, show
from ...models.pull import Change, foresee, pull
from ...models.sources import Patience
from ...models.store import Store
from .names import meant
from .shared import Place, say, stopped_by_sigterm

WOULD = {"unchanged": "unchanged", "repaired": "would repair", "pulled": "would pull"}


def add_actions(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Iterator[argparse.ArgumentParser]:
    """Declare the action."""
    fetch = actions.add_parser(
        "pull",
        help="fetch models, unless they are there already",
        description="Fetch models, verify them and put them in place. Prints `unchanged NAME`, `repaired NAME` (owner, modes or "
        "record) or `pulled NAME from SOURCE` for each.",
    )
    fetch.add_argument("names", nargs="+", metavar="NAME")
    fetch.add_argument(
        "--source",
        action="append",
        metavar="SOURCE",
        help=f"where to look, in this order: {sources.KNOWN} (may be repeated; default: the setting models.sources)",
    )
    fetch.add_argument("--force", action="store_true", help="fetch again what is there already")
    fetch.add_argument(
        "--hub-cache",
        type=Path,
        metavar="DIR",
        help="put them where huggingface_hub looks (HF_HOME/hub), for other programs, and not into the store",
    )
    fetch.add_argument("--check", action="store_true", help="say what would be done and change nothing")
    fetch.set_defaults(act=_pull)
    yield fetch


def _pull(args: argparse.Namespace, place: Place) -> int:
    configured, store = place.settings, place.store
    patience = Patience(configured.connect_seconds, configured.stall_seconds, configured.tries, parallel=configured.parallel)
    places = [sources.parse(text, patience, place.trust) for text in args.source or configured.sources]
    cache = args.hub_cache.expanduser().absolute() if args.hub_cache else None
    names = meant(args.names, place, args.dest or cache)
    for name in names:
        store.model(name)  # a misspelt name is refused before the first gigabyte
    resources = None if args.dest or cache else place.resources
    if args.check:
        for name in names:
            print(WOULD[_foreseen(name, store, cache, resources, force=args.force)], store.model(name).name)
        return 0
    status = 0
    with stopped_by_sigterm():
        for name in names:
            try:
                if cache:
                    outcome = pull_into_cache(name, cache, store.catalog, places, force=args.force, notify=say)
                else:
                    # What hailo-apps has fetched already need not come again.
                    here = fetched(name, store, resources) if resources and not args.force else None
                    nearest = [sources.FolderSource(here), *places] if here else places
                    outcome = pull(name, store, nearest, force=args.force, notify=say)
                    if resources and show(name, store, resources, say) and outcome.change == "unchanged":
                        outcome = replace(outcome, change="repaired")
            except KeyboardInterrupt:
                say(f"{name}: interrupted. Run the same command to go on: what was fetched is kept for a week.")
                return 130
            except Failure as failure:
                say(f"hailo-whisper: {failure}")
                status = 1
            else:
                print(outcome, flush=True)
                for failed in outcome.failed:
                    say(f"{name}: passed over {failed}")
    return status


def _foreseen(name: str, store: Store, cache: Path | None, resources: Path | None, *, force: bool) -> Change:
    if cache is None:
        change = foresee(name, store, force=force)
        if change == "pulled" and not force and resources is not None and fetched(name, store, resources):
            return "repaired"
        shown = change != "unchanged" or resources is None or not show(name, store, resources, pretend=True)
        return change if shown else "repaired"
    return "unchanged" if not force and is_cached(store.catalog.get(name), cache) else "pulled"
