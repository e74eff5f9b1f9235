"""Artefacts: what is damaged, foreign, newer or missing is refused with the reason, and packing is safe."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.artefact import (
    DEFAULT_FOLDER,
    MANIFEST,
    Artefact,
    load_artefact,
    load_default,
    pack,
    read_manifest,
    save_artefact,
    unpack,
    untaught_heads,
)
from classifiers.errors import ArtefactError
from classifiers.features import HAND, FeatureFunction


def tiny() -> Artefact:
    """A small valid artefact without word vectors, so that every byte of it can be tried."""
    random = np.random.default_rng(0)
    return Artefact(
        featurise=FeatureFunction(),
        tasks=("chat", "code"),
        models=("acme-7b",),
        tiers=("small",),
        worlds=random.normal(size=(5, HAND + 1)).astype(np.float32),
        task_heads=random.normal(size=(2, HAND + 1)).astype(np.float32),
        heads=untaught_heads(HAND, 3),
        priors=np.array([[0.8, 0.6], [0.9, 0.8], [0.4, 0.3], [0.6, 0.5]], dtype=np.float32),
        support_mean=np.zeros(HAND, np.float32),
        support_spread=np.ones(HAND, np.float32),
        support_centres=np.zeros((1, HAND), np.float32),
        support_knots=np.array([1.0, 9.0], np.float32),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_artefact(tiny(), tmp_path / "tiny", {"created": None}, {"report.md": "# nothing\n"})
    return tmp_path / "tiny"


def reason(folder: Path) -> str:
    with pytest.raises(ArtefactError) as caught:
        load_artefact(folder)
    return caught.value.reason


def rewritten(folder: Path, change: Callable[[dict[str, object]], object]) -> Path:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_the_shipped_artefact_loads_and_is_small() -> None:
    loaded = load_default()
    assert loaded.digest == read_manifest(DEFAULT_FOLDER)["digest"]
    assert sum(path.stat().st_size for path in DEFAULT_FOLDER.iterdir()) <= 10_000_000


def test_the_shipped_artefact_has_a_report_with_baselines() -> None:
    report = (DEFAULT_FOLDER / "report.md").read_text()
    for word in ("random", "length", "task", "chat", "left out"):
        assert word in report


def test_what_was_saved_is_what_is_loaded(folder: Path) -> None:
    loaded, wanted = load_artefact(folder), tiny()
    assert loaded.digest == wanted.digest
    assert (loaded.tasks, loaded.models) == (wanted.tasks, wanted.models)
    for name, array in loaded.arrays.items():
        assert (array == wanted.arrays[name]).all()


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_artefact(tiny(), tmp_path / name, {"created": None}, {})
    assert pack(tmp_path / "one") == pack(tmp_path / "two")


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_of_any_file_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("flip") / "artefact"
    save_artefact(tiny(), folder, {"created": None}, {})
    names = sorted(read_manifest(folder)["files"])
    path = folder / data.draw(st.sampled_from(names))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))
    assert reason(folder) == "damaged"


def test_every_flipped_byte_of_a_small_file_is_noticed(folder: Path) -> None:
    path = folder / "support_knots.npy"
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        assert reason(folder) == "damaged"


def test_a_missing_folder_and_a_missing_file_are_told_apart(folder: Path, tmp_path: Path) -> None:
    assert reason(tmp_path / "nowhere") == "missing"
    (folder / "heads.npy").unlink()
    assert reason(folder) == "damaged"


@pytest.mark.parametrize(("schema", "expected"), [(99, "newer"), (1, "older")])
def test_another_schema_is_refused_as_what_it_is(folder: Path, schema: int, expected: str) -> None:
    assert reason(rewritten(folder, lambda manifest: manifest.update(schema=schema))) == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("format", "somebody-elses", "foreign"),
        ("features_digest", "0" * 16, "foreign"),
        ("digest", "0" * 12, "damaged"),
        ("files", {}, "damaged"),
        ("files", {"../../etc/passwd": "0"}, "foreign"),
        ("files", [1], "damaged"),
        ("schema", "one", "damaged"),
        ("tasks", None, "damaged"),
        ("tasks", ["chat"], "damaged"),
        ("tiers", ["huge"], "damaged"),
        ("tiers", [], "damaged"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder: Path, key: str, value: object, expected: str) -> None:
    assert reason(rewritten(folder, lambda manifest: manifest.update({key: value}))) == expected


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null", "\x00"])
def test_a_broken_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    assert reason(folder) in ("damaged", "foreign")


def test_a_pickle_in_place_of_an_array_is_never_opened(folder: Path) -> None:
    np.save(folder / "heads.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    import hashlib

    digest = hashlib.sha256((folder / "heads.npy").read_bytes()).hexdigest()
    rewritten(folder, lambda manifest: manifest["files"].update({"heads.npy": digest}))  # type: ignore[attr-defined]
    assert reason(folder) == "damaged"


def test_arrays_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    bad = tiny()
    heads = bad.heads.copy()
    heads[0, 0] = np.nan
    with pytest.raises(ArtefactError, match="do not fit together"):
        save_artefact(replace(bad, heads=heads), tmp_path / "bad", {}, {})


def test_packing_and_unpacking_gives_the_same_artefact(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder)
    assert unpack(packed, tmp_path / "again").digest == tiny().digest
    assert pack(tmp_path / "again") == packed


def test_the_shipped_artefact_survives_packing(tmp_path: Path) -> None:
    assert unpack(pack(DEFAULT_FOLDER), tmp_path / "copy").digest == load_default().digest


def test_a_damaged_folder_is_not_packed(folder: Path) -> None:
    (folder / "priors.npy").write_bytes(b"")
    with pytest.raises(ArtefactError):
        pack(folder)


@pytest.mark.parametrize("name", ["../escaped.npy", "/tmp/escaped.npy", "a/b.npy", "run.py", "..", ".hidden.npy"])
def test_nothing_is_unpacked_outside_the_folder(name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ArtefactError) as caught:
        unpack(buffer.getvalue(), tmp_path / "in" / "here")
    assert caught.value.reason == "foreign"
    assert not list(tmp_path.rglob("*escaped*"))


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1), noise=st.binary(min_size=1, max_size=8))
def test_damaged_packs_are_refused_and_never_crash(
    tmp_path_factory: pytest.TempPathFactory, cut: float, noise: bytes
) -> None:
    where = tmp_path_factory.mktemp("packs")
    save_artefact(tiny(), where / "good", {"created": None}, {})
    packed = pack(where / "good")
    position = int(cut * (len(packed) - len(noise)))
    damaged = packed[:position] + noise + packed[position + len(noise) :]
    for attempt in (damaged, packed[:position]):
        if attempt == packed:
            continue
        try:
            loaded = unpack(attempt, where / "out")
        except ArtefactError:
            shutil.rmtree(where / "out", ignore_errors=True)
        else:  # a byte of the zip's own bookkeeping, such as a date
            assert loaded.digest == tiny().digest
