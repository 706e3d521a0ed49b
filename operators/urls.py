"""Addresses of the operators' own pages; they come before the admin site's, below the same beginning."""

from django.urls import path

from operators import pages

app_name = "operators"
urlpatterns = [
    path("admin/resources/<uuid:uuid>/", pages.resource_page, name="resource"),
    path("admin/resources/<uuid:uuid>/export/", pages.export_data, name="export-data"),
    path("admin/resources/<uuid:uuid>/limits/", pages.set_limit, name="set-limit"),
    path("admin/resources/<uuid:uuid>/limits/<int:number>/end/", pages.end_limit, name="end-limit"),
    path("admin/resources/<uuid:uuid>/<slug:name>/", pages.resource_action, name="resource-action"),
    path("admin/operations/<int:number>/", pages.operation_page, name="operation"),
    path("admin/operations/<int:number>/<slug:name>/", pages.operation_action, name="operation-action"),
]
