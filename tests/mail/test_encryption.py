"""Handing mails over encrypted, by STARTTLS or TLS from the start, to the server that the certificate names."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django import Settings

from mail import sending
from mail.models import MailState, Pace
from tests.mail.test_sending import state, write
from tests.support.certificates import self_signed
from tests.support.mailbox import Provider, running_provider

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For localhost, signed by itself."""
    return self_signed(tmp_path_factory.mktemp("smtp"), "localhost")


Encrypted = Callable[[str], Provider]


@pytest.fixture(scope="module")
def servers(certificate: Path) -> Iterator[dict[str, Provider]]:
    """One that offers STARTTLS, and one that speaks TLS from the start."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with ExitStack() as running:
        yield {
            "starttls": running.enter_context(running_provider(certificate=context)),
            "tls": running.enter_context(running_provider(certificate=context, tls_from_the_start=True)),
        }


@pytest.fixture
def encrypted(provider: Provider, servers: dict[str, Provider], settings: Settings) -> Encrypted:
    """Send to one of them, as user and with the password that production would have."""

    def use(security: str) -> Provider:
        servers[security].reset()
        servers[security].smtp.logins.clear()
        settings.EMAIL_HOST, settings.EMAIL_PORT = "localhost", servers[security].smtp_port
        settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = security == "starttls", security == "tls"
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "us", "a password"
        return servers[security]

    return use


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_goes_encrypted_to_a_server_whose_certificate_is_good(
    encrypted: Encrypted, certificate: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = encrypted(security)
    for name in ("ada", "bob"):
        write(name)
    assert sending.deliver() == 2
    assert {mail.recipient for mail in server.mails()} == {"ada@example.com", "bob@example.com"}
    assert server.smtp.logins == ["us\0a password"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("fault", ["unknown signer", "another name"])
def test_neither_password_nor_mail_goes_to_a_server_that_cannot_prove_its_name(
    encrypted: Encrypted,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    security: str,
    fault: str,
) -> None:
    server, mail = encrypted(security), write()
    if fault == "another name":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        settings.EMAIL_HOST = "127.0.0.1"
    assert sending.deliver() == 0
    assert (server.mails(), server.smtp.logins, state(mail)) == ([], [], MailState.QUEUED)
    assert "SSLCertVerificationError" in Pace.objects.get().last_error


def test_nothing_goes_in_the_clear_where_starttls_is_asked_for_and_not_offered(
    provider: Provider, settings: Settings
) -> None:
    settings.EMAIL_USE_TLS = True
    mail = write()
    assert sending.deliver() == 0
    assert (provider.mails(), state(mail)) == ([], MailState.QUEUED)
    assert "STARTTLS" in Pace.objects.get().last_error
