"""Django's settings. Values that differ by machine come from `addon.env`."""

from pathlib import Path
from typing import Any

from celery.schedules import crontab
from psycopg.conninfo import conninfo_to_dict

from addon.env import PartnerSecrets, load_env_file, read_environment, secret_list
from addon.logs import logging_config
from addon.reporting import report_errors
from advisories.config import AdvisoriesEnvironment
from mail.config import MailEnvironment
from operators.config import OperatorsEnvironment
from sso.config import SSOEnvironment

BASE_DIR = Path(__file__).resolve().parent.parent
load_env_file()
ENV = read_environment()
DEVELOPMENT = ENV.addonworks_env == "development"

SECRET_KEY = ENV.secret_key.get_secret_value()
SECRET_KEY_FALLBACKS = list(secret_list(ENV.secret_key_fallbacks))
PRODUCTION = ENV.addonworks_env == "production"
DEBUG = False
ALLOWED_HOSTS = [*ENV.hosts, *(["127.0.0.1", "localhost"] if not ENV.secure else [])]
BASE_URL = ENV.base_url.rstrip("/")

# --- the services this provider sells: a fourth one is a folder and a line here -----------------------------
ADDON_SERVICES = [
    "addon.inference.service.Inference",
    "addon.kafkacluster.service.KafkaCluster",
    "addon.mobiloud.service.MobiLoud",
    *ENV.more_services.split(),
]
PARTNER_SECRETS = {path.split(".")[-3]: PartnerSecrets.read(path.split(".")[-3]) for path in ADDON_SERVICES}

INSTALLED_APPS = [
    "operators",  # before Django's admin, whose templates it replaces
    "operators.admin_config.OperatorsAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "provisioning",
    "sso",
    "mail",
    "billing",
    "advisories",
    *(path.rsplit(".", 2)[0] for path in ADDON_SERVICES),
]

MIDDLEWARE = [
    "addon.middleware.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "addon.middleware.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "addon.urls"
ASGI_APPLICATION = "addon.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "addon.middleware.page_context",
            ],
        },
    },
]

# --- Postgres -------------------------------------------------------------------------------------------------
_conninfo = conninfo_to_dict(ENV.database_url.get_secret_value())
DATABASES = {
    "default": {
        "ENGINE": "provisioning.postgres",
        "HOST": _conninfo.pop("host", ""),
        "PORT": str(_conninfo.pop("port", "")),
        "NAME": _conninfo.pop("dbname", ""),
        "USER": _conninfo.pop("user", ""),
        "PASSWORD": _conninfo.pop("password", ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_conninfo,
            # Statements repeat for as long as the connection lives: Postgres plans each of them once.
            "server_side_binding": True,
            "prepare_threshold": 3,
            # A statement that hangs would hold a row that Heroku's next call needs.
            "options": "-c statement_timeout=20000 -c lock_timeout=10000",
        },
    }
}
WEB_THREADS = ENV.web_threads
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Celery ---------------------------------------------------------------------------------------------------
REDIS_URL = ENV.redis_url.get_secret_value()
CELERY_BROKER_URL = REDIS_URL
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False
# A task ends before the lease of the row it works on does: two workers never act on one operation.
CELERY_TASK_SOFT_TIME_LIMIT = max(1, int(ENV.operation_lease_seconds * 0.75))
CELERY_TASK_TIME_LIMIT = max(2, int(ENV.operation_lease_seconds * 0.9))
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_connect_timeout": 1.0,
    # A broker that takes connections and never answers must not keep the sender of wake-ups for ever.
    "socket_timeout": 5.0,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = ""


def _every(
    schedule: float | crontab, task: str, *, queue: str, expires: float | None = None
) -> dict[str, Any]:
    """An entry of the schedule: seconds or a time of day; a message nobody took by the next one is dropped."""
    until = schedule if expires is None and not isinstance(schedule, crontab) else expires
    return {"task": task, "schedule": schedule, "options": {"expires": until, "queue": queue}}


CELERY_BEAT_SCHEDULE = {
    "sweep": _every(ENV.sweep_interval_seconds, "provisioning.sweep", queue="maintenance", expires=60),
    "reconcile": _every(86400.0, "provisioning.reconcile", queue="maintenance", expires=3600),
    "inference-roll-up": _every(15.0, "inference.roll_up", queue="usage"),
    "inference-settle-interrupted": _every(15.0, "inference.settle_interrupted", queue="usage"),
    "inference-usage-upkeep": _every(
        crontab(hour=3, minute=20), "inference.keep_up_usage", queue="usage", expires=3600
    ),
    "kafka-usage": _every(60.0, "kafkacluster.count_usage", queue="usage"),
    "kafka-topics": _every(30.0, "kafkacluster.settle_topics", queue="maintenance"),
    "kafka-rates": _every(10.0, "kafkacluster.sample_rates", queue="usage"),
    "kafka-reconcile": _every(900.0, "kafkacluster.reconcile", queue="maintenance"),
    "billing-usage": _every(60.0, "billing.collect_usage", queue="usage"),
    "billing-limits": _every(600.0, "billing.check_limits", queue="usage"),
    "billing-close": _every(15.0, "billing.close_months", queue="maintenance"),
    "billing-keep-up": _every(
        crontab(hour=4, minute=10), "billing.keep_up", queue="maintenance", expires=3600
    ),
    "mobiloud-purge": _every(3600.0, "mobiloud.purge", queue="maintenance"),
    "purge-heroku-calls": _every(
        86400.0, "provisioning.purge_heroku_calls", queue="maintenance", expires=3600
    ),
    "purge-operator-sessions": _every(3600.0, "operators.purge_sessions", queue="maintenance"),
    "purge-logins": _every(900.0, "sso.purge", queue="maintenance"),
    "app-logs": _every(5.0, "sso.write_app_logs", queue="notices"),
    "advisories": _every(15.0, "advisories.follow", queue="notices"),
    "mail-sweep": _every(10.0, "mail.sweep", queue="notices"),
    "mail-feed": _every(20.0, "mail.read_feed", queue="notices"),
    "mail-purge": _every(crontab(hour=3, minute=40), "mail.purge", queue="maintenance", expires=3600),
    "mail-contacts": _every(60.0, "mail.read_contacts", queue="notices"),
}

