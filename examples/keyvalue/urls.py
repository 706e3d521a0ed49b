"""Addresses of this service."""

from django.urls import path

from examples.keyvalue import views

app_name = "keyvalue"
urlpatterns = [
    path("keyvalue/<uuid:uuid>/", views.overview, name="overview"),
    path("keyvalue/v1/<str:key>", views.entry, name="entry"),
]
