"""Addresses of this service's dashboard."""

from django.urls import path

from addon.inference import views

app_name = "inference"
urlpatterns = [
    path("inference/<uuid:uuid>/", views.overview, name="overview"),
]
