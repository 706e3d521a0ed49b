"""Addresses of the customer's door, and of what the pages of every dashboard ask for."""

from django.urls import path

from sso import operators, views

app_name = "sso"
urlpatterns = [
    path("sso/login", views.login, name="login"),
    path("sso/logout", views.logout_everywhere, name="logout-everywhere"),
    path("sso/logout/<uuid:uuid>", views.logout, name="logout"),
    path("sso/logged-out", views.logged_out, name="logged-out"),
    path("dashboard/<uuid:uuid>/reveal", views.reveal, name="reveal"),
    path("dashboard/<uuid:uuid>/rotate", views.rotate, name="rotate"),
    path("dashboard/<uuid:uuid>/operations/<int:number>", views.operation, name="operation"),
    path("admin/resources/<uuid:uuid>/dashboard/", operators.open_dashboard, name="operator-dashboard"),
    path("design/", views.gallery, name="gallery"),
]
