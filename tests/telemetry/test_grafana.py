"""What dashboards, alerts and docs say of metrics is what a running gateway exposes, both ways."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from classifiers.artefact import load_default, pack, save_artefact
from router.ledger.findings import Findings
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.telemetry.names import METRICS
from router.upstream.standin import Fault
from tests.telemetry.conftest import House

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboard.json").read_text("utf-8"))
ALERTS = YAML(typ="safe").load(GRAFANA / "alerts.yml")
SCRAPE = YAML(typ="safe").load(GRAFANA / "prometheus.yml")

ADDED_BY_PROMETHEUS = {"job", "instance", "le"}
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$job": "signalbox", "$instance": ".*"}

Use = tuple[str, frozenset[str]]


def dashboard_expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], re.sub(r"label_values\((.*), \w+\)", r"\1", variable["query"]["query"])


def alert_expressions() -> Iterator[tuple[str, str]]:
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


EXPRESSIONS = [*dashboard_expressions(), *alert_expressions()]


def uses(expression: str) -> list[Use]:
    """Every metric that an expression reads, with the labels asked of it: matched, grouped by or joined on."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    found: list[Use] = []

    def walk(node: Any, asked: frozenset[str]) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name, asked | {matcher.name for matcher in node.matchers.matchers}))
        elif isinstance(node, promql_parser.MatrixSelector):
            walk(node.vector_selector, asked)
        elif isinstance(node, promql_parser.AggregateExpr):
            walk(node.expr, frozenset(node.modifier.labels) if node.modifier else frozenset())
        elif isinstance(node, promql_parser.BinaryExpr):
            assert node.modifier is None or node.modifier.matching is None, "joins are not looked into yet"
            walk(node.lhs, asked)
            walk(node.rhs, asked)
        elif isinstance(node, promql_parser.Call):
            for argument in node.args:
                walk(argument, asked)
        elif isinstance(node, promql_parser.ParenExpr | promql_parser.UnaryExpr | promql_parser.SubqueryExpr):
            walk(node.expr, asked)
        else:
            assert isinstance(node, promql_parser.NumberLiteral), type(node)

    walk(promql_parser.parse(expression), frozenset())
    return found


async def watched(house: House, folder: Path) -> None:
    """As `signalbox watch` and a promotion to a share leave the ledger; waits until the gateway knows of both."""
    artefact = replace(load_default(), heads=load_default().heads * np.float32(0.9))
    save_artefact(artefact, folder / "artefact", {}, {})
    store = SqlStore(house.gateway.gateway.settings.store_url)
    parts = [
        {"name": name, "n": 900, "moved": 0.4, "p": 0.0, "alarm": name == "tasks", "top": []}
        for name in ("features", "tasks", "score", "labels", "gain")
    ]
    await Findings(store).add("drift", "a", {"reference": None, "parts": parts}, alarm=True)
    registry = Registry(store)
    await registry.promote(await registry.save(pack(folder / "artefact"), {}), "tests", share=0.25)
    await store.aclose()
    deadline = time.monotonic() + 10
    while "signalbox_judge_canary_share{" not in (page := await house.page()) or 'part="tasks"' not in page:
        assert time.monotonic() < deadline, page
        await asyncio.sleep(0.05)


async def test_drift_and_canaries_are_told_as_they_are(house: House, tmp_path: Path) -> None:
    await watched(house, tmp_path)
    page = await house.page()
    assert 'signalbox_drift_alarm{part="tasks"} 1.0' in page and 'signalbox_drift_alarm{part="score"} 0.0' in page
    assert 'signalbox_drift_index{part="features"} 0.4' in page
    assert re.search(r'signalbox_judge_canary_share\{classifier="fast@\w+"\} 0.25', page)


