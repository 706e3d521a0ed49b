"""The wrong provider's door for customers: single sign-on, and the dashboard."""

import hashlib
import secrets
import time

from aiohttp import web

from tests.conformance.acme import SALT, Acme

SSO_SECONDS = 300


class WrongDashboard(Acme):
    """Serves `/sso/login` and `/dashboard/<uuid>`. Each fault stands where the right behaviour would."""

    async def login(self, request: web.Request) -> web.Response:
        """Single sign-on."""
        if request.method == "GET" and self.wrong("sso.get"):
            form = dict(request.query)
        elif request.method == "POST":
            form = {name: str(value) for name, value in (await request.post()).items()}
        else:
            return web.Response(status=405, text="Open the dashboard through Heroku.")
        if self.wrong("sso.unknown_fields") and "path" in form:
            return web.Response(status=400, text="Unknown fields.")
        legacy = "resource_id" not in form
        uuid = form.get("id" if legacy else "resource_id", "")
        resource = self.find(uuid)
        try:
            age = time.time() - int(form.get("timestamp", ""))
        except (ValueError, OverflowError):
            return web.Response(status=500 if self.wrong("sso.bad_timestamp") else 403, text="No.")
        if not self._tokens_right(form, uuid, legacy=legacy) or not self._in_time(age, legacy=legacy):
            return web.Response(status=403, text="No.")
        if resource is None and not self.wrong("sso.unknown_resource"):
            return web.Response(status=404, text="Unknown.")
        if resource and resource.state == "gone" and not self.wrong("sso.deprovisioned"):
            return web.Response(status=403, text="Gone.")
        return self._opened(form, resource.uuid if resource else uuid)

    def _tokens_right(self, form: dict[str, str], uuid: str, *, legacy: bool) -> bool:
        plain = f"{uuid}:{SALT}:{form['timestamp']}"
        sha1 = hashlib.sha1(plain.encode()).hexdigest()  # noqa: S324 - Heroku's formula
        scoped = hashlib.sha256(f"{plain}:{form.get('user_id')}:{form.get('email')}".encode()).hexdigest()
        if legacy:
            return form.get("token") == sha1 and not self.wrong("legacy.sso")
        if self.wrong("sso.form") and "token" in form:
            return False
        given = {"user_scoped_resource_token": scoped, "resource_token": sha1}
        present = [name for name in given if form.get(name)]
        if not present:
            return self.wrong("sso.no_token")
        for fault, needed in (
            ("user_scoped_token", "resource_token"),
            ("resource_token", "user_scoped_resource_token"),
        ):
            if self.wrong(f"sso.{fault}") and needed not in present:
                return False
        if self.wrong("sso.invalid_token"):
            present = [name for name in present if len(form[name]) in (40, 64)]
        if self.wrong("sso.wrong_salt"):
            return all(len(form[name]) in (40, 64) for name in present)
        if self.wrong("sso.tampered_email") and form.get("resource_token") == sha1:
            return True
        if self.wrong("sso.other_resource") and self._of_any_resource(form):
            return True
        return all(form[name] == given[name] for name in present)

    def _of_any_resource(self, form: dict[str, str]) -> bool:
        others = set(self.resources) - {form["resource_id"]}
        tokens = (hashlib.sha1(f"{uuid}:{SALT}:{form['timestamp']}".encode()) for uuid in others)  # noqa: S324
        return any(token.hexdigest() == form.get("resource_token") for token in tokens)

    def _in_time(self, age: float, *, legacy: bool) -> bool:
        if self.wrong("legacy.sso_old" if legacy else "sso.old") and age > 0:
            return True
        if self.wrong("sso.future") and age < 0:
            return True
        return abs(age) <= (30 if self.wrong("sso.clock_skew") else SSO_SECONDS)

    def _opened(self, form: dict[str, str], uuid: str) -> web.Response:
        session = secrets.token_hex(16)
        self.sessions[session] = uuid
        answer = web.Response(status=302, headers={"Location": f"/dashboard/{uuid}"})
        if self.wrong("sso.clean_address"):
            answer.headers["Location"] += f"?t={form.get('resource_token', '')}"
        if self.wrong("sso.redirect"):
            answer = web.Response(text="The dashboard.")
        answer.set_cookie("session", session, httponly=not self.wrong("session.cookie"), samesite="Lax")
        if form.get("nav-data") and not self.wrong("legacy.nav_cookie"):
            answer.set_cookie("heroku-nav-data", form["nav-data"], httponly=not self.wrong("session.cookie"))
        return answer

    async def dashboard(self, request: web.Request) -> web.Response:
        """The page."""
        uuid, cookie = request.match_info["uuid"], request.cookies.get("session", "")
        whose = self.sessions.get(cookie)
        mine = whose == uuid or (whose is not None and self.wrong("session.other_resource"))
        if not mine and not (not cookie and self.wrong("session.needed")):
            return web.Response(status=403, text="Sign on first.")
        resource = self.resources.get(uuid)
        if resource and resource.state == "gone" and not self.wrong("session.deprovisioned"):
            return web.Response(status=403, text="Gone.")
        return web.Response(text=f"The dashboard of {uuid}.")
