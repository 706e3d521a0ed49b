"""A small add-on provider that is right, and wrong in one way for each fault it is given.

A fault is named after the check it is to fail; what each does stands where the right behaviour would.
"""

import asyncio
import base64
import contextlib
import json
import secrets
import threading
import uuid as uuids
from typing import Any

import aiohttp
from aiohttp import web

from tests.conformance.acme import (
    API_ACCEPT,
    CLIENT_SECRET,
    CONFIG_VARS,
    KNOWN_FIELDS,
    OTHER_PASSWORD,
    PASSWORD,
    PLANS,
    REFUSED,
    REGIONS,
    SLUG,
    VENDOR,
    Resource,
)
from tests.conformance.wrong_dashboard import WrongDashboard

SLOW_SECONDS, TOO_SLOW_SECONDS = 1.3, 2.4


class WrongProvider(WrongDashboard):
    """Serves `/heroku/resources`, `/sso/login` and `/dashboard/<uuid>` on a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.asynchronous, self.api_url = False, ""
        self.never_seen: set[str] = set()
        self.delayed = False
        self.requests = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner, port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        self.url = f"http://127.0.0.1:{port}"

    async def _start(self) -> tuple[web.AppRunner, int]:
        application = web.Application()
        application.router.add_route("*", "/heroku/resources", self._partner)
        application.router.add_route("*", "/heroku/resources/{id}", self._partner)
        application.router.add_route("*", "/sso/login", self.login)
        application.router.add_get("/dashboard/{uuid}", self.dashboard)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, int(runner.addresses[0][1])

    def begin(self, *faults: str, asynchronous: bool = False, api_url: str = "") -> None:
        """Forget everything, and have these faults from now on."""
        self.end()
        self.resources, self.never_seen, self.sessions, self.delayed = {}, set(), {}, False
        self.faults, self.asynchronous, self.api_url = frozenset(faults), asynchronous, api_url

    def end(self) -> None:
        """Stop what goes on in the background."""

        async def cancel() -> None:
            for task in list(self._tasks):
                task.cancel()

        asyncio.run_coroutine_threadsafe(cancel(), self._loop).result(10)

    def stop(self) -> None:
        """Close the port and end the thread."""
        self.end()
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def live(self) -> list[str]:
        """The uuids of resources that were not deprovisioned."""
        return [each.uuid for each in self.resources.values() if each.state != "gone"]

    # --- Partner API ------------------------------------------------------------------------------------------
    async def _partner(self, request: web.Request) -> web.Response:
        self.requests += 1
        verb, raw = request.method.lower(), await request.read()
        identity = request.match_info.get("id", "")
        if verb not in ("post", "put", "delete") or (verb == "post") == bool(identity):
            return self._answer(405, {"message": "Not here."})
        resource = self.find(identity)
        if self.wrong("auth.before_lookup") and verb == "delete" and resource and resource.state == "gone":
            return self._answer(410, {"message": "Gone."})
        if (refusal := self._authorise(request, verb, resource)) is not None:
            return refusal
        accept, content_type = request.headers.get("Accept", ""), request.headers.get("Content-Type", "")
        if self.wrong(f"media.accept.{verb}") and "vnd" not in accept:
            return self._answer(406, {"message": "Not acceptable."})
        if self.wrong("legacy.deprovision") and verb == "delete" and accept == "application/json":
            return self._answer(406, {"message": "Not acceptable."})
        if self.wrong(f"media.content_type.{verb}") and raw and content_type != "application/json":
            return self._answer(415, {"message": "Unsupported media type."})
        if verb == "delete":
            return await self._deprovision(identity, resource)
        try:
            body = json.loads(raw)
        except ValueError:
            fault = {"post": "provision.not_json", "put": "plan_change.not_json"}[verb]
            return self._bad(fault, "The body is no JSON.")
        if not isinstance(body, dict):
            return self._bad("provision.not_object", "The body is no object.")
        if verb == "put":
            return await self._change_plan(resource, body)
        return await self._provision(body)

    def _authorise(self, request: web.Request, verb: str, resource: Resource | None) -> web.Response | None:
        header = request.headers.get("Authorization", "")
        try:
            user, _, password = (
                base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
            )
        except ValueError:
            if self.wrong("auth.malformed"):
                return self._answer(500, {"message": "Something went wrong."})
            user = password = ""
        if (user, password) == (SLUG, PASSWORD):
            return None
        if self.wrong("auth.user") and password == PASSWORD:
            return None
        if self.wrong(f"auth.other_service.{verb}") and password == OTHER_PASSWORD:
            return None
        kind = "missing" if not header else "wrong" if user == SLUG else ""
        if self.wrong(f"auth.{kind}.{verb}"):
            return self._answer(403, {"message": "Forbidden."})
        if self.wrong("auth.no_effect") and verb == "delete" and kind == "missing" and resource:
            resource.state = "gone"
        answer = self._answer(401, {"message": "Who are you?"})
        if self.wrong("leak.secret"):
            answer = self._answer(401, {"message": f"Expected the password {PASSWORD}."})
        if self.wrong("media.json"):
            answer = web.Response(
                status=401, text="Who are you?", headers={"Content-Type": "application/json"}
            )
        if not self.wrong("auth.challenge"):
            answer.headers["WWW-Authenticate"] = 'Basic realm="acme"'
        return answer

    async def _provision(self, body: dict[str, Any]) -> web.Response:
        uuid, plan, options = body.get("uuid"), body.get("plan"), body.get("options")
        if uuid is None:
            return self._bad("provision.no_uuid", "There is no uuid.")
        try:
            uuids.UUID(str(uuid))
        except ValueError:
            return self._bad("provision.bad_uuid", "The uuid is none.")
        if plan is None:
            return self._bad("provision.no_plan", "There is no plan.")
        if (refusal := self._dislikes(body, options)) is not None:
            return refusal
        if plan not in PLANS and not self.wrong("provision.unknown_plan"):
            await self._dawdle()
            if self.wrong("leak.exception"):
                return self._answer(422, {"message": f"KeyError: {plan!r}"})
            status = 400 if self.wrong("provision.unknown_plan_message") else 422
            return self._answer(status, {"message": "There is no such plan."})
        if uuid in self.never_seen and not self.wrong("deprovision.first"):
            return self._answer(410, {"message": "Gone."})
        resource = self.resources.get(uuid)
        if resource and resource.state == "gone" and self.wrong("deprovision.then_provision"):
            resource = None
        grant = body.get("oauth_grant") or {}
        if resource is None:
            return await self._make(body, grant.get("code", ""))
        return self._repeat(resource, body, grant.get("code", ""))

    def _dislikes(self, body: dict[str, Any], options: Any) -> web.Response | None:
        if self.wrong("provision.unknown_fields") and set(body) - KNOWN_FIELDS:
            return self._answer(422, {"message": "Unknown fields."})
        for fault, name in (
            ("null_grant", "oauth_grant"),
            ("null_options", "options"),
            ("null_fields", "name"),
        ):
            if self.wrong(f"provision.{fault}") and name in body and body[name] is None:
                return self._answer(500, {"message": "Something went wrong."})
        if self.wrong("provision.absent_fields") and "name" not in body:
            return self._answer(500, {"message": "Something went wrong."})
        if self.wrong("provision.grant_time") and "-0800" in str(body.get("oauth_grant")):
            return self._answer(500, {"message": "Something went wrong."})
        if self.wrong("legacy.provision") and "heroku_id" in body:
            return self._answer(422, {"message": "This version has ended."})
        if isinstance(options, dict):
            if self.wrong("provision.unknown_options") and options:
                return self._answer(422, {"message": "Unknown options."})
            if self.wrong("provision.boolean_options") and any(value is True for value in options.values()):
                return self._answer(422, {"message": "Options have to be texts."})
            if self.wrong("provision.odd_values") and any(
                len(str(value)) > 10_000 for value in options.values()
            ):
                return self._answer(500, {"message": "Something went wrong."})
        region = body.get("region")
        if region is not None and region not in REGIONS:
            return self._bad("provision.unknown_region", "This region is not served.")
        return None

    async def _make(self, body: dict[str, Any], code: str) -> web.Response:
        uuid = str(body["uuid"])
        identity: Any = uuid
        if self.wrong("provision.id"):
            identity = len(self.resources) + 1
        if self.wrong("provision.unique_id"):
            identity = "the-id"
        if self.wrong("legacy.id") and "heroku_id" in body:
            identity = str(body["heroku_id"])
        resource = Resource(uuid, identity, str(body["plan"]), str(body["plan"]), code)
        self.resources[uuid] = resource
        if self.asynchronous:
            resource.state = "provisioning"
        if self.wrong("repeat.at_once"):
            await self._be_busy(resource)
        if code and self.api_url:
            task = self._loop.create_task(self._follow_up(resource))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._made(resource)

    def _repeat(self, resource: Resource, body: dict[str, Any], code: str) -> web.Response:
        if resource.state == "gone":
            status = 422 if self.wrong("deprovision.then_provision_status") else 410
            return self._answer(status, {"message": "Gone."})
        if self.wrong("repeat.at_once") and resource.busy:
            return self._answer(500, {"message": "Something went wrong."})
        if self.wrong("repeat.new_grant") and code != resource.code:
            return self._answer(422, {"message": "This is another grant."})
        if self.wrong("repeat.other_parameters") and body["plan"] != resource.plan:
            return self._answer(500, {"message": "Something went wrong."})
        if self.wrong("async.repeat") and resource.state == "provisioned":
            return self._answer(500, {"message": "Something went wrong."})
        if self.wrong("repeat.sequence"):
            resource.id = str(uuids.uuid4())
        if self.wrong("repeat.same_config"):
            resource.key = secrets.token_hex(8)
        return self._made(resource)

    def _made(self, resource: Resource) -> web.Response:
        body: dict[str, Any] = {"id": resource.id, "message": "Welcome."}
        if self.wrong("provision.message"):
            del body["message"]
        if resource.state == "provisioning":
            if self.wrong("async.no_config"):
                body["config"] = self._config(resource, "provision")
            return self._answer(202, body)
        body["config"] = self._config(resource, "provision")
        if not self.wrong("provision.log_drain_url"):
            body["log_drain_url"] = "https://acme.example.com/drains/1"
        return self._answer(202 if self.wrong("provision.status") else 200, body)

    def _config(self, resource: Resource, group: str) -> dict[str, Any]:
        config: dict[str, Any] = dict(
            zip(CONFIG_VARS, ("https://acme.example.com/v1", resource.key), strict=True)
        )
        if self.wrong(f"{group}.config"):
            config["ACME_LLM_KEY"] = 5
        if self.wrong(f"{group}.config_declared"):
            config["ACME_LLM_INTERNAL"] = "1"
        if self.wrong(f"{group}.config_urls"):
            config["ACME_LLM_URL"] = "acme"
        return config

    async def _change_plan(self, resource: Resource | None, body: dict[str, Any]) -> web.Response:
        plan = body.get("plan")
        if resource is None:
            return self._bad("plan_change.unknown_uuid", "There is no such resource.", right=404)
        if resource.state == "gone" and not self.wrong("plan_change.deprovisioned"):
            return self._answer(410, {"message": "Gone."})
        if self.wrong("plan_change.unknown_fields") and set(body) - {"plan", "uuid", "heroku_id"}:
            return self._answer(422, {"message": "Unknown fields."})
        if self.wrong("legacy.plan_change") and "heroku_id" in body:
            return self._answer(422, {"message": "Unknown fields."})
        if plan not in PLANS and not self.wrong("plan_change.unknown_plan"):
            status = 409 if self.wrong("plan_change.unknown_plan_message") else 422
            return self._answer(status, {"message": "There is no such plan."})
        if plan == resource.plan:
            again = self.wrong("plan_change.repeat") and plan != resource.first_plan
            if again or self.wrong("plan_change.same_plan"):
                return self._answer(422, {"message": "The resource is on this plan."})
        if (resource.plan, plan) == REFUSED and not self.wrong("plan_change.refused"):
            if self.wrong("plan_change.refused_unchanged"):
                resource.plan = str(plan)
            message = (
                {} if self.wrong("plan_change.refused_message") else {"message": "You use too much of it."}
            )
            return self._answer(422, message)
        if self.wrong("plan_change.at_once"):
            if resource.busy:
                return self._answer(500, {"message": "Something went wrong."})
            await self._be_busy(resource)
        resource.plan = str(plan)
        status = 201 if self.wrong("plan_change.success") else 200
        return self._answer(status, {"message": "Moved.", "config": self._config(resource, "plan_change")})

    async def _deprovision(self, identity: str, resource: Resource | None) -> web.Response:
        if resource is None:
            if self.wrong("deprovision.unknown"):
                return self._answer(500, {"message": "Something went wrong."})
            self.never_seen.add(identity)
            return self._answer(
                404 if self.wrong("deprovision.unknown_status") else 410, {"message": "Gone."}
            )
        if resource.state == "gone":
            if self.wrong("deprovision.repeat"):
                return self._answer(500, {"message": "Something went wrong."})
            return self._answer(404 if self.wrong("deprovision.repeat_status") else 410, {"message": "Gone."})
        if self.wrong("async.deprovision") and resource.state == "provisioning":
            return self._answer(422, {"message": "Still being provisioned."})
        if self.wrong("deprovision.at_once"):
            if resource.busy:
                return self._answer(500, {"message": "Something went wrong."})
            await self._be_busy(resource)
        resource.state = "gone"
        if self.wrong("deprovision.success"):
            return self._answer(409, {"message": "Busy."})
        if self.wrong("deprovision.empty"):
            return self._answer(200, {"message": "Removed."})
        return web.Response(status=204)

    def _bad(self, fault: str, message: str, *, right: int = 422) -> web.Response:
        if self.wrong(fault):
            return self._answer(500, {"message": "Something went wrong."})
        return self._answer(right, {"message": message})

    def _answer(self, status: int, body: dict[str, Any]) -> web.Response:
        kind = "text/html" if self.wrong("media.type") and status == 422 else VENDOR
        return web.Response(status=status, body=json.dumps(body).encode(), headers={"Content-Type": kind})

    async def _be_busy(self, resource: Resource) -> None:
        resource.busy = True
        await asyncio.sleep(0.1)
        resource.busy = False

    async def _dawdle(self) -> None:
        seconds = TOO_SLOW_SECONDS if self.wrong("latency.limit") else SLOW_SECONDS
        if (self.wrong("latency.limit") or self.wrong("latency.goal")) and not self.delayed:
            self.delayed = True
            await asyncio.sleep(seconds)

    # --- Platform API -----------------------------------------------------------------------------------------
    async def _follow_up(self, resource: Resource) -> None:
        if self.wrong("grant.exchanged"):
            return
        # Long enough for the suite to have the answer, on which one of the faults depends.
        await asyncio.sleep(0.15 if self.asynchronous else 0.0)
        # The suite may be gone by now.
        with contextlib.suppress(aiohttp.ClientError):
            await self._exchange(resource)

    async def _exchange(self, resource: Resource) -> None:
        async with aiohttp.ClientSession() as session:
            form = {"grant_type": "authorization_code", "code": resource.code, "client_secret": CLIENT_SECRET}
            if self.wrong("grant.fields"):
                del form["client_secret"]
            where = {"params": form} if self.wrong("grant.in_body") else {"data": form}
            async with session.post(f"{self.api_url}/oauth/token", **where) as answer:  # type: ignore[arg-type]
                if answer.status != 200:
                    return
                token = (await answer.json())["access_token"]
            if resource.state == "provisioning" or self.wrong("async.cancelled"):
                await self._complete(session, resource, token)

    async def _complete(self, session: aiohttp.ClientSession, resource: Resource, token: str) -> None:
        headers = {"Accept": API_ACCEPT, "Authorization": f"Bearer {token}"}
        addon = f"{self.api_url}/addons/{resource.uuid}"
        if self.wrong("async.media_type"):
            await session.get(addon, headers={**headers, "Accept": "application/json"})
        if self.wrong("async.token"):
            await session.get(addon, headers={"Accept": API_ACCEPT})
        config = self._config(resource, "async")
        steps: list[tuple[str, str, Any]] = [
            ("PATCH", "/config", {"config": [{"name": name, "value": config[name]} for name in config]}),
            ("POST", "/actions/provision", None),
        ]
        if self.wrong("async.config_form"):
            steps.insert(0, ("PATCH", "/config", {"config": config}))
        if self.wrong("async.config_first"):
            steps.reverse()
        if self.wrong("async.completed"):
            steps.pop()
        if self.wrong("async.once"):
            steps.append(steps[-1])
        for method, path, body in steps:
            while True:
                if resource.state == "gone" and not self.wrong("async.cancelled"):
                    return
                async with session.request(method, addon + path, json=body, headers=headers) as answer:
                    if answer.status != 404:
                        break
                if self.wrong("async.patient"):
                    return
                await asyncio.sleep(0.05)
        if resource.state == "provisioning":
            resource.state = "provisioned"
