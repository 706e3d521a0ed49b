"""What a website tells of itself: its name, icon, colours, and whether it lets itself be shown in a frame."""

import io
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from PIL import Image

from provisioning.safe_fetch import Fetched, FetchFailed, fetch
from provisioning.services import Refusal

ICON_PIXELS = 192
_ICON_LARGEST = 2_000_000
_PIXELS_LARGEST = 25_000_000
_PAGE_LARGEST = 600_000
_NAME_LONGEST = 60
_HEX = re.compile(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")
_RGB = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)")
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_ICON_FORMATS = ["PNG", "ICO", "JPEG", "WEBP", "GIF"]


@dataclass
class Found:
    """What was found; everything may be empty. `icon` is a PNG of ours, `color` is `#RRGGBB`."""

    url: str
    name: str = ""
    color: str = ""
    background: str = ""
    icon: bytes | None = None
    notes: list[str] = field(default_factory=list)


def read_website(url: str) -> Found:
    """Fetch a website and read what it tells. AddressRefused for what is not a public web address.

    FetchFailed when the site does not answer at all.
    """
    page = fetch(url, accept="text/html,application/xhtml+xml;q=0.9,*/*;q=0.1", largest=_PAGE_LARGEST)
    if page.status >= 400:
        raise FetchFailed(f"The site answers with an error (status {page.status}).")
    reader = _Reader()
    reader.feed(_text(page))
    manifest = _manifest(urljoin(page.url, reader.manifest)) if reader.manifest else {}
    names = (
        _string(manifest, "short_name"),
        _string(manifest, "name"),
        reader.meta.get("application-name", ""),
        reader.meta.get("og:site_name", ""),
        re.split(r"\s+[|·\u2013\u2014-]\s+", reader.title.strip())[0],
    )
    found = Found(page.url)
    found.name = next((_one_line(name) for name in names if _one_line(name)), "")
    found.color = as_hex(reader.meta.get("theme-color", "")) or as_hex(_string(manifest, "theme_color"))
    found.background = as_hex(_string(manifest, "background_color"))
    icons = [*reader.touch_icons, *_manifest_icons(manifest, reader.manifest), *reader.icons, "/favicon.ico"]
    for icon in list(dict.fromkeys(icons))[:4]:
        found.icon = _icon(urljoin(page.url, icon))
        if found.icon:
            break
    return found


@dataclass(frozen=True)
class Framing:
    """Whether a browser would show an address in a frame of ours: `refusal` says why not, in the customer's words.

    `url` is where the address leads in the end.
    """

    url: str
    refusal: str = ""


def look_at_framing(url: str) -> Framing:
    """Ask the site itself."""
    try:
        page = fetch(url, accept="text/html", largest=1, seconds=6.0)
    except Refusal as refusal:
        return Framing(url, refusal.message)
    return Framing(page.url, _frame_refusal(page))


def _frame_refusal(page: Fetched) -> str:
    own = urlsplit(settings.BASE_URL)
    if own.scheme == "https" and urlsplit(page.url).scheme == "http":
        return "The site is not served over https, so browsers do not show it inside this page."
    if urlsplit(page.url).netloc == own.netloc:
        return "This address leads back to this dashboard."
    if page.status >= 400:
        return f"The site answers with an error (status {page.status})."
    ancestors = _frame_ancestors(page.headers.get("content-security-policy", ""))
    if ancestors is not None:
        if not all(_admits(sources, settings.BASE_URL) for sources in ancestors):
            return "The site does not let other sites show it in a frame (its frame-ancestors)."
        return ""
    if page.headers.get("x-frame-options", "").strip():
        return "The site does not let other sites show it in a frame (its X-Frame-Options)."
    return ""


