"""Where Heroku calls us."""

from django.urls import path

from provisioning.api import ResourcesView, ResourceView

urlpatterns = [
    path("heroku/resources", ResourcesView.as_view()),
    path("heroku/resources/", ResourcesView.as_view()),
    path("heroku/resources/<str:uuid>", ResourceView.as_view()),
]
