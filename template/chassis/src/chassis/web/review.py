"""The review page at `/review`: reviewers answer referrals there, one at a time.

The page is plain HTML with forms and works without JavaScript; a script only adds keys.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from chassis.clock import now
from chassis.config.typed_values import read_answer, required_fields, show_json
from chassis.contract import FallbackReason
from chassis.errors import CallError, ConfigError, NotFound
from chassis.quality.drift import SignalReport
from chassis.store.quality_history import DriftAlarm, DriftAlarms
from chassis.store.review_queue import Referral
from chassis.store.reviews import Assessment
from chassis.web.pages import Pages, is_table, labeled, text_of
from chassis.web.review_access import REVIEW, Form, ReviewAccess, Visit, field_of
from chassis.web.status import StatusPage
from chassis.wiring import Wiring

REFERRAL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_TAGS, MAX_TAG_LENGTH, MAX_NOTE_LENGTH = 10, 40, 5000
FIRST_TAGS = ("wrong", "incomplete", "wrong source", "outdated", "unclear")
"""Offered until reviewers have used others."""
TAGS_SHOWN = 9
"""As many as there are digits to press."""
SOURCES: Mapping[str, str] = {
    "feedback": "The caller was not content with this answer.",
    "sample": "This answer is in the random sample.",
    "second": "Another reviewer has reviewed this answer; the verdict is hidden.",
}
REASONS: Mapping[str, str] = {
    FallbackReason.NO_MODEL: "No model is configured, and the baseline was not sure enough.",
    FallbackReason.MODELS_OFF: "The models are switched off, and the baseline was not sure enough.",
    FallbackReason.LOW_CONFIDENCE: "The service was not sure enough of its draft.",
    FallbackReason.MODELS_FAILED: "No model gave a usable reply.",
    FallbackReason.BUDGET_EXHAUSTED: "The budget was exhausted.",
    FallbackReason.DATABASE_DOWN: "The database was unavailable.",
}


class InvalidReview(CallError):
    """What a reviewer entered cannot be saved."""

    status, slug, title = 422, "invalid-review", "The review cannot be saved"


def review_router(wiring: Wiring) -> APIRouter:
    """Return the routes of the page."""
    pages = Pages(wiring.project.name, wiring.constraints)
    access, page = ReviewAccess(wiring, pages), ReviewPage(wiring, pages)
    router = APIRouter(prefix=REVIEW, include_in_schema=False)
    router.add_api_route("", access.for_reviewers(page.show), methods=["GET"])
    router.add_api_route("/status", access.for_reviewers(StatusPage(wiring, pages).show), methods=["GET"])
    router.add_api_route("/sign-in", access.sign_in, methods=["POST"])
    router.add_api_route("/sign-in/provider", access.leave_for_provider, methods=["GET"])
    router.add_api_route("/sign-in/callback", access.return_from_provider, methods=["GET"])
    router.add_api_route("/sign-out", access.for_reviewers(access.sign_out), methods=["POST"])
    router.add_api_route("/alarms/{alarm_id}", access.for_reviewers(page.show_alarm), methods=["GET"])
    router.add_api_route("/alarms/{alarm_id}", access.for_reviewers(page.close_alarm), methods=["POST"])
    router.add_api_route("/{referral_id}", access.for_reviewers(page.save), methods=["POST"])
    router.add_api_route("/{_page}", _no_page, methods=["GET"])
    return router


async def _no_page() -> Response:
    """Answer as for any path that does not exist; without this, the method would be wrong."""
    raise NotFound("There is no such page; /review shows the next referral")


class ReviewPage:
    """The page and what its forms do."""

    def __init__(self, wiring: Wiring, pages: Pages) -> None:
        self._wiring, self._pages, self._reviews = wiring, pages, wiring.reviews

    async def show(self, visit: Visit) -> Response:
        """Show the referral that the reviewer should answer next."""
        referral = await self._reviews.lease_next(visit.reviewer)
        last = await self._find(visit.request.query_params.get("after", ""))
        return await self._review_page(visit, referral, last=last)

    async def show_alarm(self, visit: Visit) -> Response:
        """Show an alarm of quality drift."""
        alarm_id: str = visit.request.path_params["alarm_id"]
        alarm = next((alarm for alarm in await self._alarms() if alarm.id == alarm_id), None)
        if alarm is None:
            raise NotFound("No such alarm is open")
        return await self._review_page(visit, None, alarm=alarm)

    async def close_alarm(self, visit: Visit) -> Response:
        """Close an alarm: its cause is fixed, or the new level is accepted."""
        action = field_of(visit.form, "action")
        if action not in {"fixed", "accept"}:
            raise InvalidReview("Choose Fixed or Accept the new level")
        await self._reviews.close_alarm(
            visit.request.path_params["alarm_id"], visit.reviewer, accept=action == "accept"
        )
        return RedirectResponse(REVIEW, 303)

    async def _alarms(self) -> list[DriftAlarm]:
        return await DriftAlarms(self._wiring.database).open_alarms()

    async def _signal_of(self, alarm: DriftAlarm) -> SignalReport | None:
        """Return the evidence of an alarm as of now."""
        signals = (signal for report in await self._wiring.drift_watch.reports() for signal in report.signals)
        return next((signal for signal in signals if signal.alarm and signal.alarm.id == alarm.id), None)

    async def save(self, visit: Visit) -> Response:
        """Do what the reviewer chose: pass, fail, defer, or undo the last choice."""
        referral_id: str = visit.request.path_params["referral_id"]
        referral = await self._find(referral_id)
        if referral is None:
            raise NotFound("There is no such referral")
        match field_of(visit.form, "action"):
            case "defer":
                await self._reviews.defer(referral_id, visit.reviewer)
            case "undo":
                await self._reviews.undo(referral_id, visit.reviewer)
                return RedirectResponse(REVIEW, 303)
            case verdict:
                try:
                    answer, assessment = self._entered(referral, verdict, visit.form)
                except InvalidReview as error:
                    return await self._review_page(visit, referral, problem=error)
                await self._reviews.answer(referral_id, answer, visit.reviewer, assessment)
        return RedirectResponse(f"{REVIEW}?after={referral_id}", 303)

    async def _find(self, referral_id: str) -> Referral | None:
        return await self._wiring.review_queue.find(referral_id) if REFERRAL_ID.fullmatch(referral_id) else None

    def _entered(self, referral: Referral, verdict: str, form: Form) -> tuple[str | None, Assessment]:
        """Return the answer as JSON and the assessment, as the reviewer entered them.

        A draft that failed needs no other answer if no caller waits for one.

        Raises:
            InvalidReview: The entries contradict each other, are too long or do not fit the task's type.
        """
        text = field_of(form, "answer").replace("\r\n", "\n")
        unchanged = text.strip() == self._editable(referral.draft).strip()
        tags = tuple(dict.fromkeys(tag.strip() for tag in form.get("tag", ()) if tag.strip()))
        note = field_of(form, "note").replace("\r\n", "\n").strip()
        if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG_LENGTH for tag in tags):
            raise InvalidReview(f"Give at most {MAX_TAGS} tags of at most {MAX_TAG_LENGTH} characters")
        if len(note) > MAX_NOTE_LENGTH:
            raise InvalidReview(f"Write a note of at most {MAX_NOTE_LENGTH} characters")
        match verdict:
            case "pass" if referral.draft is None:
                raise InvalidReview("There is no draft to pass; write the answer and save it")
            case "pass" if not unchanged:
                raise InvalidReview("You changed the answer; save it as a correction with Fail, or undo the change")
            case "pass":
                return json.dumps(referral.draft), Assessment(verdict="pass", tags=tags, note=note)
            case "fail" if unchanged and not referral.caller_waits:
                return None, Assessment(tags=tags, note=note)
            case "fail" if unchanged or not text.strip():
                raise InvalidReview("Correct the answer first; the caller gets what you write")
            case "fail":
                try:
                    typed = read_answer(self._wiring.task.gives, text)
                except ConfigError as error:
                    raise InvalidReview(str(error)) from None
                return typed.model_dump_json(by_alias=True), Assessment(tags=tags, note=note)
            case _:
                raise InvalidReview("Choose Pass, Fail or Defer")

    def _editable(self, draft: Mapping[str, Any] | None) -> str:
        """Return a draft as the reviewer edits it: its text if that is all that an answer needs, else JSON."""
        required = required_fields(self._wiring.task.gives)
        if len(required) != 1:
            return show_json(dict(draft or dict.fromkeys(required, "")))
        text = (draft or {}).get(required[0], "")
        return text if isinstance(text, str) else show_json(dict(draft or {}))

    async def _review_page(
        self,
        visit: Visit,
        referral: Referral | None,
        *,
        last: Referral | None = None,
        problem: CallError | None = None,
        alarm: DriftAlarm | None = None,
    ) -> Response:
        """Show a referral or, if there is none, an alarm: callers who wait come first."""
        alarms = await self._alarms()
        if referral is None and alarm is None:
            alarm = next(iter(alarms), None)
        waiting, overdue = await self._wiring.review_queue.count_open()
        tags = [*await self._reviews.frequent_tags(TAGS_SHOWN), *FIRST_TAGS]
        chosen = tuple(visit.form.get("tag", ())) or (referral.tags if referral else ())
        return self._pages.render(
            "review.html",
            status=problem.status if problem else 200,
            csrf_token=visit.csrf_token,
            reviewer=visit.reviewer,
            progress=await self._reviews.progress(visit.reviewer),
            waiting=waiting,
            overdue=overdue,
            alarms=alarms,
            alarm=alarm,
            signal=await self._signal_of(alarm) if alarm else None,
            referral=referral,
            late=referral is not None and referral.due_at < now(),
            reason=self._reason(referral) if referral else "",
            feedback=await self._feedback_on(referral) if referral else [],
            question=labeled(referral.question) if referral else [],
            draft=labeled(referral.draft or {}) if referral else [],
            sources=_sources(referral.draft or {}) if referral else [],
            answer=field_of(visit.form, "answer") or (self._editable(referral.draft) if referral else ""),
            note=field_of(visit.form, "note") or (referral.note if referral else ""),
            tags=list(dict.fromkeys([*tags[:TAGS_SHOWN], *filter(str.strip, chosen)])),
            chosen=chosen,
            last=last if last and last.answered_by in {None, visit.reviewer} else None,
            problem=problem.detail if problem else None,
        )

    def _reason(self, referral: Referral) -> str:
        """Return why a person is needed, as a sentence."""
        reason = SOURCES.get(referral.source) or REASONS.get(referral.fallback_reason or "", "A person is needed.")
        if self._wiring.constraints.models:
            return reason.replace("No model is configured", "No model has a key")
        return reason

    async def _feedback_on(self, referral: Referral) -> list[tuple[str, str]]:
        """Return what the caller said about the answer, each part with its label."""
        feedback = await self._wiring.feedback.find(referral.call_id) if referral.source == "feedback" else None
        if feedback is None:
            return []
        correction = self._editable(json.loads(feedback.correction)) if feedback.correction else ""
        parts = (("The caller’s comment", feedback.comment), ("The caller’s correction", correction))
        return [(label, text) for label, text in parts if text]


def _sources(draft: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the sources of a draft, each as its title and its text: what it contains as lists of objects.

    The longest value of an object is its text, the others make its title.
    """
    tables = [table for table in draft.values() if is_table(table)]
    return [_source([text_of(field) for field in row.values()]) for table in tables for row in table]


def _source(fields: list[str]) -> tuple[str, str]:
    longest = max(fields, key=len, default="")
    return " · ".join(field for field in fields if field and field is not longest), longest
