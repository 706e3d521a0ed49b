"""Import this first in a bench that uses modules of the provider in its own process: it sets Django up.

The provider that is measured runs in other processes, with secrets and a database of its own; nothing is asked of this
process' database.
"""

import os

import django

from local.environment import new_secrets

os.environ.update(
    {
        **new_secrets(),
        "DJANGO_SETTINGS_MODULE": "addon.settings",
        "ADDONWORKS_ENV": "test",
        "ADDONWORKS_ENV_FILE": "",
        "LOG_LEVEL": "ERROR",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "BASE_URL": "http://127.0.0.1:1",
    }
)
django.setup()
