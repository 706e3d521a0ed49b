"""Addresses of the customer's door."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
