"""Imports point down, each heavy package has one owner, and the front doors are light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ROWS = [
    ["cli"],
    ["rehearsal"],
    ["demo", "library"],
    ["app"],
    ["api", "dashboard"],
    ["gateway"],
    ["pipeline", "learning"],
    ["trial"],
    ["answer_headers", "deciding"],
    ["entry", "selection"],
    ["audits"],
    ["asked"],
    ["inner_rows"],
    ["plans"],
    ["limits", "conversations", "shadowing"],
    ["access", "cache", "ledger", "judge"],
    ["aside"],
    ["telemetry"],
    ["policy", "upstream"],
    ["ask", "expected"],
    ["body"],
    ["prices", "privacy"],
    ["domain", "settings", "secrets_in_text"],
    ["errors"],
]
"""The rooms of `router`, top to bottom. A room imports its own files and the rows below, never beside or above."""

OWNERS = {
    "litellm": ["router/upstream/litellm_provider.py"],
    "sqlalchemy": ["router/ledger/"],
    "alembic": ["router/ledger/"],
    "redis": ["router/cache/", "router/limits/"],
    "sklearn": ["classifiers/training/"],
    "sentence_transformers": ["classifiers/training/", "classifiers/encoder.py"],
    "torch": ["classifiers/training/", "classifiers/encoder.py"],
    "transformers": ["classifiers/encoder.py"],
    "huggingface_hub": ["classifiers/encoder.py"],
    "plotly": ["router/dashboard/"],
    "matplotlib": ["classifiers/training/plots.py", "router/rehearsal/picture.py"],
    "jinja2": ["router/dashboard/"],
    "cel": ["router/policy/conditions.py"],
    "jsonschema": ["router/plans/shapes.py"],
    "regex": ["router/expected.py"],
    "phonenumbers": ["router/privacy.py"],
    "stdnum": ["router/privacy.py"],
    "httptools": ["router/api/", "router/upstream/http1/"],
    "typer": ["router/cli/"],
    "rich": ["router/cli/", "router/demo/"],
    "prometheus_client": ["router/telemetry/page.py"],
    "opentelemetry": ["router/telemetry/otel.py"],
    "ruamel": ["router/policy/", "router/access/keys.py"],
    "openai": ["router/demo/"],
}


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path, *, at_import_time: bool = False) -> Iterator[str]:
    """Absolute names of the modules a file imports; type-only imports count as imports, since readers follow them."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.iter_child_nodes(tree) if at_import_time else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "router" and len(parts) > 1 else None


def room_of(path: Path) -> str | None:
    parts = path.relative_to(ROOT / "router").parts
    return parts[0].removesuffix(".py") if parts[0] != "__init__.py" else None


def test_rooms_import_only_rooms_below_them() -> None:
    level = {name: number for number, row in enumerate(ROWS) for name in row}
    wrong = []
    for path in files("router"):
        here = room_of(path)
        if here is None:
            continue
        assert here in level, f"{path} is in no row: say where it stands"
        for module in imports(path):
            there = room(module)
            if there in level and there != here and level[there] <= level[here]:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_the_judge_knows_nothing_of_the_gateway() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files("classifiers")
        for module in imports(path)
        if module.split(".")[0] in {"router", "fastapi", "starlette", "redis", "sqlalchemy", "litellm", "aiohttp"}
    ]
    assert not wrong, "\n".join(wrong)


def test_training_is_not_imported_by_what_serves() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files("classifiers")
        if "training" not in path.relative_to(ROOT).parts
        for module in imports(path)
        if module.startswith("classifiers.training")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", sorted(OWNERS))
def test_a_heavy_package_has_one_owner(package: str) -> None:
    strangers = [
        str(path.relative_to(ROOT))
        for path in [*files("router"), *files("classifiers")]
        for module in imports(path)
        if module.split(".")[0] == package
        and not any(str(path.relative_to(ROOT)).startswith(owner) for owner in OWNERS[package])
    ]
    assert not strangers, f"{package} is imported by {sorted(set(strangers))}; it belongs to {OWNERS[package]}"


def test_there_is_no_ring_of_imports() -> None:
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in ("router", "classifiers")
        for path in files(package)
    }
    edges = {
        name: {module for module in imports(path, at_import_time=True) if module in modules and module != name}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for other in edges[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in modules:
        visit(name, ())


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(m.split('.')[0] for m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.split())


def test_the_front_doors_load_nothing_heavy() -> None:
    heavy = {"litellm", "sklearn", "sqlalchemy", "fastapi", "numpy", "redis", "aiohttp", "pydantic", "plotly", "torch"}
    assert not loaded_by("import router, classifiers") & heavy


def test_serving_loads_neither_litellm_nor_training() -> None:
    heavy = {"litellm", "aiohttp", "sklearn", "scipy", "torch", "pandas", "sentence_transformers"}
    assert not loaded_by("import router.app") & heavy


def test_no_file_grows_past_what_a_reader_can_hold() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for package in ("router", "classifiers")
        for path in files(package)
        if path.name != "lexicon.py"  # word lists, not code
        and (lines := path.read_text("utf-8").count("\n")) > 400
    }
    assert not long, f"what second thing have these begun to do? {long}"
