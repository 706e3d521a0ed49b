"""What a check works with: the provider, and the words in which checks ask and judge."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conformance.catalogue import Blocked, Failed, NotRun
from conformance.exchange import Exchange
from conformance.login import Browser
from conformance.partner import Journal, Partner
from conformance.platform_api import Addon, PlatformAPI
from conformance.target import Target

_SETTLE_SECONDS = 3.0
NO_PLATFORM = (
    "the suite's Platform API does not run: give --listen HOST:PORT, and have the provider use that address for "
    "Heroku's Platform API and token endpoint"
)


@dataclass(frozen=True)
class Made:
    """A resource that was just provisioned."""

    uuid: str
    body: dict[str, Any]
    exchange: Exchange

    @property
    def id(self) -> Any:
        """The provider's id of it."""
        return self.exchange.object.get("id")


class Case:
    """One check's view of the run. `began` is where its own exchanges begin in the journal."""

    def __init__(
        self, target: Target, *, partner: Partner, journal: Journal, platform: PlatformAPI | None
    ) -> None:
        self.target, self.partner, self.journal = target, partner, journal
        self._platform = platform
        self.began = len(journal.exchanges)

    @property
    def exchanges(self) -> list[Exchange]:
        """What this check has exchanged so far."""
        return self.journal.exchanges[self.began :]

    # --- what a check may need ------------------------------------------------------------------------------
    @property
    def platform(self) -> PlatformAPI:
        """The suite's Platform API; NotRun without one."""
        if self._platform is None:
            raise NotRun(NO_PLATFORM)
        return self._platform

    @property
    def has_platform(self) -> bool:
        """Whether there is one."""
        return self._platform is not None

    @property
    def other_plan(self) -> str:
        """A plan to change to; NotRun when none was named."""
        return _given(self.target.other_plan, "--other-plan")

    def needs_asynchronous(self) -> None:
        """NotRun for a provider that provisions in the request."""
        if not self.target.asynchronous:
            raise NotRun("the provider provisions in the request (--async says otherwise)")

    def needs_synchronous(self) -> None:
        """NotRun for a provider that provisions afterwards."""
        if self.target.asynchronous:
            raise NotRun("the provider provisions asynchronously")

    def browser(self) -> Browser:
        """A browser without cookies; NotRun without the SSO address and salt."""
        _given(self.target.sso_url, "--sso-url")
        _given(self.target.sso_salt, "--sso-salt")
        return Browser(self.target, self.journal.exchanges)

    # --- resources ------------------------------------------------------------------------------------------
    def made(self, **changes: Any) -> Made:
        """A new resource, provisioned or on the way; Blocked when the provider does not make it."""
        body = self.partner.body(**changes)
        return self._made(body)

    def _made(self, body: dict[str, Any]) -> Made:
        answer = self.partner.provision(body)
        if not answer.ok:
            raise Blocked(f"the provision request this check begins with was {answer.answered}", answer)
        return Made(str(body["uuid"]), body, answer)

    def ready(self, **changes: Any) -> Made:
        """A new resource that is provisioned for good; Blocked when that does not happen in time."""
        if not self.target.asynchronous:
            return self.made(**changes)
        platform = self.platform
        made = self.made(**changes)
        self.completed(made, platform)
        # After `actions/provision` the provider still has its own row to write. A repeat that is answered 200 shows
        # that it has; one that goes on answering 202 may do so for ever.
        end = time.monotonic() + _SETTLE_SECONDS
        while self.partner.provision(made.body).status == 202 and time.monotonic() < end:
            time.sleep(0.1)
        return made

    def completed(self, made: Made, platform: PlatformAPI) -> Addon:
        """Wait for `actions/provision`; Blocked when it does not come."""
        if not self.wait_until_provisioned(made.uuid, platform):
            calls = platform.addons[made.uuid].calls
            raise Blocked(f"the provision was not completed (async.completed); {said(calls)}", made.exchange)
        return platform.addons[made.uuid]

    def wait_until_provisioned(self, uuid: str, platform: PlatformAPI) -> bool:
        """Whether `actions/provision` came in time. Once it did not, nothing is waited for in this run any more."""
        seconds = 0.0 if self.journal.stuck else self.target.flow_seconds
        came = platform.wait_for(uuid, is_provisioned, seconds=seconds)
        self.journal.stuck = self.journal.stuck or not came
        return came

    def removed(self, **changes: Any) -> Made:
        """A resource that was deprovisioned; Blocked when that does not work."""
        made = self.made(**changes)
        answer = self.partner.deprovision(made.uuid)
        if not answer.ok:
            raise Blocked(f"the deprovision request this check begins with was {answer.answered}", answer)
        return made


def is_provisioned(addon: Addon) -> bool:
    """Whether the provider has said that the provision is done."""
    return bool(addon.made("POST", "/actions/provision"))


def _given(value: str, option: str) -> str:
    if not value:
        raise NotRun(f"needs {option}")
    return value


def said(calls: Iterable[object]) -> str:
    """The provider's calls to the Platform API in words."""
    text = ", ".join(str(call) for call in calls)
    return f"the provider called: {text}" if text else "the provider made no call to the Platform API"


# --- judging ------------------------------------------------------------------------------------------------
def expect(right: object, reason: str, *exchanges: Exchange) -> None:
    """Failed with the reason unless `right`."""
    if not right:
        raise Failed(reason, *exchanges)


def expect_status(exchange: Exchange, *statuses: int) -> None:
    """Failed unless the answer has one of the statuses."""
    wanted = " or ".join(str(status) for status in statuses)
    expect(exchange.status in statuses, f"{exchange.answered}, expected {wanted}", exchange)


def expect_success(exchange: Exchange) -> None:
    """Failed unless the answer is 2xx."""
    expect(exchange.ok, f"{exchange.answered}, expected 2xx", exchange)


def expect_refusal(exchange: Exchange) -> None:
    """Failed unless the answer is 4xx."""
    expect(exchange.refused, f"{exchange.answered}, expected 4xx", exchange)


def expect_message(exchange: Exchange) -> None:
    """Failed unless the answer is 422 with a message for people. A success or a fault is another check's matter."""
    if not exchange.refused:
        raise Blocked(f"{exchange.answered}, which is no refusal", exchange)
    expect_status(exchange, 422)
    message = exchange.object.get("message")
    expect(isinstance(message, str) and message.strip(), "the answer has no 'message' for people", exchange)
