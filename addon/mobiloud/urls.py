"""Addresses of this service's dashboard, and of the apps' configuration."""

from django.urls import path

from addon.mobiloud import app_views, configure_views, views

app_name = "mobiloud"
_SITE = "mobiloud/<uuid:uuid>/"
urlpatterns = [
    path(_SITE, views.overview, name="overview"),
    path(f"{_SITE}website", configure_views.set_website, name="set-website"),
    path(f"{_SITE}configure/", views.configure, name="configure"),
    *(
        path(f"{_SITE}configure/{name}/", configure_views.section, {"name": name}, name=f"configure-{name}")
        for name in ("menu", "colors", "notifications", "settings")
    ),
    path(f"{_SITE}configure/advanced/", configure_views.advanced, name="configure-advanced"),
    path(f"{_SITE}configure/save", configure_views.save, name="save"),
    path(f"{_SITE}configure/save-document", configure_views.save_document, name="save-document"),
    path(f"{_SITE}configure/check", configure_views.check_document, name="check"),
    path(f"{_SITE}history/", configure_views.history, name="history"),
    path(f"{_SITE}history/roll-back", configure_views.roll_back, name="roll-back"),
    path(f"{_SITE}preview/framing", configure_views.framing, name="framing"),
    path(f"{_SITE}preview/icon.png", configure_views.icon, name="icon"),
    path("mobiloud/app/<str:token>/config.json", app_views.app_config, name="app-config"),
    path("mobiloud/preview/<str:token>/config.json", app_views.preview_config, name="preview-config"),
]
