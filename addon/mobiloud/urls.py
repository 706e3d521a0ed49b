"""Addresses of this service's dashboard."""

from django.urls import path

from addon.mobiloud import views

app_name = "mobiloud"
urlpatterns = [
    path("mobiloud/<uuid:uuid>/", views.overview, name="overview"),
]
