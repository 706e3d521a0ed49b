"""Addresses of this service's dashboard."""

from django.urls import path

from addon.kafkacluster import views

app_name = "kafkacluster"
urlpatterns = [
    path("kafkacluster/<uuid:uuid>/", views.overview, name="overview"),
]
