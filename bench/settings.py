"""The project's settings, with the address of the bare view beside the project's own."""

from addon.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
