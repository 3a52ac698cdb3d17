"""`models pull`: fetch models from wherever they can be had."""

import argparse
from collections.abc import Iterator

from ...failure import Failure
from ...models import sources
from ...models.pull import foresee, pull
from ...models.sources import Patience
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
    fetch.add_argument("--check", action="store_true", help="say what would be done and change nothing")
    fetch.set_defaults(act=_pull)
    yield fetch


def _pull(args: argparse.Namespace, place: Place) -> int:
    configured, store = place.settings, place.store
    patience = Patience(configured.connect_seconds, configured.stall_seconds, configured.tries, parallel=configured.parallel)
    places = [sources.parse(text, patience, place.trust) for text in args.source or configured.sources]
    names = list(dict.fromkeys(args.names))
    for name in names:
        store.model(name)  # a misspelt name is refused before the first gigabyte
    if args.check:
        for name in names:
            print(WOULD[foresee(name, store, force=args.force)], name)
        return 0
    status = 0
    with stopped_by_sigterm():
        for name in names:
            try:
                outcome = pull(name, store, places, force=args.force, notify=say)
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
