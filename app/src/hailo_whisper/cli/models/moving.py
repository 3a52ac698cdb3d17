"""`models import` and `models export`: models without a network."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from ...failure import Failure
from ...models.exporting import export
from ...models.importing import bring, is_there, unreadable_to_others
from ...models.survey import Found, survey
from .shared import Place, say, stopped_by_sigterm


def add_actions(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Iterator[argparse.ArgumentParser]:
    """Declare the actions."""
    take = actions.add_parser(
        "import",
        help="bring in models that lie on this machine",
        description="Bring in the models of a folder, of a hub's cache, of a checkpoint of OpenAI (.pt, converted) or of a bundle. What the "
        "catalog knows must have its sums. Prints `imported NAME from PLACE` or `unchanged NAME` for each.",
    )
    take.add_argument("path", metavar="PATH", type=Path)
    take.add_argument("--name", help="the one model to take, or what a model of your own is to be called")
    take.add_argument("--link", action="store_true", help="copy nothing: link to the files, which must stay where they are")
    take.add_argument("--force", action="store_true", help="import again what is there already")
    take.add_argument("--check", action="store_true", help="say what would be done and change nothing")
    take.set_defaults(act=_import)
    yield take
    give = actions.add_parser(
        "export",
        help="write models into one file, for machines without a network",
        description="Write models into a bundle: a tar with their sums in front. `hailo-whisper models import BUNDLE` reads it.",
    )
    give.add_argument("names", nargs="+", metavar="NAME")
    give.add_argument("--to", required=True, type=Path, metavar="BUNDLE", help="the file to write")
    give.add_argument("--sign", type=Path, metavar="KEY", help="secret key of minisign to sign it with")
    give.set_defaults(act=_export)
    yield give


def _import(args: argparse.Namespace, place: Place) -> int:
    store, status = place.store, 0
    path = args.path.expanduser().absolute()
    found = survey(path, store.catalog, name=args.name, trust=place.trust)
    _say_whose(found, place)
    if args.check:
        for one in found:
            print("unchanged" if not args.force and is_there(one, store) else "would import", one.name)
        return 0
    with stopped_by_sigterm():
        for one in found:
            try:
                outcome = bring(one, store, force=args.force, link=args.link, notify=say)
            except KeyboardInterrupt:
                say(f"{one.name}: interrupted; nothing half-imported is left. Run the same command to start again.")
                return 130
            except Failure as failure:
                say(f"hailo-whisper: {failure}")
                status = 1
            else:
                print(outcome, flush=True)
                if args.link:
                    _warn_of_links(one)
    return status


def _say_whose(found: list[Found], place: Place) -> None:
    bundle = found[0].bundle
    if bundle is None:
        return
    if bundle.comment is not None:
        say(f"{bundle.path} is signed by a key that is trusted here: {bundle.comment}")
    elif bundle.signed:
        say(f"{bundle.path} is signed, but models.signing_keys has no key to check that with. Its sums are checked.")


def _warn_of_links(found: Found) -> None:
    closed = unreadable_to_others(found.files.values())
    if closed:
        say(
            f"{found.name}: {closed} may not be read by everybody, so the service, which runs as a user of its own, may not see the "
            "model. Give it the right, or import without --link."
        )


def _export(args: argparse.Namespace, place: Place) -> int:
    names = list(dict.fromkeys(place.store.model(name).name for name in args.names))
    target = args.to.expanduser().absolute()
    with stopped_by_sigterm():
        try:
            export(names, place.store, target, secret_key=args.sign)
        except KeyboardInterrupt:
            say(f"Interrupted; nothing half-written is left of {target}.")
            return 130
    print(f"exported {' '.join(names)} to {target}")
    return 0
