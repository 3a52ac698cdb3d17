"""The header `Retry-After`, with which a server says when to come again."""

import email.utils
import math
import time


def seconds(value: str) -> float | None:
    """The seconds from now in its value, which has them or a date (RFC 9110, 10.2.3); None when it makes no sense."""
    try:
        number = float(value)
    except ValueError:
        pass
    else:
        return max(number, 0.0) if math.isfinite(number) else None
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
