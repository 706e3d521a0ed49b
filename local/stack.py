"""What `make run` starts: the embedded databases, the steps before a start, and the table of processes."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from local import environment, folders
from local.console import Console
from local.kafka import Kafka
from local.kafka_jars import Jars
from local.models import CHAT_MODEL, RERANK_MODEL
from local.ports import PortTakenError, answers_200, is_taken
from local.postgres import Postgres
from local.program import DOORS, WORKERS, Program
from local.redis import Redis
from local.supervisor import Part, StoppedError, Supervisor

QUEUES = ("grants", "operations", "notices", "usage", "maintenance")
READY_SECONDS = 60.0

_PYTHON = {
    "PYTHONUNBUFFERED": "1",
    # Celery's advice not to be root is right in production; on one machine it only hides what matters.
    "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
}


class LaunchError(Exception):
    """The launcher cannot start, or could not start all; the message tells a person why."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports of 127.0.0.1 that the stack listens on, each chosen by the variable of the same name."""

    web_port: int = 8000
    sandbox_port: int = 8100
    postgres_port: int = 54320
    redis_port: int = 63790
    models_port: int = 8200
    kafka_port: int = 9092
    smtp_port: int = 1025
    mailbox_port: int = 8025

    @classmethod
    def chosen(cls, environ: Mapping[str, str]) -> "Ports":
        """Read WEB_PORT and so on; raises LaunchError for what is not a port number."""
        chosen = {}
        for name in cls.__dataclass_fields__:
            text = environ.get(name.upper())
            if not text:
                continue
            if not text.isdecimal() or not 0 < int(text) < 65536:
                raise LaunchError(f"{name.upper()}={text} is not a port number from 1 to 65535")
            chosen[name] = int(text)
        ports = cls(**chosen)
        numbers = [getattr(ports, name) for name in cls.__dataclass_fields__]
        if len(set(numbers)) < len(numbers):
            names = ", ".join(name.upper() for name in cls.__dataclass_fields__)
            raise LaunchError(f"{names} must differ: {numbers}")
        return ports


