"""`python3 -m contents`: the copyright and the SBOM of the environment that the package brings, and a look at its libraries.

Runs in the build of the package, with nothing but the standard library and readelf. What it prints depends on its input alone.
"""

import argparse
import sys
from pathlib import Path

from . import notices, sbom
from .libraries import Unknown, check, found
from .projects import installed


def main() -> int:
    """Run one command. Returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sites",
        type=Path,
        nargs="+",
        metavar="site",
        help="the folder site-packages of the environment, and others that wheels are in",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("libraries", help="fail when a library is not known, or needs one that the package does not depend on")
    copyrights = commands.add_parser("copyright", help="print debian/copyright")
    copyrights.add_argument("--head", type=Path, required=True, help="the file that it begins with")
    bill = commands.add_parser("sbom", help="print an SBOM in CycloneDX's JSON")
    bill.add_argument("--version", required=True, help="version of the package")
    bill.add_argument("--arch", required=True, help="Debian's name of the architecture")
    args = parser.parse_args()
    try:
        projects = [project for site in args.sites for project in installed(site)]
        libraries = [library for site in args.sites for library in found(site)]
        if args.command == "libraries":
            for site in args.sites:
                check(site)
        elif args.command == "copyright":
            print(args.head.read_text(encoding="utf-8") + notices.text(projects, libraries), end="")
        else:
            print(sbom.text(projects, libraries, args.version, args.arch), end="")
    except (Unknown, LookupError, OSError) as error:
        print(f"contents: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
