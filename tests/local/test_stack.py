"""`make run` on a small project of the same shape: real gunicorn, Celery and databases, stand-in code."""

import http.client
import os
import shutil
import signal
import socket
import stat
import textwrap
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import psycopg
import pytest

from local import environment
from local.folders import fallback_for
from local.ports import free_port
from tests.local.processes import Session, eventually, is_running, kill, session
from tests.support.folders import server_folder
from tests.support.kafka import JARS

PROJECT = Path(__file__).resolve().parents[2]

ANSWERS_ON_ITS_LAST_ARGUMENT = """
        import http.server, sys
        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
        http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
    """
FILES = {
    "launch.py": f"""
        import os, sys
        from pathlib import Path
        sys.path.insert(0, {str(PROJECT)!r})
        from local.console import Console
        from local.stack import LaunchError, Stack
        stack = Stack(Path(__file__).parent, console=Console(), environ=os.environ)
        try:
            sys.exit(stack.run(check="--check" in sys.argv))
        except LaunchError as error:
            print(error)
            sys.exit(1)
    """,
    "manage.py": """
        import os, pathlib, sys
        with open("calls", "a") as calls:
            calls.write(sys.argv[1] + "\\n")
        if sys.argv[1] == os.environ.get("FAILING"):
            sys.exit("cannot do " + sys.argv[1])
        if sys.argv[1] == "registration":
            print('{"services": []}')
        if sys.argv[1] == "collectstatic":
            pathlib.Path("staticfiles").mkdir(exist_ok=True)
    """,
    "addon/__init__.py": "",
    "addon/settings.py": "",
    "constraints.txt": "",
    "addon/asgi.py": """
        async def application(scope, receive, send):
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ready"})
    """,
    "addon/celery.py": """
        import os
        from celery import Celery
        app = Celery(broker=os.environ["REDIS_URL"])
        app.conf.broker_connection_retry_on_startup = True
    """,
    "local/__init__.py": "",
    "local/models/__init__.py": "",
    "local/models/__main__.py": ANSWERS_ON_ITS_LAST_ARGUMENT,
    "local/mailbox/__init__.py": "",
    "local/mailbox/__main__.py": ANSWERS_ON_ITS_LAST_ARGUMENT,
    "sandbox/__init__.py": "",
    "sandbox/__main__.py": """
        import http.server, json, sys
        options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
        assert json.load(open(options["--services"])) == {"services": []}
        address = (options["--host"], int(options["--port"]))
        http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
    """,
}


class Project:
    """A checkout of the small project with ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {
            name: str(free_port())
            for name in (
                "WEB_PORT",
                "SANDBOX_PORT",
                "POSTGRES_PORT",
                "REDIS_PORT",
                "MODELS_PORT",
                "KAFKA_PORT",
                "SMTP_PORT",
                "MAILBOX_PORT",
            )
        }
        for name, text in FILES.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))
        shutil.copy(PROJECT / "gunicorn.conf.py", folder)

    def run(self, *options: str, **environ: str) -> AbstractContextManager[Session]:
        """Start the launcher in an environment that knows nothing of the test run's own databases.

        A Kafka cluster of the user's own is named, so that none is started; `KAFKA_ADMIN_BROKERS=""` starts one.
        """
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return session(
            str(self.folder / "launch.py"),
            *options,
            folder=self.folder,
            environ={
                **kept,
                **self.ports,
                "PYTHONUNBUFFERED": "1",
                "KAFKA_ADMIN_BROKERS": "kafka.invalid:9093",
                **environ,
            },
        )

    def get(self, name: str, path: str) -> int:
        """The status of a GET at one of the project's ports."""
        connection = http.client.HTTPConnection("127.0.0.1", int(self.ports[name]), timeout=5)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    @property
    def local_env(self) -> dict[str, str]:
        return environment.read(self.folder / ".data" / "local.env")

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().split()


@pytest.fixture
def project() -> Iterator[Project]:
    with server_folder() as folder:
        yield Project(folder)
        shutil.rmtree(fallback_for(folder / ".data" / "postgres"), ignore_errors=True)


def running(started: Session) -> list[psutil.Process]:
    """Every process of a stack that is up, also those that left the launcher's tree."""
    started.until("Ctrl-C stops everything", seconds=40)
    return started.tree()


def test_a_run_ends_with_addresses_and_ctrl_c_leaves_nothing(project: Project) -> None:
    with project.run() as launcher:
        processes = running(launcher)
        assert f"http://127.0.0.1:{project.ports['WEB_PORT']}" in launcher.text
        assert f"http://127.0.0.1:{project.ports['SANDBOX_PORT']}" in launcher.text
        assert project.get("WEB_PORT", "/readyz") == 200
        assert project.get("SANDBOX_PORT", "/") == 200
        assert sorted(project.calls) == ["collectstatic", "migrate", "registration", "sync_plans"]
        assert len(processes) >= 8
        asked = time.monotonic()
        launcher.process.send_signal(signal.SIGINT)
        assert launcher.end() == 0
        assert time.monotonic() - asked < 30
        assert psutil.wait_procs(processes, timeout=5)[1] == []


