"""The gauges whose values are in the database: the review queue, and whether the database answers."""

import asyncio
from pathlib import Path

from chassis.contract import FallbackReason
from chassis.gauges import GaugeSources, refresh_gauges
from chassis.testing import ScriptedModel, wire_for_tests
from chassis.wiring import Wiring
from prometheus_client.parser import text_string_to_metric_families
from sample_task import TASK


async def refreshed(wiring: Wiring) -> dict[str, float]:
    """Refresh the gauges and return those of the review queue and the database."""
    await refresh_gauges(
        GaugeSources(wiring.database, wiring.ledger, wiring.review_queue, wiring.kill_switch),
        wiring.constraints,
        wiring.telemetry.instruments,
    )
    families = text_string_to_metric_families(wiring.telemetry.metrics_page()[0].decode())
    samples = [sample for family in families for sample in family.samples]
    return {
        sample.name: sample.value
        for sample in samples
        if sample.name.startswith(("chassis_review", "chassis_database"))
    }


def test_open_and_overdue_referrals_are_counted(tmp_path: Path) -> None:
    """An answered referral counts as neither."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello"), review={"due_hours": 1e-9}) as wiring:
            assert await refreshed(wiring) == {
                "chassis_review_open": 0,
                "chassis_review_overdue": 0,
                "chassis_database_up": 1,
            }
            first = await wiring.review_queue.refer("echo", "ann", "c_1", FallbackReason.LOW_CONFIDENCE, "{}", None)
            await wiring.review_queue.refer("echo", "ann", "c_2", FallbackReason.LOW_CONFIDENCE, "{}", None)
            await wiring.reviews.answer(first.referral_id, "{}", "bob")
            assert await refreshed(wiring) == {
                "chassis_review_open": 1,
                "chassis_review_overdue": 1,
                "chassis_database_up": 1,
            }

    asyncio.run(story())


def test_a_referral_before_its_due_time_is_not_overdue(tmp_path: Path) -> None:
    """It only counts as open."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello")) as wiring:
            await wiring.review_queue.refer("echo", "ann", "c_1", FallbackReason.LOW_CONFIDENCE, "{}", None)
            assert await refreshed(wiring) == {
                "chassis_review_open": 1,
                "chassis_review_overdue": 0,
                "chassis_database_up": 1,
            }

    asyncio.run(story())


def test_an_unavailable_database_is_reported(tmp_path: Path) -> None:
    """The other gauges keep their values, so that one cause does not look like several."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello")) as wiring:
            assert (await refreshed(wiring))["chassis_database_up"] == 1
            (tmp_path / "service.db").unlink()
            assert await refreshed(wiring) == {
                "chassis_review_open": 0,
                "chassis_review_overdue": 0,
                "chassis_database_up": 0,
            }

    asyncio.run(story())
