"""Addresses of the customers', the public and the operators' pages."""

from django.urls import path

from advisories import operator_views, report_views, views

app_name = "advisories"
_ONE = "admin/advisories/<str:number>"
_CUSTOMER = "dashboard/<uuid:uuid>/advisories/<str:number>"
urlpatterns = [
    path("security/<uuid:uuid>/", views.security, name="security"),
    path(f"{_CUSTOMER}/acknowledge", views.acknowledge, name="acknowledge"),
    path(f"{_CUSTOMER}/mitigated", views.mitigated, name="mitigated"),
    path(f"{_CUSTOMER}/rotate", views.rotate, name="rotate"),
    path("dashboard/<uuid:uuid>/vulnerability-reports", views.report, name="send-report"),
    path(
        "dashboard/<uuid:uuid>/vulnerability-reports/<str:number>", views.add_to_report, name="add-to-report"
    ),
    path("advisories/", views.public, name="public"),
    path("advisories/feed.atom", views.feed, name="feed"),
    path("advisories/<str:number>/", views.public_one, name="public-one"),
    path("advisories/<str:number>/csaf.json", views.public_csaf, name="public-csaf"),
    path("advisories/<str:number>/osv.json", views.public_osv, name="public-osv"),
    path(".well-known/security.txt", views.security_txt, name="security-txt"),
    path("admin/advisories/", operator_views.listed, name="operator-list"),
    path("admin/advisories/new/", operator_views.new, name="operator-new"),
    path("admin/advisories/scope/", operator_views.scope_count, name="scope-count"),
    path(f"{_ONE}/", operator_views.one, name="operator-one"),
    path(f"{_ONE}/edit/", operator_views.edit, name="operator-edit"),
    path(f"{_ONE}/do/<slug:name>/", operator_views.act, name="operator-act"),
    path(f"{_ONE}/evidence.csv", operator_views.evidence_csv, name="evidence"),
    path(f"{_ONE}/csaf.json", operator_views.csaf, name="operator-csaf"),
    path(f"{_ONE}/osv.json", operator_views.osv, name="operator-osv"),
    path("admin/vulnerability-reports/", report_views.listed, name="reports"),
    path("admin/vulnerability-reports/new/", report_views.new, name="report-new"),
    path("admin/vulnerability-reports/<str:number>/", report_views.one, name="report"),
]