def test_a_killed_database_comes_back_under_its_address_with_what_was_committed(project: Project) -> None:
    with project.run() as launcher:
        processes = running(launcher)
        with psycopg.connect(project.local_env["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("create table kept as select 'still here' as words")
        (server,) = [one for one in processes if one.name() == "postgres" and "-D" in one.cmdline()]
        server.kill()
        launcher.until("postgres was ended by SIGKILL")

        def answers() -> bool:
            try:
                with psycopg.connect(project.local_env["DATABASE_URL"]) as connection:
                    return connection.execute("select words from kept").fetchone() == ("still here",)
            except psycopg.OperationalError:
                return False

        eventually(answers, seconds=30)


def test_a_second_run_is_told_that_the_first_is_there_and_a_killed_one_is_cleared_and_followed(
    project: Project,
) -> None:
    with project.run() as first:
        processes = running(first)
        secret = project.local_env["SECRET_KEY"]
        with project.run() as second:
            assert second.end() == 1
            assert f"already running in this checkout (process {first.process.pid})" in second.text
        kill(first.process.pid)
        eventually(lambda: not any(is_running(process.pid) for process in processes), seconds=25)
    # The next start finds the secrets, and collects nothing anew.
    (project.folder / "calls").unlink()
    with project.run("--check") as third:
        assert third.end(seconds=60) == 0, third.text
    assert project.local_env["SECRET_KEY"] == secret
    assert sorted(project.calls) == ["migrate", "registration", "sync_plans"]


def test_every_taken_port_is_named_with_its_holder_and_nothing_starts(project: Project) -> None:
    with socket.socket() as web, socket.socket() as redis:
        for listening, name in ((web, "WEB_PORT"), (redis, "REDIS_PORT")):
            listening.bind(("127.0.0.1", int(project.ports[name])))
            listening.listen()
        with project.run() as launcher:
            assert launcher.end() == 1
            for name in ("WEB_PORT", "REDIS_PORT"):
                expected = f"port {project.ports[name]} is taken by process {os.getpid()}"
                (line,) = [line for line in launcher.lines if expected in line]
                assert line.endswith(f"make run {name}=…")
    assert not (project.folder / "calls").exists()
    assert not (project.folder / ".data" / "local.env").exists()


def test_a_failing_migration_ends_the_run_with_its_words(project: Project) -> None:
    with project.run(FAILING="migrate") as launcher:
        assert launcher.end() == 1
        assert "migrate    | cannot do migrate" in launcher.lines
        assert "migrate failed" in launcher.text
        assert "sync_plans" not in project.calls


def test_databases_named_by_the_user_are_used_and_none_is_started(project: Project) -> None:
    (project.folder / ".env").write_text(f"DATABASE_URL={os.environ['DATABASE_URL']}\nEXTRA='of the user'\n")
    with project.run("--check", REDIS_URL=os.environ["REDIS_URL"]) as launcher:
        assert launcher.end(seconds=60) == 0, launcher.text
    assert project.local_env["DATABASE_URL"] == os.environ["DATABASE_URL"]
    assert project.local_env["REDIS_URL"] == os.environ["REDIS_URL"]
    assert project.local_env["EXTRA"] == "of the user"
    assert not (project.folder / ".data" / "postgres").exists()
    assert not (project.folder / ".data" / "redis").exists()


def test_a_run_has_a_kafka_broker_on_its_port(project: Project) -> None:
    (project.folder / ".data").mkdir(mode=0o711)
    (project.folder / ".data" / "kafka-jars").symlink_to(JARS)
    with project.run("--check", KAFKA_ADMIN_BROKERS="") as launcher:
        assert launcher.end(seconds=90) == 0, launcher.text
    assert project.local_env["KAFKA_BROKERS"] == f"127.0.0.1:{project.ports['KAFKA_PORT']}"
    assert "Kafka Server started" in (project.folder / ".data" / "kafka" / "server.log").read_text()


def test_without_a_fitting_java_the_broker_is_left_out_by_name_and_the_rest_runs(project: Project) -> None:
    java = project.folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    path = f"{java.parent}:{os.environ['PATH']}"
    with project.run("--check", KAFKA_ADMIN_BROKERS="", PATH=path) as launcher:
        assert launcher.end(seconds=60) == 0, launcher.text
    assert "kafka is left out: Java 17 or newer is needed for Apache Kafka: found 11" in launcher.text


def test_secrets_are_for_their_owner_alone_and_addresses_follow_the_ports(project: Project) -> None:
    with project.run("--check") as launcher:
        assert launcher.end(seconds=60) == 0, launcher.text
    for name in ("local.env", "secrets.env", "sandbox/services.json"):
        assert stat.S_IMODE((project.folder / ".data" / name).stat().st_mode) == 0o600
    assert set(environment.new_secrets()) <= set(project.local_env)
    assert project.local_env["BASE_URL"] == f"http://127.0.0.1:{project.ports['WEB_PORT']}"
    project.ports["WEB_PORT"] = str(free_port())
    with project.run("--check") as launcher:
        assert launcher.end(seconds=60) == 0, launcher.text
    assert project.local_env["BASE_URL"] == f"http://127.0.0.1:{project.ports['WEB_PORT']}"


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "8 000"])
def test_a_port_that_is_none_is_refused_by_name(project: Project, text: str) -> None:
    with project.run(WEB_PORT=text) as launcher:
        assert launcher.end() == 1
        assert f"WEB_PORT={text} is not a port number" in launcher.text


def test_two_parts_never_get_one_port(project: Project) -> None:
    with project.run(WEB_PORT=project.ports["SANDBOX_PORT"]) as launcher:
        assert launcher.end() == 1
        assert "must differ" in launcher.text
