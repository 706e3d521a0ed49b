"""Every address of the web process, except the inference API's, which `addon.asgi` takes first."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from addon import health

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("", include("provisioning.urls")),
    path("", include("sso.urls")),
    path("", include("operators.urls")),
    path("", include("mail.urls")),
    path("", include("billing.urls")),
    path("", include("advisories.urls")),
    *(path("", include(f"{service.rsplit('.', 2)[0]}.urls")) for service in settings.ADDON_SERVICES),
    path("admin/money/", include("billing.operator_urls")),
    path("admin/", admin.site.urls),
]

handler400 = "addon.errors.bad_request"
handler403 = "addon.errors.forbidden"
handler404 = "addon.errors.not_found"
handler500 = "addon.errors.server_error"
