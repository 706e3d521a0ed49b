"""Addresses of this service's dashboard."""

from django.urls import path

from addon.kafkacluster import cluster_views, group_views, message_views, topic_views, views

app_name = "kafkacluster"
_TOPIC = "kafkacluster/<uuid:uuid>/topics/<str:name>/"
urlpatterns = [
    path("kafkacluster/<uuid:uuid>/", views.overview, name="overview"),
    path("kafkacluster/<uuid:uuid>/quotas/", cluster_views.quotas, name="quotas"),
    path("kafkacluster/<uuid:uuid>/quotas/live", cluster_views.live, name="live"),
    path("kafkacluster/<uuid:uuid>/replication/", cluster_views.replication, name="replication"),
    path("kafkacluster/<uuid:uuid>/start/", views.start, name="start"),
    path("kafkacluster/<uuid:uuid>/topics/", topic_views.index, name="topics"),
    path("kafkacluster/<uuid:uuid>/topics/create", topic_views.create, name="create-topic"),
    path(_TOPIC, topic_views.one, name="topics-one"),
    path(f"{_TOPIC}configure", topic_views.configure, name="configure-topic"),
    path(f"{_TOPIC}partitions", topic_views.add_partitions, name="add-partitions"),
    path(f"{_TOPIC}purge", topic_views.purge, name="purge-topic"),
    path(f"{_TOPIC}export", message_views.export, name="export-topic"),
    path(f"{_TOPIC}delete", topic_views.delete, name="delete-topic"),
    path("kafkacluster/<uuid:uuid>/groups/", group_views.index, name="groups"),
    path("kafkacluster/<uuid:uuid>/groups/one", group_views.one, name="groups-one"),
    path("kafkacluster/<uuid:uuid>/groups/register", group_views.register, name="register-group"),
    path("kafkacluster/<uuid:uuid>/groups/reset", group_views.reset, name="reset-group"),
    path("kafkacluster/<uuid:uuid>/groups/forget-topic", group_views.forget_topic, name="forget-topic"),
    path("kafkacluster/<uuid:uuid>/groups/delete", group_views.delete, name="delete-group"),
    path("kafkacluster/<uuid:uuid>/messages/", message_views.index, name="messages"),
    path("kafkacluster/<uuid:uuid>/messages/send", message_views.send, name="send-message"),
]
