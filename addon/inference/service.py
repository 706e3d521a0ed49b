"""The inference add-on behind the service contract."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse

from addon.inference import feed
from addon.inference.config import inference_url
from addon.inference.window import window_use
from provisioning import credentials
from provisioning.limits import limits_of
from provisioning.models import Plan, Resource, new_public_id
from provisioning.services import (
    AddonService,
    GeneratedSecret,
    Meter,
    Page,
    Provisions,
    Refusal,
    Step,
    UsageBatch,
)
from provisioning.steps import ISSUE_CREDENTIAL

KEY_PREFIX = "inf-"
_MODEL_KINDS = ("chat", "rerank")


class Inference(AddonService):
    """One plan for each model: the plan's slug is the model's id."""

    slug = "inference"
    name = "Inference"
    config_prefix = "INFERENCE"
    config_var_names = ("INFERENCE_URL", "INFERENCE_KEY", "INFERENCE_MODEL_ID")
    secret_config_vars = ("INFERENCE_KEY",)
    provisions = Provisions.IN_REQUEST
    provisioned_message = "Your model is ready: send requests to INFERENCE_URL with the key in INFERENCE_KEY."
    suspended_note = "Requests with the key are refused until then; the key itself stays as it is."
    icon = "message-2-code"
    pages = (
        Page("Overview", "home", "inference:overview"),
        Page("Usage", "chart-bar", "inference:usage"),
        Page("Requests", "list-details", "inference:requests"),
        Page("Quick start", "code", "inference:quickstart"),
        Page("Playground", "message-2-code", "inference:playground"),
    )
    usage_units = feed.UNITS

    def validate_limits(self, limits: Mapping[str, Any]) -> None:
        """`model_kind` and `requests_per_minute`; chat models also have `tokens_per_minute`."""
        kind = limits.get("model_kind")
        if kind not in _MODEL_KINDS:
            raise ValueError(f"model_kind is one of {_MODEL_KINDS}")
        needed = {"requests_per_minute"} | ({"tokens_per_minute"} if kind == "chat" else set())
        if limits.keys() - {"model_kind"} != needed:
            raise ValueError(f"a {kind} model's limits are {sorted(needed)}")
        if any(not isinstance(limits[key], int) or limits[key] <= 0 for key in needed):
            raise ValueError("limits are whole numbers above zero")

    def provision_steps(self) -> Sequence[Step]:
        """A key, and nothing outside of Postgres."""
        return (ISSUE_CREDENTIAL,)

    def config_vars(self, resource: Resource) -> dict[str, str]:
        """Origin, key and model id."""
        credential = credentials.active_credential(resource)
        if credential is None or resource.plan is None:
            raise ValueError(f"resource {resource.uuid} has no key or no plan")
        return {
            "INFERENCE_URL": inference_url(resource.region),
            "INFERENCE_KEY": credential.get_sealed("secret") or "",
            "INFERENCE_MODEL_ID": resource.plan.slug,
        }

    def check_plan_change(self, resource: Resource, plan: Plan) -> None:
        """Between chat and rerank models there is no change: an app built for one cannot call the other."""
        if resource.plan and resource.plan.limits["model_kind"] != plan.limits["model_kind"]:
            raise Refusal(
                f"'{resource.plan.slug}' is a {resource.plan.limits['model_kind']} model and '{plan.slug}' a "
                f"{plan.limits['model_kind']} model: your app calls them differently. Add '{plan.slug}' as another "
                "add-on instead.",
                code="model_kind_differs",
            )

    def generate_secret(self, resource: Resource) -> GeneratedSecret:
        """A key `inf-…` with a public part and a checksum."""
        public_id = new_public_id()
        return GeneratedSecret(public_id, credentials.new_key(prefix=KEY_PREFIX, public_id=public_id))

    def deprovision_steps(self) -> Sequence[Step]:
        """Nothing was made outside of Postgres."""
        return ()

    def dashboard_url(self, resource: Resource) -> str:
        """The overview."""
        return reverse("inference:overview", args=[resource.uuid])

    def usage_summary(self, resource: Resource) -> list[Meter]:
        """Requests and tokens per minute, and what the last 60 seconds have used of them."""
        limits = limits_of(resource)
        used = window_use(resource)
        meters = [
            Meter(
                "Requests",
                limits.get("requests_per_minute"),
                "requests/min",
                used.requests,
                key="requests_per_minute",
            )
        ]
        if "tokens_per_minute" in limits:
            meters.append(
                Meter(
                    "Tokens",
                    limits["tokens_per_minute"],
                    "tokens/min",
                    used.tokens,
                    help_text="Input and output together, with what running requests may still use.",
                    key="tokens_per_minute",
                )
            )
        return meters

    def limit_rows(self, plan: Plan) -> list[tuple[str, str]]:
        """The limits, and the metered prices, in words."""
        rows = [
            ("Model", plan.name),
            ("Kind", {"chat": "Chat completions", "rerank": "Rerank"}[plan.limits["model_kind"]]),
            ("Requests per minute", f"{plan.limits['requests_per_minute']:,}"),
        ]
        if "tokens_per_minute" in plan.limits:
            rows.append(("Tokens per minute", f"{plan.limits['tokens_per_minute']:,}"))
        for unit, cents in plan.metered.items():
            rows.append((f"Price per {unit.replace('_', ' ')}", f"${cents / 100:,.2f}"))
        return rows

    def read_usage(self, *, since: str, most: int) -> UsageBatch:
        """Tokens and search units of single requests."""
        return feed.read_usage(since=since, most=most)

    def usage_peaks(self, resource: Resource, *, since: datetime) -> list[Meter]:
        """The busiest and the fullest minute."""
        return feed.usage_peaks(resource, since=since)
