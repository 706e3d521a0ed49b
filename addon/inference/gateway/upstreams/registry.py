"""Every upstream of the settings, and which of them serves a model."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import structlog

from addon.inference.config import BedrockSettings, UpstreamSettings
from addon.inference.gateway.catalogue import Model
from addon.inference.gateway.errors import unavailable
from addon.inference.gateway.upstreams.bedrock import BedrockUpstream
from addon.inference.gateway.upstreams.http import Upstream
from addon.inference.gateway.upstreams.openai import OpenAIUpstream

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model at an upstream: its name there, and what it stands in for when it is not the plan's own."""

    upstream: Upstream
    name: str
    stand_in: str | None


class Upstreams:
    """Every upstream of the settings, over one pool of connections."""

    def __init__(self, settings: Mapping[str, UpstreamSettings]) -> None:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )
        self._settings = settings
        self._found = {name: self._upstream(each) for name, each in settings.items()}
        self._serving: dict[tuple[str, str], Served] = {}

    def serving(self, model: Model, *, region: str) -> Served:
        """Where `model` runs: the settings' most telling name of `model@region`, `model`, `kind@region`, `kind`.

        ApiError 503 when none is set.
        """
        if served := self._serving.get((model.id, region)):
            return served
        for key in (f"{model.id}@{region}", model.id, f"{model.kind}@{region}", model.kind):
            upstream = self._found.get(key)
            name = upstream.name_of(model, region) if upstream else None
            if upstream and name:
                served = Served(upstream=upstream, name=name, stand_in=self._settings[key].stand_in)
                self._serving[model.id, region] = served
                return served
        log.error("inference.upstream.missing", alarm=True, model=model.id, region=region)
        raise unavailable(f"The model '{model.id}' is not available right now.", retry_after=60)

    async def close(self) -> None:
        """Close every connection."""
        await self.session.close()

    def _upstream(self, settings: UpstreamSettings) -> Upstream:
        if isinstance(settings, BedrockSettings):
            return BedrockUpstream(settings, self.session)
        return OpenAIUpstream(settings, self.session)
