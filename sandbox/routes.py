"""The Platform API's paths."""

from __future__ import annotations

from aiohttp import web

from sandbox import customer, partner
from sandbox.web_api import endpoint


def platform_routes() -> list[web.RouteDef]:
    """Every Platform API path the sandbox answers, for customers and for providers."""
    return [
        web.get("/account", endpoint("account", customer=customer.account)),
        web.get("/users/~", endpoint("account", customer=customer.account)),
        web.get(
            "/users/{user}/apps", endpoint("app", customer=customer.list_apps, partner=partner.list_apps)
        ),
        web.get("/account/rate-limits", endpoint("account", customer=customer.rate_limits)),
        web.get("/teams", endpoint("account", customer=customer.nothing)),
        web.get("/apps", endpoint("app", customer=customer.list_apps, partner=partner.list_apps)),
        web.post("/apps", endpoint("app", customer=customer.create_app)),
        web.get("/apps/{app}", endpoint("app", customer=customer.show_app, partner=partner.show_app)),
        web.patch("/apps/{app}", endpoint("app", customer=customer.update_app)),
        web.delete("/apps/{app}", endpoint("app", customer=customer.delete_app)),
        web.get("/apps/{app}/config-vars", endpoint("config_vars", customer=customer.config_vars)),
        web.patch("/apps/{app}/config-vars", endpoint("config_vars", customer=customer.update_config_vars)),
        web.get("/apps/{app}/releases", endpoint("releases", customer=customer.releases)),
        web.get("/apps/{app}/releases/{release}", endpoint("releases", customer=customer.show_release)),
        web.get(
            "/apps/{app}/collaborators",
            endpoint("collaborators", customer=customer.collaborators, partner=partner.collaborators),
        ),
        web.post("/apps/{app}/collaborators", endpoint("collaborators", customer=customer.add_collaborator)),
        web.delete(
            "/apps/{app}/collaborators/{collaborator}",
            endpoint("collaborators", customer=customer.remove_collaborator),
        ),
        web.get("/addon-services", endpoint("services", customer=customer.list_services)),
        web.get("/addon-services/{service}", endpoint("services", customer=customer.show_service)),
        web.get("/addon-services/{service}/plans", endpoint("services", customer=customer.list_plans)),
        web.get("/addon-services/{service}/plans/{plan}", endpoint("services", customer=customer.show_plan)),
        web.get("/plans/{plan}", endpoint("services", customer=customer.show_plan)),
        *_addon_routes(),
        *_attachment_routes(),
        *_webhook_routes(),
    ]


def _addon_routes() -> list[web.RouteDef]:
    return [
        web.get("/addons", endpoint("addon", customer=customer.list_addons, partner=partner.list_addons)),
        web.get(
            "/addons/{addon}", endpoint("addon", customer=customer.show_addon, partner=partner.show_addon)
        ),
        web.patch("/addons/{addon}", endpoint("addon", customer=customer.update_addon)),
        web.get(
            "/addons/{addon}/config",
            endpoint("config", customer=customer.addon_config, partner=partner.config),
        ),
        web.patch("/addons/{addon}/config", endpoint("config_update", partner=partner.update_config)),
        web.post("/addons/{addon}/actions/provision", endpoint("provision", partner=partner.provision)),
        web.post("/addons/{addon}/actions/deprovision", endpoint("deprovision", partner=partner.deprovision)),
        web.get(
            "/apps/{app}/addons",
            endpoint("addon", customer=customer.list_app_addons, partner=partner.list_addons),
        ),
        web.post("/apps/{app}/addons", endpoint("addon", customer=customer.create_addon)),
        web.get("/apps/{app}/addons/{addon}", endpoint("addon", customer=customer.show_addon)),
        web.patch("/apps/{app}/addons/{addon}", endpoint("addon", customer=customer.update_addon)),
        web.delete("/apps/{app}/addons/{addon}", endpoint("addon", customer=customer.delete_addon)),
        web.get("/apps/{app}/addons/{addon}/sso", endpoint("sso", customer=customer.sso_parameters)),
        web.post("/actions/addons/resolve", endpoint("addon", customer=customer.resolve_addons)),
    ]


def _attachment_routes() -> list[web.RouteDef]:
    listing = {"customer": customer.list_attachments, "partner": partner.attachments}
    return [
        web.get("/addon-attachments", endpoint("attachments", customer=customer.list_attachments)),
        web.post("/addon-attachments", endpoint("attachments", customer=customer.create_attachment)),
        web.get(
            "/addon-attachments/{attachment}", endpoint("attachments", customer=customer.show_attachment)
        ),
        web.delete(
            "/addon-attachments/{attachment}", endpoint("attachments", customer=customer.delete_attachment)
        ),
        web.get("/addons/{addon}/addon-attachments", endpoint("attachments", **listing)),
        web.get("/apps/{app}/addon-attachments", endpoint("attachments", **listing)),
        web.get(
            "/apps/{app}/addon-attachments/{attachment}",
            endpoint("attachments", customer=customer.show_attachment),
        ),
        web.post(
            "/actions/addon-attachments/resolve",
            endpoint("attachments", customer=customer.resolve_attachments),
        ),
    ]


def _webhook_routes() -> list[web.RouteDef]:
    many, one = "/addons/{addon}/webhooks", "/addons/{addon}/webhooks/{webhook}"
    return [
        web.get(many, endpoint("webhooks", partner=partner.list_webhooks)),
        web.post(many, endpoint("webhooks", partner=partner.create_webhook)),
        web.get(one, endpoint("webhooks", partner=partner.show_webhook)),
        web.patch(one, endpoint("webhooks", partner=partner.update_webhook)),
        web.delete(one, endpoint("webhooks", partner=partner.delete_webhook)),
    ]
