"""A trained classifier on disk: a folder of arrays and a manifest that vouches for every byte of them.

Nothing here is executed when it is read (no pickle). A folder that is missing, damaged, foreign or of another schema is
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

from classifiers.embedded import PROJECTION_FILES, EmbeddedFeatures, load_projection, save_projection
from classifiers.errors import ArtefactError
from classifiers.features import FeatureFunction
from classifiers.grams import GRAM_FILES, load_grams, save_grams
from classifiers.vectors import VECTOR_FILES, load_vectors, save_vectors

FORMAT: Final = "signalbox-artefact"
SCHEMA: Final = 2
MANIFEST: Final = "manifest.json"
DEFAULT_FOLDER: Final = Path(__file__).with_name("artefacts") / "default"
MAX_BYTES: Final = 64 * 1024 * 1024

ARRAYS: Final = (
    "worlds", "task_heads", "heads", "priors", "support_mean", "support_spread", "support_centres", "support_knots",
)  # fmt: skip
"""Fields of an artefact that are arrays; each is a file of its name."""
_SAFE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_]*\.(npy|json|md)")


@dataclass(frozen=True)
class Artefact:
    """All that serving needs. With d features, k tasks, m models with heads of their own, all arrays float32:

    worlds: (5, d + 1). Rows: P(good answer) of a small and of a large model in chat, the same two in exams, and P(the
    ask is chat), which mixes them; all as logits, the last column is the bias. The mixed logits are the generic ones.
    task_heads: (k, d + 1), logits of a softmax over `tasks`.
    heads: (2 + m, d + 2), rows `small`, `large`, then one for each of `models`: weights of the features, of the generic
    logit of its tier, and a bias; before any retraining (0, ..., 0, 1, 0). tiers: `small` or `large`, by model.
    priors: (4, k), P(good answer) by task, rows as the first four of `worlds`.
    support_mean, support_spread: (d,); support_centres: (c, d), in spreads; support_knots: (2,), mean squared distances
    to the nearest centre at which support is 1 and 0. manifest: of the folder.
    """

    featurise: FeatureFunction
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    tiers: tuple[str, ...]
    worlds: NDArray[np.float32]
    task_heads: NDArray[np.float32]
    heads: NDArray[np.float32]
    priors: NDArray[np.float32]
    support_mean: NDArray[np.float32]
    support_spread: NDArray[np.float32]
    support_centres: NDArray[np.float32]
    support_knots: NDArray[np.float32]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """By name, in the order of ARRAYS."""
        return {name: getattr(self, name) for name in ARRAYS}

    @property
    def tier(self) -> str:
        """`encoder` where the features need one, else `fast`."""
        return "encoder" if isinstance(self.featurise, EmbeddedFeatures) else "fast"

    @cached_property
    def digest(self) -> str:
        """Names the artefact: first 12 hex digits of a sha256 over what judges (not over metrics or dates)."""
        sha = hashlib.sha256(self.featurise.digest.encode())
        sha.update(json.dumps([self.tasks, self.models, self.tiers]).encode())
        for array in self.arrays.values():
            sha.update(np.ascontiguousarray(array, np.float32).tobytes())
        return sha.hexdigest()[:12]


def untaught_heads(size: int, count: int = 2) -> NDArray[np.float32]:
    """Heads that say just what the generic logit says, shape (count, size + 2). size: of the feature vector."""
    heads = np.zeros((count, size + 2), np.float32)
    heads[:, -2] = 1.0
    return heads


def save_artefact(artefact: Artefact, folder: Path, about: Mapping[str, Any], texts: Mapping[str, str]) -> Artefact:
    """Write a folder that `load_artefact` takes, and return what it would.

    about: JSON-able facts for the manifest (`created`, `data`, `metrics`, ...). texts: further files, as `report.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_file() and _SAFE_NAME.fullmatch(old.name):
            old.unlink()
    for name, array in artefact.arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array, np.float32), allow_pickle=False)
    if artefact.featurise.vectors is not None:
        save_vectors(artefact.featurise.vectors, folder)
    if artefact.featurise.grams is not None:
        save_grams(artefact.featurise.grams, folder)
    reads: dict[str, Any] = {"tier": artefact.tier}
    if isinstance(artefact.featurise, EmbeddedFeatures):
        save_projection(artefact.featurise.projection, folder)
        reads["encoder"] = {"weights_sha256": artefact.featurise.projection.weights}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = {path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "digest": artefact.digest,
        **reads,
        "features_digest": artefact.featurise.digest,
        "tasks": list(artefact.tasks),
        "models": list(artefact.models),
        "tiers": list(artefact.tiers),
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
    missing = [f"{name}.npy" for name in ARRAYS if f"{name}.npy" not in manifest["files"]]
    if missing:
        raise ArtefactError("damaged", f"{folder}: the manifest lacks {', '.join(missing)}")
    try:
        arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in ARRAYS}
        featurise = _featurise(folder, manifest)
    except (OSError, ValueError, EOFError) as error:
        raise ArtefactError("damaged", f"{folder}: {error}") from error
    if featurise.digest != manifest["features_digest"]:
        raise ArtefactError(
            "foreign", f"{folder} was made for features {manifest['features_digest']}, this is {featurise.digest}"
        )
    tasks, models, tiers = (tuple(manifest[key]) for key in ("tasks", "models", "tiers"))
    artefact = Artefact(featurise, tasks, models, tiers, **arrays, manifest=manifest)
    _check_shapes(artefact, folder)
    return artefact


def _featurise(folder: Path, manifest: Mapping[str, Any]) -> FeatureFunction:
    """That of a folder, without its encoder. Raises OSError or ValueError."""
    vectors = load_vectors(folder) if VECTOR_FILES[0] in manifest["files"] else None
    grams = load_grams(folder) if GRAM_FILES[0] in manifest["files"] else None
    if manifest.get("tier", "fast") != "encoder":
        return FeatureFunction(vectors, grams)
    encoder = manifest.get("encoder")
    weights = encoder.get("weights_sha256") if isinstance(encoder, dict) else None
    if not isinstance(weights, str) or not set(PROJECTION_FILES) <= set(manifest["files"]):
        raise ValueError("the manifest does not say what encoder it needs, or the projection is not there")
    return EmbeddedFeatures(vectors, load_projection(folder, weights), grams=grams)


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
    if schema != SCHEMA:
        known = f"{path} has schema {schema}, this program knows {SCHEMA}"
        raise ArtefactError("newer", known) if schema > SCHEMA else ArtefactError("older", f"{known}: train it again")
    shapes = {"files": dict, "tasks": list, "models": list, "tiers": list, "features_digest": str, "digest": str}
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
    size, tasks, models = artefact.featurise.size, len(artefact.tasks), len(artefact.models)
    centres = artefact.support_centres.shape[0] if artefact.support_centres.ndim == 2 else 0
    right = {
        "worlds": (5, size + 1),
        "task_heads": (tasks, size + 1),
        "heads": (2 + models, size + 2),
        "priors": (4, tasks),
        "support_mean": (size,),
        "support_spread": (size,),
        "support_centres": (centres, size),
        "support_knots": (2,),
    }
    arrays = artefact.arrays
    fits = tasks > 0 and centres > 0 and len(artefact.tiers) == models and set(artefact.tiers) <= {"small", "large"}
    fits = fits and all(arrays[name].shape == shape for name, shape in right.items())
    if not fits or not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values()):
        raise ArtefactError("damaged", f"{folder}: the arrays do not fit together")
    if artefact.digest != artefact.manifest["digest"]:
        raise ArtefactError("damaged", f"{folder}: digest {artefact.digest} is not what the manifest says")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
