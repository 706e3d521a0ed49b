"""Addresses of this service's dashboard, and of the apps' configuration."""

from django.urls import path

from addon.mobiloud import app_views, configure_views, operator_views, publish_views, views

app_name = "mobiloud"
_SITE = "mobiloud/<uuid:uuid>/"
_QUEUE = "admin/app-submissions/"
urlpatterns = [
    path(_SITE, views.overview, name="overview"),
    path(f"{_SITE}website", configure_views.set_website, name="set-website"),
    path(f"{_SITE}configure/", views.configure, name="configure"),
    *(
        path(f"{_SITE}configure/{name}/", configure_views.section, {"name": name}, name=f"configure-{name}")
        for name in ("menu", "colors", "notifications", "settings")
    ),
    path(f"{_SITE}configure/advanced/", configure_views.advanced, name="configure-advanced"),
    path(f"{_SITE}configure/save", configure_views.save, name="save"),
    path(f"{_SITE}configure/save-document", configure_views.save_document, name="save-document"),
    path(f"{_SITE}configure/check", configure_views.check_document, name="check"),
    path(f"{_SITE}history/", configure_views.history, name="history"),
    path(f"{_SITE}history/roll-back", configure_views.roll_back, name="roll-back"),
    path(f"{_SITE}preview/framing", configure_views.framing, name="framing"),
    path(f"{_SITE}preview/icon.png", configure_views.icon, name="icon"),
    path(f"{_SITE}publish/", publish_views.publish, name="configure-publish"),
    path(f"{_SITE}publish/form/<slug:slug>/", publish_views.form, name="configure-publish-form"),
    path(f"{_SITE}publish/start", publish_views.start, name="start-submission"),
    path(f"{_SITE}publish/save", publish_views.save, name="save-answers"),
    path(f"{_SITE}publish/upload", publish_views.upload, name="upload"),
    path(f"{_SITE}publish/upload/remove", publish_views.remove_upload, name="remove-upload"),
    path(f"{_SITE}publish/upload/<int:upload>", publish_views.show_upload, name="show-upload"),
    path(f"{_SITE}publish/sign", publish_views.sign, name="sign"),
    path(f"{_SITE}publish/certificate", publish_views.certificate, name="certificate"),
    path(f"{_SITE}publish/submit", publish_views.submit, name="submit"),
    path(f"{_SITE}publish/call", publish_views.schedule_call, name="schedule-call"),
    path(f"{_SITE}publish/revision", publish_views.publish_revision, name="publish-revision"),
    path("mobiloud/app/<str:token>/config.json", app_views.app_config, name="app-config"),
    path("mobiloud/preview/<str:token>/config.json", app_views.preview_config, name="preview-config"),
    path(_QUEUE, operator_views.queue, name="operator-queue"),
    path(f"{_QUEUE}<int:number>/", operator_views.one, name="operator-submission"),
    path(f"{_QUEUE}<int:number>/move", operator_views.move, name="operator-move"),
    path(f"{_QUEUE}<int:number>/note", operator_views.add_note, name="operator-note"),
    path(f"{_QUEUE}<int:number>/assign", operator_views.assign, name="operator-assign"),
    path(f"{_QUEUE}<int:number>/export", operator_views.export, name="operator-export"),
    path(f"{_QUEUE}<int:number>/upload/<int:upload>", operator_views.upload, name="operator-upload"),
    path(f"{_QUEUE}<int:number>/certificate", operator_views.certificate, name="operator-certificate"),
]
