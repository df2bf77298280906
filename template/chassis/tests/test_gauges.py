"""The gauges of what lies in the database: who waits at the desk, and whether the database answers at all."""

import asyncio
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from sample_task import TASK

from chassis.contract import FallbackReason
from chassis.gauges import GaugeSources, refresh_gauges
from chassis.testing import ScriptedModel, wire_for_tests
from chassis.wiring import Wiring


async def seen(wiring: Wiring) -> dict[str, float]:
    """Look once, and return what /metrics says of desk and store then."""
    await refresh_gauges(
        GaugeSources(wiring.ledger, wiring.review_queue, wiring.kill_switch),
        wiring.constraints,
        wiring.telemetry.instruments,
    )
    families = text_string_to_metric_families(wiring.telemetry.metrics_page()[0].decode())
    samples = [sample for family in families for sample in family.samples]
    return {one.name: one.value for one in samples if one.name.startswith(("chassis_review", "chassis_database"))}


def test_the_desk_is_counted(tmp_path: Path) -> None:
    """Those who wait and those who wait too long have a gauge each; whoever was answered is in neither."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello"), review={"due_hours": 1e-9}) as wiring:
            assert await seen(wiring) == {
                "chassis_review_open": 0,
                "chassis_review_overdue": 0,
                "chassis_database_up": 1,
            }
            first = await wiring.review_queue.refer("echo", "ann", "c_1", FallbackReason.LOW_CONFIDENCE, "{}", None)
            await wiring.review_queue.refer("echo", "ann", "c_2", FallbackReason.LOW_CONFIDENCE, "{}", None)
            await wiring.review_queue.answer(first.referral_id, "{}", "bob")
            assert await seen(wiring) == {
                "chassis_review_open": 1,
                "chassis_review_overdue": 1,
                "chassis_database_up": 1,
            }

    asyncio.run(story())


def test_who_waits_in_time_is_not_overdue(tmp_path: Path) -> None:
    """Until the promised time has come, nobody has to be called."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello")) as wiring:
            await wiring.review_queue.refer("echo", "ann", "c_1", FallbackReason.LOW_CONFIDENCE, "{}", None)
            assert await seen(wiring) == {
                "chassis_review_open": 1,
                "chassis_review_overdue": 0,
                "chassis_database_up": 1,
            }

    asyncio.run(story())


def test_a_database_that_is_gone_is_told(tmp_path: Path) -> None:
    """The other gauges keep what they said, so that one cause looks like one."""

    async def story() -> None:
        async with wire_for_tests(TASK, tmp_path, ScriptedModel("hello")) as wiring:
            assert (await seen(wiring))["chassis_database_up"] == 1
            (tmp_path / "service.db").unlink()
            assert await seen(wiring) == {
                "chassis_review_open": 0,
                "chassis_review_overdue": 0,
                "chassis_database_up": 0,
            }

    asyncio.run(story())
