"""A small storm: replicas, a failing vendor, and a kill under load. `make storm` makes the big one."""

from pathlib import Path

import pytest
import storm
from postgres_server import NoServer, any_server

REQUESTS = 600


@pytest.mark.slow
def test_a_storm_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every request has exactly one outcome, the ledger agrees with the bill, and the queue has each referral."""
    try:
        with any_server() as server:
            made, audit = storm.run(REQUESTS, server, tmp_path)
    except NoServer as reason:
        pytest.skip(str(reason))

    with capsys.disabled():
        print(f"\n{audit}")
    audit.check()
    assert len(made.responses) == REQUESTS + 1  # and the probe
    assert {"answered by first", "answered by second", "referred"} <= audit.outcomes.keys()
