"""The pages hang together: links and anchors lead somewhere, everything is reached, and what is named is there."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from router.settings import Settings
from tests.docs.reading import DOCS, ROOT, all_blocks, anchors_of, links_of, name_of, pages, prose_of
from tests.running import running

PAGES = pages()
SECURITY = DOCS / "security.md"
_PATH = re.compile(r"`((?:docs|tests|router|classifiers|bench|deploy|policies|requirements)/[\w./-]+)(?:::\w+)?`")
_PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    for path, anchor in links_of(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors_of(target), f"{path}#{anchor}"


def test_every_page_is_reached_from_the_index() -> None:
    reached, ahead = set[Path](), [DOCS / "README.md"]
    while ahead:
        page = ahead.pop().resolve()
        if page.suffix != ".md" or page in reached:
            continue
        reached.add(page)
        ahead += [page.parent / path for path, _ in links_of(page) if path]
    assert {name_of(page) for page in DOCS.rglob("*.md") if page.resolve() not in reached} == set()


def test_the_index_names_every_page_of_the_folder() -> None:
    named = {path for path, _ in links_of(DOCS / "README.md")}
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= named


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    for path in _PATH.findall(page.read_text("utf-8")):
        assert (ROOT / path).exists(), path


def test_every_claim_of_the_security_page_names_a_test_that_is_there() -> None:
    tables = re.findall(r"^\| claim \| proved by \|\n.*\n((?:\|.*\n)+)", prose_of(SECURITY), re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(tables) >= 7
    assert len(rows) > 25
    for row in rows:
        proofs = _PROOF.findall(row)
        assert proofs, row
        for path, test in proofs:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), test


def test_the_unit_starts_a_command_that_is_there_and_outlasts_the_grace() -> None:
    [text] = [block.text for block in all_blocks("ini") if "[Service]" in block.text]
    unit = configparser.ConfigParser(strict=False, delimiters="=")
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    service = unit["Service"]
    assert service["ExecStart"].split()[1:] == ["serve"]
    assert float(service["TimeoutStopSec"]) >= Settings.model_fields["grace_seconds"].default + 10
    for name in re.findall(r"^Environment=(\w+)=", text, re.MULTILINE):
        assert name.removeprefix("SIGNALBOX_").lower() in Settings.model_fields


def test_systemd_knows_every_word_of_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed")
    [text] = [block.text for block in all_blocks("ini") if "[Service]" in block.text]
    command = Path(sys.executable).with_name("signalbox")
    text = text.replace("/opt/signalbox/bin/signalbox", str(command)).replace("User=signalbox", "User=root")
    unit = tmp_path / "signalbox.service"
    unit.write_text(text, "utf-8")
    ended = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (ended.returncode, "signalbox.service" in ended.stderr) == (0, False), ended.stderr


async def test_what_kubernetes_is_told_is_so(tmp_path: Path) -> None:
    [text] = [block.text for block in all_blocks("yaml") if "kind: Deployment" in block.text]
    pod = YAML(typ="safe").load(text)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    before_stop = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    grace = Settings.model_fields["grace_seconds"].default
    assert pod["terminationGracePeriodSeconds"] >= grace + before_stop + 5
    for variable in container["env"]:
        assert variable["name"].removeprefix("SIGNALBOX_").lower() in Settings.model_fields
    policy = """
version: 1
models: {m: {tier: small, model: m, base_url: "http://127.0.0.1:9/v1"}}
default: m
routes: {auto: {}}
"""
    async with running(tmp_path, policy, admin_key="admin") as gateway:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            await gateway.get(container[probe]["httpGet"]["path"])
