"""The apt repository: the packages that are in it, the key that signs it, its indices. `script/build-repo` makes it."""


class Refused(Exception):
    """What stands in the way, in a sentence that says what to do."""
