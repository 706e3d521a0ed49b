"""The dashboard file and the alert rules ask for metrics that we tell."""

import json
import re
from importlib import import_module
from pathlib import Path

import yaml
from django.test import Client
from prometheus_client import REGISTRY

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "monitoring"
_NAME = re.compile(r"\baddonworks_[a-z_]+")


def told(db_metrics: str) -> set[str]:
    """Every name that /metrics has or will have, with the ending that counters get."""
    names = set(re.findall(r"^# TYPE (\S+)", db_metrics, re.MULTILINE))
    for family in REGISTRY.collect():
        names |= {family.name, f"{family.name}_total", f"{family.name}_bucket", f"{family.name}_count"}
    return names


def test_every_metric_of_the_dashboard_and_the_alerts_is_told(db: None) -> None:
    for module in ("provisioning.attempts", "addon.inference.gateway.metrics"):
        import_module(module)  # makes its counters known

    answer = Client().get("/metrics")
    assert answer.status_code == 200
    known = told(answer.content.decode())
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len(asked) >= 14
    for expression in asked:
        for name in _NAME.findall(expression):
            assert name in known, (expression, name)


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["runbook"], rule["alert"]
