"""Scores and ratings of CVSS vectors (FIRST, versions 3.1 and 4.0), computed by the `cvss` library."""

from dataclasses import dataclass
from decimal import Decimal

from cvss import CVSS3, CVSS4
from cvss.exceptions import CVSSError

from advisories.models import Severity


@dataclass(frozen=True)
class Rating:
    """A vector in its canonical form, with its base score and the rating of that."""

    vector: str
    score: Decimal
    severity: Severity

    @property
    def version(self) -> str:
        """3.1 or 4.0."""
        return self.vector.removeprefix("CVSS:").partition("/")[0]


def rate(vector: str) -> Rating:
    """The rating of a CVSS 3.1 or 4.0 vector; ValueError, in words for a person, when it is none."""
    vector = vector.strip()
    try:
        if vector.startswith("CVSS:4.0/"):
            four = CVSS4(vector)
            return Rating(four.clean_vector(), Decimal(str(four.base_score)), Severity(four.severity.lower()))
        if vector.startswith("CVSS:3.1/"):
            three = CVSS3(vector)
            return Rating(
                three.clean_vector(), Decimal(str(three.base_score)), Severity(three.severities()[0].lower())
            )
    except (CVSSError, ValueError) as error:
        raise ValueError(f"This is no valid CVSS vector: {error}") from None
    raise ValueError("A CVSS vector begins with CVSS:3.1/ or CVSS:4.0/.")
