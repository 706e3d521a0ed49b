"""Addresses of this service's dashboard."""

from django.urls import path

from addon.inference import views

app_name = "inference"
urlpatterns = [
    path("inference/<uuid:uuid>/", views.overview, name="overview"),
    path("inference/<uuid:uuid>/usage", views.usage, name="usage"),
    path("inference/<uuid:uuid>/usage/now", views.usage_refresh, name="usage-refresh"),
    path("inference/<uuid:uuid>/requests", views.requests, name="requests"),
    path("inference/<uuid:uuid>/quickstart", views.quickstart, name="quickstart"),
    path("inference/<uuid:uuid>/playground", views.playground, name="playground"),
]
