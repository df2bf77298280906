"""Every row of the fault table, with the real SDK of a vendor against a vendor that misbehaves."""

from collections.abc import Generator
from pathlib import Path

import pytest
from fault_table import DEADLINE_SECONDS, OF_ALL_VENDORS, OF_CODE, OF_STORES, OF_VENDORS, Fault
from faulty_service import resolving_nowhere, run
from faulty_vendor import FaultyVendor, faulty_vendor
from telemetry_sinks import Lines

MOST_SECONDS = DEADLINE_SECONDS * 1.05


@pytest.fixture(scope="module")
def vendor() -> Generator[FaultyVendor]:
    """Keep one vendor for all faults, in a world where some names are unknown."""
    with faulty_vendor() as listening, resolving_nowhere():
        yield listening


@pytest.mark.parametrize("fault", [*OF_VENDORS, *OF_ALL_VENDORS, *OF_CODE, *OF_STORES], ids=lambda fault: fault.what)
def test_a_fault_ends_as_the_table_says(fault: Fault, vendor: FaultyVendor, tmp_path: Path, lines: Lines) -> None:
    """The caller gets what the table says, in time; the money is charged as it says, and nothing stays held."""
    ran = run(fault, vendor, tmp_path, lines)

    assert ran.ending == fault.ending
    assert ran.held == 0
    assert ran.seconds <= MOST_SECONDS
