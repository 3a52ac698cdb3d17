"""Characters that no form of plain text may hold, because whoever shows or parses it takes them for commands."""

import re

# C0 and C1, and what Unicode has beside them to end lines and paragraphs with.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def printable(text: str) -> str:
    """The text without control characters (NUL, escape, ...); those that part lines or words become spaces."""
    return CONTROL.sub(lambda found: " " if found[0].isspace() else "", text)
