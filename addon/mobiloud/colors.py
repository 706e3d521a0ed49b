"""How well two colours can be told apart (WCAG 2.2, relative luminance)."""


def luminance(color: str) -> float:
    """Relative luminance of `#RRGGBB`, from 0 to 1."""
    channels = [int(color[position : position + 2], 16) / 255 for position in (1, 3, 5)]
    red, green, blue = ((c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, from 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
