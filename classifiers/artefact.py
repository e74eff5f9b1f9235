"""A trained classifier on disk: a folder of arrays and a manifest that vouches for every byte of them.

Nothing here is executed when it is read (no pickle). A folder that is missing, damaged, foreign or of a newer schema is
refused with the reason. `pack` and `unpack` turn a folder into bytes and back, for a registry that stores artefacts.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import ArtefactError
from classifiers.features import FeatureFunction
from classifiers.vectors import VECTOR_FILES, load_vectors, save_vectors

FORMAT: Final = "signalbox-artefact"
SCHEMA: Final = 1
MANIFEST: Final = "manifest.json"
DEFAULT_FOLDER: Final = Path(__file__).with_name("artefacts") / "default"
MAX_BYTES: Final = 64 * 1024 * 1024

_ARRAYS: Final = ("heads.npy", "priors.npy", "support_mean.npy", "support_spread.npy", "support_knots.npy")
_SAFE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_]*\.(npy|json|md)")


@dataclass(frozen=True)
class Artefact:
    """All that serving needs. With d features, k tasks, m models with heads of their own:

    heads: float32 (2 + k + m, d + 1), rows `small`, `large`, tasks, models; the last column is the bias. Quality
    heads give logits of P(good answer), task heads logits of a softmax. models: ids in the order of their rows.
    priors: float32 (2, k), P(good answer) by tier and task. support_mean, support_spread: (d,);
    support_knots: (2,), mean squared distances, in spreads, at which support is 1 and 0. manifest: of the folder.
    """

    featurise: FeatureFunction
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    heads: NDArray[np.float32]
    priors: NDArray[np.float32]
    support_mean: NDArray[np.float32]
    support_spread: NDArray[np.float32]
    support_knots: NDArray[np.float32]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Names the artefact: first 12 hex digits of a sha256 over what judges (not over metrics or dates)."""
        sha = hashlib.sha256(self.featurise.digest.encode())
        sha.update(json.dumps([self.tasks, self.models]).encode())
        for array in (self.heads, self.priors, self.support_mean, self.support_spread, self.support_knots):
            sha.update(np.ascontiguousarray(array, np.float32).tobytes())
        return sha.hexdigest()[:12]