async def after_traffic(house: House, folder: Path) -> dict[str, set[frozenset[str]]]:
    """The names of all samples of a gateway that saw every kind of end, each with the sets of labels it has."""
    await watched(house, folder)
    await house.gateway.chat("one")
    await house.gateway.chat("one")
    await house.gateway.chat("two", stream=True)
    await house.gateway.chat("pinned", model="free")
    await house.gateway.chat("unknown", model="nobody")
    house.small.script.append(Fault("status", 500))
    await house.gateway.chat("three")
    house.small.script.append(Fault("status", 500))
    house.large.script.append(Fault("status", 500))
    await house.gateway.chat("four")
    await house.gateway.post("/v1/chat/completions", b"{")
    page = await house.page()
    exposed: dict[str, set[frozenset[str]]] = {}
    for family in text_string_to_metric_families(page):
        if not family.samples and family.name.startswith("signalbox_"):
            exposed[family.name + ("_total" if family.type == "counter" else "")] = set()
        for sample in family.samples:
            exposed.setdefault(sample.name, set()).add(frozenset(sample.labels))
    return exposed


async def test_the_page_holds_the_table_and_nothing_else(house: House, tmp_path: Path) -> None:
    exposed = await after_traffic(house, tmp_path)
    expected = set()
    for metric in METRICS.values():
        endings = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        for ending in endings:
            expected.add(metric.name + ending)
            labels = frozenset(metric.labels) | ({"le"} if ending == "_bucket" else set())
            assert exposed[metric.name + ending] <= {labels}, metric.name
    ours = {name for name in exposed if not name.startswith("process_")}
    assert ours == expected
    silent = {name for name in ours if not exposed[name]}
    assert silent == {"signalbox_callers_left_total"}, "this traffic should make every other metric speak"


async def test_every_expression_reads_what_a_gateway_exposes(house: House, tmp_path: Path) -> None:
    exposed = await after_traffic(house, tmp_path)
    assert len(EXPRESSIONS) > 50
    for where, expression in EXPRESSIONS:
        read = uses(expression)
        assert read, where
        for name, labels in read:
            if name == "up":
                continue
            assert name in exposed, f"{where}: {name} is not exposed"
            base = re.sub("_(bucket|sum|count)$", "", name)
            known = set(METRICS[base].labels) if base in METRICS else set()
            assert labels - ADDED_BY_PROMETHEUS <= known, f"{where}: {name} has no label {labels - known}"
            assert "le" not in labels or name.endswith("_bucket"), where


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_label_values_asked_for_can_occur(where: str, expression: str) -> None:
    closed = {
        "verdict": {"hit", "miss", "bypass"},
        "cache": {"hit", "miss", "bypass"},
        "fault": {"caller", "policy", "upstream", "gateway"},
        "state": {"closed", "half_open", "open"},
        "result": {"ok", "failed", "refused", "caller_left", "broke_off"},
    }
    for label, value in re.findall(r'(\w+)(?:=|!=|=~)"([^"]*)"', expression):
        if label in closed:
            assert set(value.split("|")) <= closed[label], f"{where}: {label}={value}"


def test_every_metric_is_shown_or_watched() -> None:
    read = {re.sub("_(bucket|sum|count)$", "", name) for _, expression in EXPRESSIONS for name, _ in uses(expression)}
    assert set(METRICS) <= read


def test_legends_name_labels_that_their_expressions_keep() -> None:
    checked = 0
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            kept = {label for _, labels in uses(target["expr"]) for label in labels}
            assert named <= kept | {"instance"}, panel["title"]
            checked += bool(named)
    assert checked > 15


def test_annotations_name_labels_that_their_expressions_keep() -> None:
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
            assert named <= {label for _, labels in uses(rule["expr"]) for label in labels}, rule["alert"]
            assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_panels_have_their_own_places_and_numbers() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


def test_the_scrape_configuration_loads_the_alerts_and_asks_the_right_path() -> None:
    assert SCRAPE["rule_files"] == ["alerts.yml"]
    [job] = SCRAPE["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("signalbox", "/metrics")


def test_the_docs_tell_of_every_metric_with_its_labels() -> None:
    page = (ROOT / "docs" / "telemetry.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(signalbox_\w+)` \| (.*) \|$", page, re.MULTILINE))
    assert set(rows) == set(METRICS)
    for metric in METRICS.values():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        assert rows[metric.name] == f"{metric.kind} | {labels} | {metric.says}"