def as_hex(color: str) -> str:
    """`#RRGGBB` of a CSS colour in hexadecimal or rgb() form; empty for anything else."""
    color = color.strip()
    if _HEX.fullmatch(color):
        digits = color[1:]
        return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)).upper()
    if match := _RGB.fullmatch(color):
        parts = [int(part) for part in match.groups()]
        if max(parts) < 256:
            return "#" + "".join(f"{part:02X}" for part in parts)
    return ""


def _text(page: Fetched) -> str:
    declared = re.search(r"charset=\"?([\w-]+)", page.headers.get("content-type", ""))
    try:
        return page.body.decode(declared[1] if declared else "utf-8", errors="replace")
    except LookupError:
        return page.body.decode("utf-8", errors="replace")


def _manifest(url: str) -> dict[str, Any]:
    try:
        answer = fetch(url, largest=100_000, seconds=4.0, accept="application/manifest+json,application/json")
        found = json.loads(answer.body) if answer.status == 200 else {}
    except (Refusal, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _manifest_icons(manifest: dict[str, Any], base: str) -> list[str]:
    icons = manifest.get("icons")
    listed = [icon for icon in icons if isinstance(icon, dict)] if isinstance(icons, list) else []
    return [urljoin(base, _string(icon, "src")) for icon in listed if _string(icon, "src")][-2:]


def _icon(url: str) -> bytes | None:
    try:
        answer = fetch(url, largest=_ICON_LARGEST, seconds=4.0, accept="image/png,image/*;q=0.8")
        if answer.status != 200 or answer.truncated:
            return None
        with Image.open(io.BytesIO(answer.body), formats=_ICON_FORMATS) as image:
            if image.width * image.height > _PIXELS_LARGEST or min(image.size) < 16:
                return None
            image.thumbnail((ICON_PIXELS, ICON_PIXELS))
            made = io.BytesIO()
            image.convert("RGBA").save(made, "PNG")
            return made.getvalue()
    except (Refusal, OSError, ValueError, SyntaxError, *_BOMBS):
        return None


def _string(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_NAME_LONGEST]


def _frame_ancestors(header: str) -> list[list[str]] | None:
    """The sources of each policy's frame-ancestors (a header may hold several policies); None without any."""
    found = []
    for policy in header.split(","):
        for directive in policy.split(";"):
            name, *sources = directive.split() or [""]
            if name.lower() == "frame-ancestors":
                found.append([source.lower() for source in sources])
    return found or None


def _admits(sources: list[str], ours: str) -> bool:
    own = urlsplit(ours)
    for source in sources:
        if (
            source == "*"
            or source == f"{own.scheme}:"
            or source.rstrip("/") == f"{own.scheme}://{own.netloc}"
        ):
            return True
        host = source.rpartition("//")[2]
        scheme = source.partition("://")[0] if "://" in source else own.scheme
        if scheme != own.scheme:
            continue
        if host == own.netloc or (host.startswith("*.") and (own.hostname or "").endswith(host[1:])):
            return True
    return False


class _Reader(HTMLParser):
    """Collects a page's title, meta values and icons."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title, self.manifest = "", ""
        self.meta: dict[str, str] = {}
        self.icons: list[str] = []
        self.touch_icons: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a title, meta or link says."""
        values = {name: value or "" for name, value in attrs}
        if tag == "title" and not self.title:
            self._in_title = True
        elif tag == "meta":
            name = (values.get("name") or values.get("property") or "").lower()
            self.meta.setdefault(name, values.get("content", ""))
        elif tag == "link" and values.get("href"):
            kinds = values.get("rel", "").lower().split()
            if "manifest" in kinds:
                self.manifest = values["href"]
            elif "apple-touch-icon" in kinds:
                self.touch_icons.append(values["href"])
            elif "icon" in kinds:
                self.icons.append(values["href"])

    def handle_endtag(self, tag: str) -> None:
        """The title ends."""
        if tag == "title":
            self._in_title = False

    def handle_data(self, data: str) -> None:
        """The title's text."""
        if self._in_title:
            self.title += data