def save_artefact(artefact: Artefact, folder: Path, about: Mapping[str, Any], texts: Mapping[str, str]) -> Artefact:
    """Write a folder that `load_artefact` takes, and return what it would.

    about: JSON-able facts for the manifest (`created`, `data`, `metrics`, ...). texts: further files, as `report.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_file() and _SAFE_NAME.fullmatch(old.name):
            old.unlink()
    arrays = (
        artefact.heads, artefact.priors, artefact.support_mean, artefact.support_spread, artefact.support_knots,
    )  # fmt: skip
    for name, array in zip(_ARRAYS, arrays, strict=True):
        np.save(folder / name, np.ascontiguousarray(array, np.float32), allow_pickle=False)
    if artefact.featurise.vectors is not None:
        save_vectors(artefact.featurise.vectors, folder)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = {path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "digest": artefact.digest,
        "features_digest": artefact.featurise.digest,
        "tasks": list(artefact.tasks),
        "models": list(artefact.models),
        **about,
        "files": files,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=False, allow_nan=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return load_artefact(folder)


def load_artefact(folder: Path) -> Artefact:
    """Check every file of a folder against its manifest, then read it. Raises ArtefactError with the reason."""
    manifest = read_manifest(folder)
    for name, expected in manifest["files"].items():
        if not isinstance(name, str) or not _SAFE_NAME.fullmatch(name):
            raise ArtefactError("foreign", f"{folder}: manifest names a file {name!r}")
        path = folder / name
        if not path.is_file():
            raise ArtefactError("damaged", f"{path} is missing")
        if _sha256(path) != expected:
            raise ArtefactError("damaged", f"{path} differs from what the manifest says")
    missing = [name for name in _ARRAYS if name not in manifest["files"]]
    if missing:
        raise ArtefactError("damaged", f"{folder}: the manifest lacks {', '.join(missing)}")
    try:
        arrays = [np.load(folder / name, allow_pickle=False) for name in _ARRAYS]
        vectors = load_vectors(folder) if VECTOR_FILES[0] in manifest["files"] else None
    except (OSError, ValueError, EOFError) as error:
        raise ArtefactError("damaged", f"{folder}: {error}") from error
    featurise = FeatureFunction(vectors)
    if featurise.digest != manifest["features_digest"]:
        raise ArtefactError(
            "foreign", f"{folder} was made for features {manifest['features_digest']}, this is {featurise.digest}"
        )
    heads, priors, mean, spread, knots = arrays
    artefact = Artefact(
        featurise, tuple(manifest["tasks"]), tuple(manifest["models"]), heads, priors, mean, spread, knots, manifest
    )
    _check_shapes(artefact, folder)
    return artefact


def load_default() -> Artefact:
    """The artefact that ships with the package."""
    return load_artefact(DEFAULT_FOLDER)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest alone, with its format and schema checked. Raises ArtefactError."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtefactError("missing", f"{path} is not there")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError("damaged", f"{path}: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtefactError("foreign", f"{path} is not a manifest of ours")
    schema = manifest.get("schema")
    if not isinstance(schema, int):
        raise ArtefactError("damaged", f"{path}: no schema")
    if schema > SCHEMA:
        raise ArtefactError("newer", f"{path} has schema {schema}, this program knows {SCHEMA}")
    shapes = {"files": dict, "tasks": list, "models": list, "features_digest": str, "digest": str}
    for key, kind in shapes.items():
        if not isinstance(manifest.get(key), kind):
            raise ArtefactError("damaged", f"{path}: {key} is missing or of the wrong kind")
    return manifest


def pack(folder: Path) -> bytes:
    """The folder as one zip, the same bytes for the same files. Raises ArtefactError if it would not load."""
    load_artefact(folder)
    names = [MANIFEST, *sorted(read_manifest(folder)["files"])]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (folder / name).read_bytes(), compresslevel=6)
    return buffer.getvalue()


def unpack(packed: bytes, folder: Path) -> Artefact:
    """Write what `pack` made into `folder` and load it. Raises ArtefactError; names never leave the folder."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise ArtefactError("foreign", "unpacks to more than an artefact may hold")
            for entry in entries:
                if not _SAFE_NAME.fullmatch(entry.filename):
                    raise ArtefactError("foreign", f"holds a file named {entry.filename!r}")
            contents = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, ValueError, OSError, NotImplementedError) as error:
        raise ArtefactError("damaged", f"not a packed artefact ({error})") from error
    except Exception as error:
        if isinstance(error, ArtefactError):
            raise
        # zlib.error and RuntimeError (an encrypted entry) have no common parent short of this one.
        raise ArtefactError("damaged", f"cannot be unpacked ({error})") from error
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return load_artefact(folder)


def created() -> str | None:
    """The date a manifest may carry: SOURCE_DATE_EPOCH in RFC 3339, else none, so that bytes repeat."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).isoformat() if epoch else None


def _check_shapes(artefact: Artefact, folder: Path) -> None:
    size, tasks = artefact.featurise.size, len(artefact.tasks)
    right = (
        artefact.heads.shape == (2 + tasks + len(artefact.models), size + 1)
        and artefact.priors.shape == (2, tasks)
        and artefact.support_mean.shape == (size,)
        and artefact.support_spread.shape == (size,)
        and artefact.support_knots.shape == (2,)
        and tasks > 0
    )
    arrays = (
        artefact.heads, artefact.priors, artefact.support_mean, artefact.support_spread, artefact.support_knots,
    )  # fmt: skip
    if not right or not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays):
        raise ArtefactError("damaged", f"{folder}: the arrays do not fit together")
    if artefact.digest != artefact.manifest["digest"]:
        raise ArtefactError("damaged", f"{folder}: digest {artefact.digest} is not what the manifest says")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
