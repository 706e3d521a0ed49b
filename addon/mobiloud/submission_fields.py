"""The app submission form as data: sections, fields, and what a complete answer is, for page, checks and export."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from provisioning.safe_fetch import check_url
from provisioning.services import Refusal

Kind = Literal["text", "email", "phone", "url", "lines", "choice", "secret", "switch", "package"]
TEXT_LONGEST = 200
LINES_LONGEST = 8000
YES = "yes"
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{4,30}")
_PACKAGE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*(\.[a-zA-Z][a-zA-Z0-9_]*){1,}")
_LINE_BREAKS = "\n\t"


@dataclass(frozen=True)
class Field:
    """One question. `needed_if` names a field and the answer that makes this one needed as well."""

    name: str
    label: str
    kind: Kind = "text"
    needed: bool = False
    needed_if: tuple[str, str] | None = None
    help_text: str = ""
    longest: int = TEXT_LONGEST
    choices: tuple[tuple[str, str], ...] = ()

    def is_needed(self, answers: Mapping[str, str]) -> bool:
        """Whether a submission lacks something without it, given the other answers."""
        return self.needed or (
            self.needed_if is not None and answers.get(self.needed_if[0]) == self.needed_if[1]
        )


@dataclass(frozen=True)
class Section:
    """One part of the form. `uploads` are kinds of `uploads.KINDS`."""

    slug: str
    title: str
    lead: str
    fields: tuple[Field, ...] = ()
    uploads: tuple[str, ...] = ()
    signed: bool = False


_PLATFORMS = (("both", "iOS and Android"), ("ios", "iOS only"), ("android", "Android only"))
_SITE_KINDS = (
    ("wordpress", "WordPress"),
    ("shopify", "Shopify"),
    ("woocommerce", "WooCommerce"),
    ("magento", "Magento"),
    ("custom", "Custom or other"),
)
_PROVIDERS = (
    ("onesignal", "OneSignal"),
    ("firebase", "Firebase Cloud Messaging"),
    ("klaviyo", "Klaviyo"),
    ("other", "Another one"),
    ("none", "No push notifications"),
)
_CATEGORIES = tuple(
    (name.lower().replace(" & ", "-").replace(" ", "-"), name)
    for name in (
        "Books", "Business", "Education", "Entertainment", "Finance", "Food & Drink", "Health & Fitness",
        "Lifestyle", "Magazines", "Medical", "Music", "News", "Productivity", "Reference", "Shopping",
        "Social Networking", "Sports", "Travel", "Utilities", "Weather",
    )
)  # fmt: skip

SECTIONS: tuple[Section, ...] = (
    Section(
        "contact",
        "Contact",
        "Whom we write to and call about this app.",
        (
            Field("contact_name", "Full name", needed=True),
            Field("contact_email", "E-mail", "email", needed=True),
            Field("contact_phone", "Phone", "phone", help_text="With the country code, such as +1 555 0100."),
            Field("company", "Company", needed=True),
            Field("country", "Country", needed=True),
        ),
    ),
    Section(
        "website",
        "Website and platforms",
        "What becomes an app, and for which phones.",
        (
            Field("website_url", "Website URL", "url", needed=True),
            Field("platforms", "Platforms", "choice", needed=True, choices=_PLATFORMS),
            Field("site_kind", "Built with", "choice", needed=True, choices=_SITE_KINDS),
            Field("login_needed", "People log in on the site", "switch"),
            Field(
                "test_user", "Test user", needed_if=("login_needed", YES),
                help_text="An account that Apple's and Google's reviewers may use.",
            ),
            Field("test_password", "Test user's password", "secret", needed_if=("login_needed", YES)),
            Field("website_notes", "Anything we should know", "lines", longest=LINES_LONGEST),
        ),
    ),
    Section(
        "access",
        "Admin access",
        "Only if we are to change something on your site. Stored encrypted, shown to nobody again.",
        (
            Field("admin_needed", "We may log in to the site's administration", "switch"),
            Field("admin_url", "Login page", "url", needed_if=("admin_needed", YES)),
            Field("admin_user", "User name", needed_if=("admin_needed", YES)),
            Field("admin_password", "Password", "secret", needed_if=("admin_needed", YES)),
        ),
    ),
    Section(
        "stores",
        "Developer accounts",
        "The apps are published in your own accounts, which stay yours.",
        (
            Field("apple_team", "Apple developer team name"),
            Field("apple_team_id", "Apple team ID", help_text="Ten characters, under Membership details."),
            Field(
                "apple_invited", "We were invited to App Store Connect as an admin", "switch",
                help_text="Invite apps@mobiloud.com under Users and Access.",
            ),
            Field("apple_key", "App Store Connect API key (.p8)", "secret", longest=LINES_LONGEST),
            Field("google_account", "Google Play developer account name"),
            Field("google_invited", "We were invited to the Play Console", "switch"),
            Field("google_key", "Play service account key (JSON)", "secret", longest=LINES_LONGEST),
        ),
    ),
    Section(
        "analytics",
        "Analytics and Firebase",
        "So that your numbers go on in the apps.",
        (
            Field("analytics_id", "Google Analytics measurement ID", help_text="Such as G-XXXXXXXXXX."),
            Field("firebase_project", "Firebase project ID"),
            Field("firebase_key", "Firebase service account key (JSON)", "secret", longest=LINES_LONGEST),
            Field("analytics_notes", "Other analytics", "lines", longest=LINES_LONGEST),
        ),
    ),
    Section(
        "graphics",
        "App graphics",
        "PNG or JPEG, at most 10 MB each. We check them against the stores' rules at once.",
        (Field("graphics_notes", "Notes for the designer", "lines", longest=LINES_LONGEST),),
        ("app_icon", "logo", "splash", "feature_graphic", "iphone_screenshot", "android_screenshot"),
    ),
    Section(
        "push",
        "Push notifications",
        "Who sends your notifications.",
        (
            Field("push_provider", "Provider", "choice", needed=True, choices=_PROVIDERS),
            Field("push_app_id", "App ID at the provider", needed_if=("push_provider", "onesignal")),
            Field("push_key", "API key of the provider", "secret"),
            Field("push_other", "Which one", needed_if=("push_provider", "other")),
        ),
    ),
    Section(
        "listing",
        "Store listing",
        "How the app is shown in the App Store and on Google Play. The lengths are the stores' own.",
        (
            Field("app_name", "App name", needed=True, longest=30),
            Field("subtitle", "Subtitle (App Store)", longest=30),
            Field("short_description", "Short description (Google Play)", needed=True, longest=80),
            Field("description", "Description", "lines", needed=True, longest=4000),
            Field("keywords", "Keywords (App Store)", longest=100, help_text="Separated by commas."),
            Field("category", "Category", "choice", needed=True, choices=_CATEGORIES),
            Field("bundle_id", "Bundle ID", "package", help_text="Such as com.example.shop; empty: we choose one."),
            Field("privacy_url", "Privacy policy URL", "url", needed=True),
            Field("support_url", "Support URL", "url", needed=True),
            Field("copyright", "Copyright line", longest=100),
        ),
    ),
    Section(
        "legal",
        "Legal and signature",
        "Read the agreement, then sign it by typing your name or drawing it.",
        (
            Field("legal_name", "Your full legal name", needed=True),
            Field("legal_role", "Your role in the company", needed=True),
            Field("agrees", "I have read the agreement and may sign it for the company", "switch", needed=True),
        ),
        signed=True,
    ),
)  # fmt: skip

FIELDS: Mapping[str, Field] = {field.name: field for section in SECTIONS for field in section.fields}
BY_SLUG: Mapping[str, Section] = {section.slug: section for section in SECTIONS}


@cache
def agreement() -> str:
    """The text that is signed."""
    return (Path(__file__).parent / "agreement.txt").read_text()


@cache
def agreement_digest() -> str:
    """SHA-256 of the text's UTF-8 bytes, in hex."""
    return sha256(agreement().encode()).hexdigest()