# --- Heroku ---------------------------------------------------------------------------------------------------
HEROKU_API_URL = ENV.heroku_api_url.rstrip("/")
HEROKU_ID_URL = ENV.heroku_id_url.rstrip("/")
HEROKU_DASHBOARD_URL = ENV.heroku_dashboard_url.rstrip("/")
OPERATION_LEASE_SECONDS = ENV.operation_lease_seconds
CREDENTIAL_OVERLAP_SECONDS = ENV.credential_overlap_seconds
DATA_RETENTION_DAYS = ENV.data_retention_days
FETCH_ALSO_ALLOWED = frozenset(
    pair.strip()
    for pair in (ENV.fetch_also_allowed if ENV.addonworks_env != "production" else "").split(",")
    if pair.strip()
)
SEALING_KEYS = secret_list(ENV.sealing_keys)
PEPPERS = secret_list(ENV.peppers)
METRICS_TOKEN = ENV.metrics_token.get_secret_value() if ENV.metrics_token else None

# --- the customer's door --------------------------------------------------------------------------------------
_SSO = SSOEnvironment()
SSO_ACCEPT_LEGACY = _SSO.accept_legacy
SSO_WINDOW_SECONDS = _SSO.window_seconds
SSO_SESSION_IDLE_SECONDS = _SSO.session_idle_seconds
SSO_SESSION_ABSOLUTE_SECONDS = _SSO.session_absolute_seconds
# Functions that have something to say above every dashboard page; see sso.frame.NoticeSource.
DASHBOARD_NOTICES: list[str] = [
    "advisories.notices.notices",
    "addon.kafkacluster.notices.notices",
    "billing.notices.notices",
]
DESIGN_GALLERY = ENV.addonworks_env != "production"

# --- the operator's door --------------------------------------------------------------------------------------
_OPERATORS = OperatorsEnvironment()
OPERATOR_SESSION_IDLE_SECONDS = _OPERATORS.session_idle_seconds
OPERATOR_SESSION_ABSOLUTE_SECONDS = SESSION_COOKIE_AGE = _OPERATORS.session_absolute_seconds
AUTHENTICATION_BACKENDS = ["operators.roles.RoleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- security notices -----------------------------------------------------------------------------------------
_SECURITY = AdvisoriesEnvironment()
SECURITY_CONTACT, SECURITY_POLICY_URL = _SECURITY.contact, _SECURITY.policy_url
SECURITY_ENCRYPTION_URL = _SECURITY.encryption_url

# --- mail -----------------------------------------------------------------------------------------------------
_MAIL = MailEnvironment()
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if _MAIL.email_host else 'console'}.EmailBackend"
EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = _MAIL.email_host, _MAIL.email_port, _MAIL.email_timeout
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.email_host_user, _MAIL.email_host_password.get_secret_value()
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL.email_security == "starttls", _MAIL.email_security == "tls"
DEFAULT_FROM_EMAIL = SERVER_EMAIL = _MAIL.default_from_email
MAIL_PER_SECOND, MAIL_WORKERS = _MAIL.mail_per_second, _MAIL.mail_workers
MAIL_LEASE_SECONDS = _MAIL.mail_lease_seconds
MAIL_KEEP_TRYING_HOURS = _MAIL.mail_keep_trying_hours
MAIL_TEXT_DAYS = _MAIL.mail_text_days
MAIL_RETENTION_DAYS = _MAIL.mail_retention_days
MAIL_EVENTS_URL, MAIL_EVENTS_KEY = _MAIL.mail_events_url, _MAIL.mail_events_key.get_secret_value()
MAIL_EVENTS_LAG_SECONDS = _MAIL.mail_events_lag_seconds
MAIL_WEBHOOK_KEYS = secret_list(_MAIL.mail_webhook_keys)

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}

# --- what a browser gets --------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [path for path in [BASE_DIR / "frontend" / "dist"] if path.is_dir()]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if ENV.addonworks_env == "test"
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = ENV.addonworks_env == "test"
SECURE_SSL_REDIRECT = False  # the platform's router does it, and Heroku's own calls must never be redirected
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV.secure else None
SECURE_HSTS_SECONDS = 31_536_000 if ENV.secure else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = ENV.secure
SECURE_HSTS_PRELOAD = ENV.secure
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENV.secure
SESSION_COOKIE_NAME = "__Host-operator" if ENV.secure else "operator"
CSRF_COOKIE_NAME = "__Host-csrf" if ENV.secure else "csrf"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "sso.doors.csrf_failed"
CSRF_TRUSTED_ORIGINS = [BASE_URL] if BASE_URL.startswith(("http://", "https://")) else []
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
# Heroku's own pages post the SSO form from another origin.
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

LOGGING_CONFIG = None
logging_config(log_format=ENV.log_format, level=ENV.log_level)
if ENV.sentry_dsn:
    report_errors(
        ENV.sentry_dsn.get_secret_value(), environment=ENV.addonworks_env, release=ENV.heroku_slug_commit
    )

SILENCED_SYSTEM_CHECKS = [
    "security.W008",  # SECURE_SSL_REDIRECT: see above
]
