"""The base of every error that is the user's to mend."""


class Failure(Exception):
    """Something is wrong that the person at the keyboard can put right.

    The message is one or more whole sentences: what is wrong, and what to do about it. The command line prints it
    without a traceback; the server answers with it.
    """