class Stack:
    """The project's processes on this machine, with their data in `<project>/.data`."""

    def __init__(self, project: Path, *, console: Console, environ: Mapping[str, str]) -> None:
        """`environ` is the process's environment; `.env` of the project fills in what it leaves out."""
        self.project = project
        self.data = project / ".data"
        self._console = console
        self._own = {**environment.read(project / ".env"), **environ}
        self._dotenv = environment.read(project / ".env")
        self.ports = Ports.chosen(self._own)
        self._postgres: Postgres | None = None
        self._redis: Redis | None = None
        self._kafka: Kafka | None = None

    def run(self, *, check: bool = False) -> int:
        """Start everything, wait until it is ready, keep it running until asked to stop.

        With `check`, stop as soon as all is ready. Returns the exit code. Raises LaunchError.
        """
        self._started_at = time.monotonic()
        create_data_folder(self.data)
        with ExitStack() as cleaning:
            try:
                cleaning.enter_context(folders.lock(self.data / "run.lock"))
            except folders.InUseError as error:
                raise LaunchError(
                    f"already running in this checkout (process {error.owner}); the sandbox is at "
                    f"{self._running_sandbox()}; stop it with Ctrl-C there or `kill {error.owner}`"
                ) from None
            supervisor = Supervisor(console=self._console)
            cleaning.enter_context(supervisor.signals_handled())
            # The stores release their locks, and the run its own, only after everything has stopped.
            cleaning.callback(self._release)
            cleaning.callback(supervisor.stop)
            try:
                self._claim()
                late = self._start(supervisor)
                if late:
                    self._console.say(f"not ready after {READY_SECONDS:g} s: {', '.join(late)} (see above)")
                else:
                    self._welcome()
                if check:
                    return 1 if late else 0
                supervisor.run()
            except StoppedError:
                return 1 if check else 0
        return 0

    def parts(self) -> list[Part]:
        """The table of processes, in the order of their start. A further process is a further row."""
        python, ports = sys.executable, self.ports
        celery = [python, "-m", "celery", "--app", "addon.celery", "--quiet"]
        worker = [*celery, "worker", "--queues", ",".join(QUEUES), "--concurrency", "2"]
        worker += ["--without-mingle", "--without-gossip", "--hostname", "worker@localhost"]
        beat = [*celery, "beat", "--schedule", str(self.data / "beat" / "schedule"), "--pidfile", ""]
        web = [python, "-m", "gunicorn", "--config", "gunicorn.conf.py"]
        web += ["--bind", f"127.0.0.1:{ports.web_port}", "--graceful-timeout", "5", "--log-level", "warning"]
        web += ["addon.asgi:application"]
        sandbox = [python, "-m", "sandbox", "serve", "--host", "127.0.0.1", "--port", str(ports.sandbox_port)]
        sandbox += ["--data", str(self._sandbox_data), "--services", str(self._services_file)]
        models = [python, "-m", "local.models", "--port", str(ports.models_port)]
        return [
            *self._mailbox(),
            Part(
                name="models",
                program=lambda: self._program("models", models, stop_seconds=5),
                is_ready=lambda: answers_200(ports.models_port, "/health"),
            ),
            Part(
                name="sandbox",
                program=lambda: self._program("sandbox", sandbox, stop_seconds=8),
                is_ready=lambda: answers_200(ports.sandbox_port, "/"),
            ),
            Part(
                name="worker",
                program=lambda: self._program("worker", worker, level=WORKERS, stop_seconds=10),
                is_ready=lambda: True,
            ),
            Part(
                name="beat",
                program=lambda: self._program("beat", beat, stop_seconds=8),
                is_ready=lambda: True,
            ),
            Part(
                name="web",
                program=lambda: self._program("web", web, stop_seconds=8),
                is_ready=lambda: answers_200(ports.web_port, "/readyz"),
            ),
        ]

    def _mailbox(self) -> list[Part]:
        """The stand-in mail provider, unless the user has a server."""
        if self._own.get("EMAIL_HOST"):
            return []
        ports = self.ports
        argv = [sys.executable, "-m", "local.mailbox", "--smtp-port", str(ports.smtp_port)]
        argv += ["--web-port", str(ports.mailbox_port)]
        return [
            Part(
                name="mailbox",
                program=lambda: self._program("mailbox", argv, stop_seconds=5),
                is_ready=lambda: answers_200(ports.mailbox_port, "/health"),
            )
        ]

    def _claim(self) -> None:
        """Settle every port before anything starts; raises LaunchError that names all that are held."""
        taken = []
        mailbox = () if self._own.get("EMAIL_HOST") else ("SMTP_PORT", "MAILBOX_PORT")
        for variable in ("WEB_PORT", "SANDBOX_PORT", "MODELS_PORT", *mailbox):
            port = getattr(self.ports, variable.lower())
            if is_taken(port):
                taken.append((variable, str(PortTakenError(port))))
        if not self._own.get("DATABASE_URL"):
            self._postgres = Postgres(
                self.data / "postgres", port=self.ports.postgres_port, say=self._console.say
            )
        if not self._own.get("REDIS_URL"):
            self._redis = Redis(self.data / "redis", port=self.ports.redis_port, persist=True)
        # Whoever names a cluster of their own gets no broker from us.
        if not self._own.get("KAFKA_ADMIN_BROKERS"):
            self._kafka = Kafka(
                self.data / "kafka",
                jars=Jars(self.data / "kafka-jars", say=self._console.say),
                port=self.ports.kafka_port,
                say=self._console.say,
            )
        stores = (
            ("POSTGRES_PORT", self._postgres),
            ("REDIS_PORT", self._redis),
            ("KAFKA_PORT", self._kafka),
        )
        for variable, store in stores:
            try:
                if store:
                    store.claim()
            except PortTakenError as error:
                taken.append((variable, str(error)))
        if taken:
            lines = [f"{text}; end it, or choose another: make run {name}=…" for name, text in taken]
            raise LaunchError("\n".join(lines))

    def _start(self, supervisor: Supervisor) -> list[str]:
        stores = []
        # Prepared here once, so that what can never work ends the run with its reason at once.
        if postgres := self._postgres:
            postgres.prepare()
            stores.append(Part(name="postgres", program=postgres.prepared, is_ready=postgres.is_ready))
        if redis := self._redis:
            redis.prepare()
            stores.append(Part(name="redis", program=redis.prepared, is_ready=redis.is_ready))
        for part in stores:
            supervisor.add(part)
        late = supervisor.wait_ready([part.name for part in stores], seconds=READY_SECONDS)
        if late:
            raise LaunchError(f"did not start: {', '.join(late)}")
        self.environment = self._settle_environment()
        environment.write(self.data / "local.env", self.environment)
        self._run_steps(supervisor)
        parts = [*self._brokers(), *self.parts()]
        added = [part.name for part in parts if supervisor.add(part)]
        return supervisor.wait_ready(added, seconds=READY_SECONDS)

    def _brokers(self) -> list[Part]:
        """The Kafka broker, unless the user has one. Without it the rest runs, and Kafka's provisions wait."""
        kafka = self._kafka
        if kafka is None:
            return []
        return [Part(name="kafka", program=kafka.prepared, is_ready=kafka.is_ready, needs=kafka.jars.missing)]

    def _settle_environment(self) -> dict[str, str]:
        """What the processes get beside our own environment; what the user set wins over what we make."""
        sandbox = f"http://127.0.0.1:{self.ports.sandbox_port}"
        made = {
            "ADDONWORKS_ENV": "development",
            "LOG_FORMAT": "console",
            "BASE_URL": f"http://127.0.0.1:{self.ports.web_port}",
            "HEROKU_API_URL": sandbox,
            "HEROKU_ID_URL": sandbox,
            "HEROKU_DASHBOARD_URL": sandbox,
            "INFERENCE_UPSTREAMS": self._local_upstreams(),
            **environment.kept_secrets(self.data / "secrets.env"),
        }
        if not self._own.get("EMAIL_HOST"):
            made.update(
                EMAIL_HOST="127.0.0.1",
                EMAIL_PORT=str(self.ports.smtp_port),
                EMAIL_SECURITY="none",
                MAIL_EVENTS_URL=f"http://127.0.0.1:{self.ports.mailbox_port}/v3/localhost/events",
                MAIL_EVENTS_LAG_SECONDS="5",
            )
        if self._postgres:
            made["DATABASE_URL"] = self._postgres.url
        if self._redis:
            made["REDIS_URL"] = self._redis.url
        if self._kafka:
            made.update(self._kafka.environment)
        theirs = (
            name
            for name in self._own
            if name.startswith(("KAFKA_", "EMAIL_", "MAIL_", "DEFAULT_FROM_EMAIL")) and name != "KAFKA_PORT"
        )
        named = (*made, "DATABASE_URL", "REDIS_URL", *theirs)
        own = {name: self._own[name] for name in named if self._own.get(name)}
        return {**self._dotenv, **made, **own}

    def _run_steps(self, supervisor: Supervisor) -> None:
        self._sandbox_data.mkdir(mode=0o700, exist_ok=True)
        (self.data / "beat").mkdir(mode=0o700, exist_ok=True)
        unfinished = self._services_file.with_suffix(".new")
        unfinished.touch(mode=0o600)
        chains = [
            [self._manage("migrate", "--no-input", "--verbosity", "0"), self._manage("sync_plans")],
            [self._manage("registration", answer=unfinished)],
        ]
        static = StaticFiles(self.project, self.data / "static.digest")
        if not static.is_current():
            chains[1].append(self._manage("collectstatic", "--no-input", "--verbosity", "0"))
        failed = supervisor.run_steps(chains)
        if failed:
            raise LaunchError(f"{failed} failed, see above: nothing was started")
        unfinished.replace(self._services_file)
        static.remember()

    def _program(
        self,
        name: str,
        argv: list[str],
        *,
        level: int = DOORS,
        stop_seconds: float = 10,
        answer: Path | None = None,
    ) -> Program:
        return Program(
            name=name,
            argv=argv,
            environment={**self.environment, **_PYTHON},
            folder=self.project,
            level=level,
            stop_seconds=stop_seconds,
            answer=answer,
        )

    def _manage(self, command: str, *options: str, answer: Path | None = None) -> Program:
        return self._program(command, [sys.executable, "manage.py", command, *options], answer=answer)

    def _local_upstreams(self) -> str:
        """The small models of this machine, in place of every plan's own."""
        url = f"http://127.0.0.1:{self.ports.models_port}/v1"
        models = {"chat": CHAT_MODEL, "rerank": RERANK_MODEL}
        return json.dumps(
            {kind: {"url": url, "model": name, "stand_in": name} for kind, name in models.items()}
        )

    @property
    def _sandbox_data(self) -> Path:
        return self.data / "sandbox"

    @property
    def _services_file(self) -> Path:
        return self._sandbox_data / "services.json"

    def _running_sandbox(self) -> str:
        running = environment.read(self.data / "local.env")
        return running.get("HEROKU_API_URL", "an address it has not chosen yet")

    def _release(self) -> None:
        for store in (self._postgres, self._redis, self._kafka):
            if store:
                store.release()

    def _welcome(self) -> None:
        sandbox, web = self.environment["HEROKU_API_URL"], self.environment["BASE_URL"]
        self._console.say(
            f"""
Addonworks is running, after {time.monotonic() - self._started_at:.1f} s.

  Sandbox    {sandbox}   a stand-in Heroku: apps, add-ons, config vars
  Provider   {web}   Partner API, dashboards, operator's pages at /admin/
  Mail       {self._mail_goes()}
  Data       {self.data}

Three things to try first:
  1. Open {sandbox} and pick example-app.
  2. Add one of the services, and see its config vars arrive.
  3. Open its dashboard from there, signed in by Heroku's single sign-on.

To sign in as an operator at {web}/admin/, make an account first; its password is printed once:
  .venv/bin/python manage.py create_operator YOUR-NAME

Management commands: .venv/bin/python manage.py …, in a second shell. Ctrl-C stops everything.
"""
        )

    def _mail_goes(self) -> str:
        if server := self._own.get("EMAIL_HOST"):
            return f"leaves through {server}"
        return f"http://127.0.0.1:{self.ports.mailbox_port}   every mail ends here, none leaves this machine"


