"""A file that grows while a run goes on, so that whoever stops it keeps what was paid for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chassis_tools.evals.lines import line_of, write_lines

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class Progress:
    """Hears how far a run is: `begin` with what is to come and how many of it, `step` after each."""

    begin: Callable[[str, int], None]
    step: Callable[[], None]


class Notebook[T: "DataclassInstance"]:
    """Rows that are written down: each is on disk before anybody hears of it.

    Args:
        path: The file.
        done: What an earlier, stopped run of the same left.
        progress: Hears of each new one.
    """

    def __init__(self, path: Path, done: Iterable[T], progress: Progress) -> None:
        self.rows = list(done)
        self.progress, self._path = progress, path

    def __enter__(self) -> None:
        """Begin with what is done."""
        write_lines(self._path, self.rows)
        self._file = self._path.open("a", encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def write(self, row: T) -> None:
        """Keep one row."""
        self._file.write(line_of(row))
        self._file.flush()
        self.rows.append(row)
        self.progress.step()
