"""App graphics: what the stores accept, checked by content. Nothing of the sent file is kept but its pixels."""

import io
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from PIL import Image

from provisioning.services import Refusal

LARGEST_BYTES = 10_000_000
_PIXELS_LARGEST = 40_000_000
_FORMATS = ["PNG", "JPEG"]
_ENDS = {"PNG": b"\x00\x00\x00\x00IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
_OTHER_FILES = (b"<script", b"<?php", b"<html", b"<svg", b"%PDF-", b"PK\x03\x04", b"PK\x05\x06", b"#!/")
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


@dataclass(frozen=True)
class UploadKind:
    """What a graphic is for. `sizes` are the only ones accepted; without them the sides are within bounds."""

    slug: str
    label: str
    rule: str
    sizes: tuple[tuple[int, int], ...] = ()
    least: int = 0
    most: int = 8000
    ratio: float = 0.0
    alpha: bool = True
    formats: tuple[Literal["PNG", "JPEG"], ...] = ("PNG", "JPEG")
    needed: bool = False
    count: int = 1


_IPHONE = ((1320, 2868), (1290, 2796), (1284, 2778), (1242, 2688))
KINDS = {
    kind.slug: kind
    for kind in (
        UploadKind(
            "app_icon", "App icon", "PNG, exactly 1024 by 1024, without transparency (Apple and Google).",
            sizes=((1024, 1024),), alpha=False, formats=("PNG",), needed=True,
        ),
        UploadKind("logo", "Logo", "PNG or JPEG, at least 512 pixels wide or high.", least=512),
        UploadKind("splash", "Splash screen", "Square, at least 1242 pixels.", least=1242, ratio=1.0),
        UploadKind(
            "feature_graphic", "Feature graphic", "Exactly 1024 by 500, without transparency (Google Play).",
            sizes=((1024, 500),), alpha=False,
        ),
        UploadKind(
            "iphone_screenshot", "iPhone screenshots",
            "1320 by 2868, 1290 by 2796, 1284 by 2778 or 1242 by 2688, upright or turned, up to 10 (App Store).",
            sizes=(*_IPHONE, *((h, w) for w, h in _IPHONE)), alpha=False, count=10,
        ),
        UploadKind(
            "android_screenshot", "Android screenshots",
            "Sides from 320 to 3840 pixels, the longer at most twice the shorter, up to 8 (Google Play).",
            least=320, most=3840, ratio=2.0, alpha=False, count=8,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class CheckedImage:
    """An image made anew from the pixels of what was sent."""

    content: bytes
    format: str
    width: int
    height: int
    digest: str


def check_image(kind: UploadKind, sent: bytes) -> CheckedImage:
    """The image, if the stores would take it; Refusal says what is wrong. Metadata and everything else is left out."""
    if not sent:
        raise _unfit(kind, "the file is empty.")
    if len(sent) > LARGEST_BYTES:
        raise Refusal(f"{kind.label}: the file is larger than 10 MB.", code="upload_too_large")
    image = _open(kind, sent)
    name = image.format or ""
    if name not in kind.formats:
        raise _unfit(kind, f"it has to be {' or '.join(kind.formats)}, this is {name}.")
    _check_single(kind, sent, name)
    _check_size(kind, image.width, image.height)
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if transparent and not kind.alpha:
        raise _unfit(kind, "it must not be transparent. Save it without an alpha channel.")
    made = io.BytesIO()
    plain = image.convert("RGBA" if transparent else "RGB")
    if name == "PNG":
        plain.save(made, "PNG", optimize=False)
    else:
        plain.save(made, "JPEG", quality=95, subsampling=0)
    content = made.getvalue()
    return CheckedImage(content, name, image.width, image.height, sha256(content).hexdigest())


def _open(kind: UploadKind, sent: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(sent), formats=_FORMATS)
        # Before anything is unpacked.
        if image.width * image.height > _PIXELS_LARGEST:
            raise _unfit(kind, f"{image.width} by {image.height} is more than anybody can use.")
        if getattr(image, "n_frames", 1) > 1:
            raise _unfit(kind, "it must not be animated.")
        image.load()
    except _BOMBS:
        raise _unfit(kind, "it is larger than anybody can use.") from None
    except (OSError, ValueError, SyntaxError, EOFError):
        raise _unfit(kind, "this is no PNG or JPEG image, or it is damaged.") from None
    return image


def _check_single(kind: UploadKind, sent: bytes, name: str) -> None:
    """Refuse a file that is an image and something else as well."""
    if not sent.endswith(_ENDS[name]):
        raise _unfit(kind, "something else hangs on to the image. Save it anew and send that.")
    ends = sent.count(_ENDS["PNG"]) if name == "PNG" else 1
    lowered = sent[:4096].lower() + sent[-4096:].lower()
    if ends != 1 or any(mark.lower() in lowered for mark in _OTHER_FILES):
        raise _unfit(kind, "another file is hidden in the image. Save it anew and send that.")


def _check_size(kind: UploadKind, width: int, height: int) -> None:
    if kind.sizes and (width, height) not in kind.sizes:
        raise _unfit(kind, f"{width} by {height} pixels does not fit. {kind.rule}")
    shorter, longer = sorted((width, height))
    # A logo may be a strip: only its longer side has to be long enough.
    smallest = longer if kind.slug == "logo" else shorter
    if smallest < kind.least or longer > kind.most or (kind.ratio and longer > shorter * kind.ratio):
        raise _unfit(kind, f"{width} by {height} pixels does not fit. {kind.rule}")


def _unfit(kind: UploadKind, why: str) -> Refusal:
    return Refusal(f"{kind.label}: {why}", code="upload_unfit")