class StaticFiles:
    """Whether the collected static files are those of this checkout."""

    _FOLDERS = ("frontend/dist", "*/static", "*/*/static")
    _FILES = ("constraints.txt", "addon/settings.py")

    def __init__(self, project: Path, stamp: Path) -> None:
        self._project = project
        self._stamp = stamp
        self._digest = self._compute()

    def is_current(self) -> bool:
        """Tell whether nothing has changed since `remember`, and the files are still there."""
        try:
            return self._stamp.read_text() == self._digest and (self._project / "staticfiles").is_dir()
        except FileNotFoundError:
            return False

    def remember(self) -> None:
        """Note that the files were collected as they were when this object was made."""
        self._stamp.write_text(self._digest)

    def _compute(self) -> str:
        digest = hashlib.sha256()
        found = [self._project / name for name in self._FILES]
        for pattern in self._FOLDERS:
            for folder in self._project.glob(pattern):
                found += [path for path in folder.rglob("*") if path.is_file()]
        for path in sorted(found):
            status = path.stat()
            digest.update(
                f"{path.relative_to(self._project)} {status.st_size} {status.st_mtime_ns}\n".encode()
            )
        return digest.hexdigest()


def create_data_folder(data: Path) -> None:
    """Create the folder of everything this checkout keeps, closed to others except for passing through."""
    if not data.exists():
        data.mkdir()
        # As root, the database server runs as another user, who passes through to its own folder.
        data.chmod(0o711 if os.geteuid() == 0 else 0o700)