def clean(field: Field, value: str) -> str:
    """The value as it is stored, while the form is still being filled in; Refusal for what cannot be kept at all."""
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    if field.kind not in ("lines", "secret"):
        value = value.strip()
    allowed = _LINE_BREAKS if field.kind in ("lines", "secret") else ""
    if any((not c.isprintable() and c not in allowed and c != "\u200d") or c == "\0" for c in value):
        raise Refusal(f"{field.label}: there is a character in it that is not text.", code="field_unfit")
    if len(value) > field.longest:
        raise Refusal(
            f"{field.label}: at most {field.longest} characters, this has {len(value)}.", code="field_unfit"
        )
    if value and field.kind == "choice" and value not in dict(field.choices):
        raise Refusal(f"{field.label}: choose one of the list.", code="field_unfit")
    if value and field.kind == "switch" and value != YES:
        raise Refusal(f"{field.label}: is either on or off.", code="field_unfit")
    return value


def problem(field: Field, value: str) -> str:
    """What keeps a stored value from being submitted, in a sentence; empty when nothing does."""
    if not value:
        return ""
    if field.kind == "url":
        try:
            check_url(value)
        except Refusal as refusal:
            return refusal.message
    if field.kind == "email":
        try:
            validate_email(value)
        except ValidationError:
            return "That is not an e-mail address."
    if field.kind == "phone" and not _PHONE.fullmatch(value):
        return "That is not a telephone number."
    if field.kind == "package" and not _PACKAGE.fullmatch(value):
        return "Write it as com.example.shop."
    return ""
