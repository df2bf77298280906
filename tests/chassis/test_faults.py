"""Every row of the fault table: the real SDK of a vendor, and a vendor that misbehaves."""

from collections.abc import Generator
from pathlib import Path

import pytest
from fault import DEADLINE_SECONDS, Fault
from fault_table import FAULTS, PROCESS_ENDS
from faulty_service import resolving_nowhere, run
from faulty_vendor import FaultyVendor, faulty_vendor
from telemetry_sinks import Lines

MAX_SECONDS = DEADLINE_SECONDS * 1.05


@pytest.fixture(scope="module")
def vendor() -> Generator[FaultyVendor]:
    """Run one vendor for all faults, with a resolver that knows no name in `.invalid`."""
    with faulty_vendor() as listening, resolving_nowhere():
        yield listening


@pytest.mark.parametrize(
    "fault",
    [fault for faults in FAULTS.values() for fault in faults if fault not in PROCESS_ENDS],
    ids=lambda fault: fault.what,
)
def test_a_fault_has_the_result_in_the_table(fault: Fault, vendor: FaultyVendor, tmp_path: Path, lines: Lines) -> None:
    """The response, the charge and the log are as in the table; it comes in time, and nothing stays reserved."""
    ran = run(fault, vendor, tmp_path, lines)

    assert ran.result == fault.result
    assert ran.reserved == 0
    assert ran.seconds <= MAX_SECONDS
