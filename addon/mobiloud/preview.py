"""The preview beside the forms: the dashboard's own, or Appetize.io's where a key is set."""

import json
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from addon.mobiloud.config import appetize_environment
from addon.mobiloud.models import Revision, Site
from addon.mobiloud.sites import frame_sources

DEVICES = (("iphone-pro", "iPhone 16 Pro", "iphone16pro"), ("iphone-se", "iPhone SE", "iphonese3rdgen"))


@dataclass(frozen=True)
class Preview:
    """How the preview is shown: `embed` is Appetize's address, empty for our own; `sources` may be framed."""

    embed: str
    sources: list[str]


def preview_of(site: Site, revision: Revision) -> Preview:
    """The preview of one revision."""
    appetize = appetize_environment()
    if appetize.public_key:
        return Preview(embed_url(site, revision), [appetize.url])
    return Preview("", frame_sources(site, revision.configuration))


def embed_url(site: Site, revision: Revision) -> str:
    """Appetize's embed, fed with the address of what is saved.

    The parameters are those of docs.appetize.io, "Query Params Reference"; `params` is handed to the app as its launch
    parameters. The revision is among them so that a save is another address, which starts the app anew.
    """
    appetize = appetize_environment()
    address = f"{settings.BASE_URL}{reverse('mobiloud:preview-config', args=[site.preview_token])}"
    query = {
        "device": DEVICES[0][2],
        "scale": "auto",
        "autoplay": "true",
        "params": json.dumps({"configurationUrl": address, "revision": revision.number}),
    }
    return f"{appetize.url}/embed/{appetize.public_key}?{urlencode(query)}"
