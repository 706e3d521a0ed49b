"""The programs under Getting started, run as they are printed, with nothing but the app's config vars."""

import fcntl
import html
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from addon.kafkacluster.cluster import Cluster
from addon.kafkacluster.quickstart import CLIENTS
from tests.kafkacluster.conftest import Customer
from tests.kafkacluster.test_pages import address, browser_of
from tests.kafkacluster.test_topics import make
from tests.support.kafka import JARS
from tests.support.stack import PROJECT, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
New = Callable[..., Customer]
PACKAGE = Path(__file__).parent / "node" / "package.json"
FOLDER = PROJECT / ".data" / "kafka-node"
RUN = {
    "confluent-kafka": [sys.executable],
    "kafka-python": [sys.executable, "-W", "ignore"],
    "kafkajs": ["node"],
    "java": ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JARS}/*"],
}
"""How each client's programs are started here; the page's own command finds an installed client."""


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """kafkajs, installed through npm once, and again when its version changes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted, stamp = PACKAGE.read_text(), FOLDER / "installed.json"
    with (FOLDER / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            shutil.copy(PACKAGE, FOLDER / "package.json")
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            subprocess.run(command, cwd=FOLDER, check=True, timeout=300, stdout=subprocess.DEVNULL)
            stamp.write_text(wanted)
    return FOLDER / "node_modules"


def printed(page: str, element: str) -> str:
    """What a copy button of the page copies."""
    found = re.search(rf'<code id="{element}">(.*?)</code>', page, re.DOTALL)
    assert found, element
    return html.unescape(found[1])


def environment_of(shop: Customer, more: Mapping[str, str]) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **shop.config,
        **more,
    }


@pytest.mark.parametrize("slug", RUN)
def test_what_is_printed_produces_and_consumes(
    customer: New, node_modules: Path, tmp_path: Path, slug: str
) -> None:
    shop = customer()
    topic = make(shop)
    page = browser_of(shop).get(address(shop, "start"), {"client": slug}).content.decode()
    client = next(client for client in CLIENTS if client.slug == slug)
    environment = environment_of(
        shop, {"NODE_PATH": str(node_modules), "KAFKAJS_NO_PARTITIONER_WARNING": "1"}
    )
    for name, element in ((client.produce_file, "produce"), (client.consume_file, "consume")):
        (tmp_path / name).write_text(printed(page, element))
    done = subprocess.run(
        [*RUN[slug], client.produce_file],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"delivered to {topic}, partition 0, offset 0" in done.stdout
    seen = tmp_path / "seen"
    with seen.open("w") as output:
        consumer = subprocess.Popen(
            [*RUN[slug], client.consume_file], cwd=tmp_path, env=environment, stdout=output, stderr=output
        )
        try:
            until(lambda: seen.read_text().count('"order"') >= 3 or consumer.poll() is not None, seconds=60)
        finally:
            consumer.terminate()
            consumer.wait(20)
    lines = re.findall(r'^0 (\d) \{"order": ?(\d), ?"text": ?"hello from', seen.read_text(), re.MULTILINE)
    assert lines == [("0", "0"), ("1", "1"), ("2", "2")], seen.read_text()


def test_every_program_has_the_tenant_s_own_names_and_no_secret(customer: New, cluster: Cluster) -> None:
    shop = customer()
    browser = browser_of(shop)
    assert "Create a topic first" in browser.get(address(shop, "start")).content.decode()
    make(shop, "clicks")
    topic = make(shop, "orders")
    for client in CLIENTS:
        page = browser.get(address(shop, "start"), {"client": client.slug, "topic": topic}).content.decode()
        produce, consume = printed(page, "produce"), printed(page, "consume")
        assert topic in produce
        assert topic in consume
        assert f"{shop.tenant.prefix}readers" in consume
        assert "KAFKACLUSTER_PASSWORD" in produce
        assert "Create a topic first" not in page
        assert not re.search(r"@[A-Z]+@", produce + consume)
        assert shop.config["KAFKACLUSTER_PASSWORD"] not in page
    other = browser.get(
        address(shop, "start"), {"client": "cobol", "topic": "t000000000000.x"}
    ).content.decode()
    assert "t000000000000.x" not in other
    assert f"{shop.tenant.prefix}clicks" in printed(other, "produce")
