"""Writes `.env.example`, the reference of every variable, from the classes that read them.

python -m addon.env_example > .env.example
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from addon.env import Environment, PartnerSecrets
from addon.inference.config import InferenceEnvironment
from addon.kafkacluster.config import KafkaEnvironment
from addon.mobiloud.config import AppetizeEnvironment, MobiLoudEnvironment
from advisories.config import AdvisoriesEnvironment
from billing.config import BillingEnvironment
from mail.config import MailEnvironment
from operators.config import OperatorsEnvironment
from sso.config import SSOEnvironment

_SERVICES = ("INFERENCE", "KAFKACLUSTER", "MOBILOUD")
_HEAD = """\
# Every variable that Addonworks reads, with its default. Copy this file to .env and uncomment what differs for you.
# `make run` needs none of them: it makes the secrets and starts Postgres and Redis itself.
"""


@dataclass(frozen=True)
class Variable:
    """One variable, under its full name."""

    name: str
    field: FieldInfo


def sections() -> Iterator[tuple[str, list[Variable]]]:
    """Every variable, under titles. One without a default is needed in production."""
    known: list[tuple[str, type[BaseSettings], str]] = [("The project", Environment, "")]
    known += [
        (f"What Heroku and we share about {name.lower()}", PartnerSecrets, f"{name}_") for name in _SERVICES
    ]
    known += [
        ("Single sign-on and dashboard sessions", SSOEnvironment, "SSO_"),
        ("Billing", BillingEnvironment, "BILLING_"),
        ("Operators' sessions", OperatorsEnvironment, "OPERATOR_"),
        ("Security notices", AdvisoriesEnvironment, "SECURITY_"),
        ("Mail", MailEnvironment, ""),
        ("Inference", InferenceEnvironment, "INFERENCE_"),
        ("KafkaCluster", KafkaEnvironment, "KAFKA_"),
        ("MobiLoud", MobiLoudEnvironment, "MOBILOUD_"),
        ("MobiLoud's preview by Appetize.io", AppetizeEnvironment, "APPETIZE_"),
    ]
    for title, settings, prefix in known:
        yield (
            title,
            [Variable(prefix + name.upper(), field) for name, field in settings.model_fields.items()],
        )


def env_example() -> str:
    """The whole text."""
    parts = [_HEAD]
    for title, variables in sections():
        parts.append(f"\n# --- {title}\n")
        parts += [_entry(variable.name, variable.field) for variable in variables]
    return "".join(parts)


def _entry(name: str, field: FieldInfo) -> str:
    needed = " Needed." if field.is_required() else ""
    return f"\n# {field.description}{needed}\n#{name}={''.join(_default(field))}\n"


def _default(field: FieldInfo) -> Iterator[str]:
    if not field.is_required() and field.default is not None and not isinstance(field.default, SecretStr):
        yield str(field.default)


if __name__ == "__main__":
    print(env_example(), end="")  # noqa: T201 - its output is its purpose
