"""The bundle: all that a deployment without a network needs, in one signed archive. `script/bundle` makes it, `deploy` in it uses it."""


class Refused(Exception):
    """What stands in the way, in a sentence that says what to do."""
