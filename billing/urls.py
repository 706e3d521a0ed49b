"""Addresses of the customer's page. The operators' are in `operator_urls`."""

from django.urls import path

from billing import views

app_name = "billing"
urlpatterns = [
    path("billing/<uuid:uuid>/", views.overview, name="overview"),
    path("billing/<uuid:uuid>/usage.csv", views.usage_csv, name="usage-csv"),
    path("billing/<uuid:uuid>/history.csv", views.history_csv, name="history-csv"),
    path("dashboard/<uuid:uuid>/budget", views.budget, name="budget"),
]
