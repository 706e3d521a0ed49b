"""The one HTTP session through which this process talks to Heroku, and reading what its answers have in common."""

import contextlib
import math
import re

import requests
from requests.adapters import HTTPAdapter

TIMEOUT = (3.05, 10.0)
"""Seconds to connect, and between two pieces of the answer."""

session = requests.Session()
session.mount("http://", HTTPAdapter(pool_connections=4, pool_maxsize=16))
session.mount("https://", HTTPAdapter(pool_connections=4, pool_maxsize=16))
session.trust_env = False  # a proxy variable or .netrc of the machine must not see customers' tokens

_WORD = re.compile(r"[a-z][a-z0-9_]{0,59}")


def retry_after(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header in its number form, at most an hour; None without one."""
    with contextlib.suppress(ValueError):
        seconds = float(response.headers.get("Retry-After", ""))
        return None if math.isnan(seconds) else min(max(seconds, 0.0), 3600.0)
    return None


def error_id(response: requests.Response) -> str:
    """The `id` of one of Heroku's error bodies: a word such as `not_found`, never the text, and nothing else."""
    with contextlib.suppress(ValueError, AttributeError):
        found = str(response.json().get("id", ""))
        return found if _WORD.fullmatch(found) else ""
    return ""
