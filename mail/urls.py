"""Addresses of the contacts page and of the provider's events."""

from django.urls import path

from mail import views

app_name = "mail"
urlpatterns = [
    path("mail/events", views.events, name="events"),
    path("contacts/<uuid:uuid>/", views.contacts_page, name="contacts"),
    path("dashboard/<uuid:uuid>/contacts", views.add_contact, name="add-contact"),
    path("dashboard/<uuid:uuid>/contacts/<int:number>/remove", views.remove_contact, name="remove-contact"),
]
