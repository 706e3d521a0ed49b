"""The set-up does each step once, again when its input changed, and names in one line what is missing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from local import setup

Find = Callable[..., None]


def say_nothing(text: str) -> None:
    """Take a line meant for a person."""


class Machine:
    """A checkout with stand-ins for node, npm, apt and Chromium that note how they were called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project = folder / "project"
        self.programs = folder / "bin"
        self._log = folder / "log"
        self._log.touch()
        self.programs.mkdir()
        for name in ("frontend/src/sandbox.css", "frontend/src/dashboard.js", "frontend/build.mjs"):
            self.write(name, "one")
        self.write("frontend/package.json", "{}")
        self.write("frontend/package-lock.json", "{}")
        self.has("node", 'test "$1" = --version && echo v20.1.0')
        built = "mkdir -p dist/frontend ../sandbox/static/dist"
        self.has("npm", f'case "$1" in ci) mkdir -p node_modules;; run) {built};; esac')
        monkeypatch.setenv("PATH", f"{self.programs}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def write(self, name: str, text: str) -> None:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def has(self, name: str, script: str = ":") -> None:
        program = self.programs / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {self._log}\n{script}\n')
        program.chmod(0o755)

    def calls(self) -> list[str]:
        """What was called since the last look, without questions for a version."""
        lines = [line for line in self._log.read_text().splitlines() if "--version" not in line]
        self._log.write_text("")
        return lines

    def bundle(self) -> list[str]:
        setup.bundle(self.project, say=say_nothing)
        return [" ".join(line.split()[1:3]) for line in self.calls()]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_npm_packages_are_installed_and_built_once(machine: Machine) -> None:
    assert machine.bundle() == ["ci --no-audit", "run --silent"]
    assert machine.bundle() == []


def test_changed_sources_are_built_again_without_installing(machine: Machine) -> None:
    machine.bundle()
    machine.write("frontend/src/sandbox.css", "two")
    assert machine.bundle() == ["run --silent"]


def test_a_changed_lock_file_installs_and_builds_again(machine: Machine) -> None:
    machine.bundle()
    machine.write("frontend/package-lock.json", '{"changed": 1}')
    assert machine.bundle() == ["ci --no-audit", "run --silent"]


def test_a_removed_build_is_made_again(machine: Machine) -> None:
    machine.bundle()
    (machine.project / "frontend" / "dist" / "frontend").rmdir()
    assert machine.bundle() == ["run --silent"]


def test_a_failed_install_shows_its_words_and_is_tried_again(machine: Machine) -> None:
    machine.has("npm", "echo the network is away; exit 1")
    with pytest.raises(setup.SetupError, match=r"the network is away\nfailed: npm ci"):
        machine.bundle()
    machine.calls()
    machine.has("npm", "mkdir -p node_modules dist/frontend ../sandbox/static/dist")
    assert machine.bundle() == ["ci --no-audit", "run --silent"]


@pytest.mark.parametrize("version", ["v18.19.0", "nonsense"])
def test_an_old_node_is_named_in_one_line(machine: Machine, version: str) -> None:
    machine.has("node", f"echo {version}")
    with pytest.raises(setup.SetupError, match=rf"^Node\.js 20 or newer .* found {version}$"):
        machine.bundle()


def test_a_missing_node_is_named_in_one_line(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(machine.project))
    with pytest.raises(setup.SetupError, match=r"^Node\.js 20 or newer with npm is needed .* not found$"):
        machine.bundle()


def test_an_old_python_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 10, 2))
    with pytest.raises(setup.SetupError, match=r"^Python 3\.11 or newer is needed, \.venv has 3\.10\.2"):
        setup.check_python()


class TestPackages:
    """pip is called when the pinned requirements are not the installed ones, and only then."""

    @pytest.fixture(autouse=True)
    def _own_environment(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        machine.has("python")
        for name in ("constraints.txt", "requirements.txt", "requirements-local.txt", "requirements-dev.txt"):
            machine.write(name, "one")
        monkeypatch.setattr("sys.executable", str(machine.programs / "python"))
        monkeypatch.setattr("sys.prefix", str(machine.project))

    def install(self, machine: Machine, *, dev: bool) -> list[str]:
        setup.install_packages(machine.project, dev=dev, say=say_nothing)
        return [Path(line.split()[-1]).name for line in machine.calls()]

    def test_once(self, machine: Machine) -> None:
        assert self.install(machine, dev=False) == ["requirements-local.txt"]
        assert self.install(machine, dev=False) == []

    def test_development_adds_its_own_and_contains_the_others(self, machine: Machine) -> None:
        assert self.install(machine, dev=False) == ["requirements-local.txt"]
        assert self.install(machine, dev=True) == ["requirements-dev.txt"]
        assert self.install(machine, dev=False) == []

    @pytest.mark.parametrize("name", ["constraints.txt", "requirements.txt"])
    def test_again_when_a_pin_changed(self, machine: Machine, name: str) -> None:
        self.install(machine, dev=True)
        machine.write(name, "two")
        assert self.install(machine, dev=False) == ["requirements-dev.txt"]
        assert self.install(machine, dev=True) == []

    def test_again_after_a_failure(self, machine: Machine) -> None:
        machine.has("python", "exit 1")
        with pytest.raises(setup.SetupError, match=r"failed: .*pip install"):
            self.install(machine, dev=True)
        machine.calls()
        machine.has("python")
        assert self.install(machine, dev=True) == ["requirements-dev.txt"]

    def test_never_outside_a_virtual_environment(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.base_prefix", str(machine.project))
        with pytest.raises(setup.SetupError, match=r"into \.venv only"):
            self.install(machine, dev=True)
        assert machine.calls() == []


@pytest.mark.parametrize(
    ("find", "name", "package"),
    [(setup.find_browser, "Chromium", "chromium"), (setup.find_ruby, "Ruby", "ruby")],
    ids=["browser", "ruby"],
)
class TestProgramsOfTests:
    """Chromium and Ruby come from apt for root, and are asked for otherwise."""

    @pytest.fixture(autouse=True)
    def _only_this_program(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(setup, "BROWSERS", ("stand-in",))
        monkeypatch.setattr(setup, "RUBY", "stand-in")
        monkeypatch.setattr("os.geteuid", lambda: 0)

    def test_one_that_is_there_is_left_alone(
        self, machine: Machine, find: Find, name: str, package: str
    ) -> None:
        machine.has("stand-in")
        find(say=say_nothing)
        assert machine.calls() == []

    def test_root_installs_it_after_an_update(
        self, machine: Machine, find: Find, name: str, package: str
    ) -> None:
        installed = machine.programs / "stand-in"
        machine.has("apt-get", f'test "$1" = install && touch {installed} && chmod +x {installed}; true')
        find(say=say_nothing)
        update, install = machine.calls()
        assert update.startswith("apt-get update")
        assert install.startswith("apt-get install")
        assert install.endswith(f" {package}")

    def test_others_are_told_what_to_install(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, find: Find, name: str, package: str
    ) -> None:
        machine.has("apt-get")
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        with pytest.raises(setup.SetupError, match=rf"^{name} is needed .* install it \(`{package}`\)$"):
            find(say=say_nothing)
        assert machine.calls() == []
