"""The review page at `/review`: reviewers sign in and answer referrals there, one at a time.

The page is plain HTML with forms and works without JavaScript; a script only adds keys. Everything that callers and
models wrote is escaped, and the Content-Security-Policy lets the page load nothing and run no script but its own.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs

import jinja2
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from chassis.clock import now
from chassis.config.typed_values import read_typed, required_fields, show_json
from chassis.contract import FallbackReason
from chassis.errors import CallError, ConfigError, NotFound, Unauthenticated
from chassis.store.feedback import Feedback
from chassis.store.review_queue import Referral
from chassis.store.review_sessions import SESSION, ReviewSessions
from chassis.store.reviews import Assessment
from chassis.web.middleware import Handler, RequestLimits
from chassis.wiring import Wiring

REVIEW = "/review"
COOKIE = "review_session"
REFERRAL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_FORM_BYTES, MAX_FIELDS = 1_000_000, 100
MAX_TAGS, MAX_TAG_LENGTH, MAX_NOTE_LENGTH = 10, 40, 5000
FIRST_TAGS = ("wrong", "incomplete", "wrong source", "outdated", "unclear")
"""Offered until reviewers have used others."""
TAGS_SHOWN = 9
"""As many as there are digits to press."""
SOURCES: Mapping[str, str] = {
    "feedback": "The caller was not content with this answer.",
    "sample": "This answer is in the random sample.",
    "second": "Another reviewer has reviewed this too. You do not see how.",
}
REASONS: Mapping[str, str] = {
    FallbackReason.NO_MODEL: "No model is configured, and the baseline was not sure enough.",
    FallbackReason.MODELS_OFF: "The models are switched off, and the baseline was not sure enough.",
    FallbackReason.LOW_CONFIDENCE: "The service was not sure enough of its draft.",
    FallbackReason.MODELS_FAILED: "No model gave a usable reply.",
    FallbackReason.BUDGET_EXHAUSTED: "The budget was exhausted.",
    FallbackReason.DATABASE_DOWN: "The database was unavailable.",
}
TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("chassis.web"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
log = structlog.get_logger()

type Form = Mapping[str, Sequence[str]]
"""The values of a form by the names of its fields."""


class Forbidden(CallError):
    """A form was sent from another site, or from a session that has ended."""

    status, slug, title = 403, "forbidden", "This form cannot be accepted"


class InvalidReview(CallError):
    """What a reviewer entered cannot be saved."""

    status, slug, title = 422, "invalid-review", "The review cannot be saved"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a signed-in reviewer.

    Args:
        reviewer: The name of their key.
        session: The secret of their session.
        request: The request.
        form: What they sent, empty for a GET.
    """

    reviewer: str
    session: str
    request: Request
    form: Form

    @property
    def csrf_token(self) -> str:
        """Return the value that every form of this session must contain. Other sites cannot read it."""
        return hashlib.sha256(f"csrf:{self.session}".encode()).hexdigest()


def review_router(wiring: Wiring) -> APIRouter:
    """Return the routes of the page."""
    site = ReviewSite(wiring)
    router = APIRouter(prefix=REVIEW, include_in_schema=False)
    router.add_api_route("", site.for_reviewers(site.show), methods=["GET"])
    router.add_api_route("/sign-in", site.sign_in, methods=["POST"])
    router.add_api_route("/sign-out", site.for_reviewers(site.sign_out), methods=["POST"])
    router.add_api_route("/{referral_id}", site.for_reviewers(site.save), methods=["POST"])
    return router


class ReviewSite:
    """The page and what its forms do."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._reviews, self._sessions = wiring.reviews, ReviewSessions(wiring.database)
        # Limits of their own, so that reviewers can still work when callers use up those of the calls.
        self._limits = RequestLimits(wiring.constraints, MAX_FORM_BYTES)

    def for_reviewers(self, answer: Callable[[Visit], Awaitable[Response]]) -> Handler:
        """Return an endpoint that lets only reviewers in, and only with forms of this site."""

        async def handle(request: Request) -> Response:
            session = request.cookies.get(COOKIE, "")
            reviewer = await self._sessions.find_reviewer(session) if session else None
            if reviewer is None:
                return self._page("sign_in.html", status=Unauthenticated.status, problem=None)
            visit = Visit(reviewer, session, request, await _form_of(request))
            if request.method == "POST":
                _check_origin(request)
                if not secrets.compare_digest(_field(visit.form, "csrf").encode(), visit.csrf_token.encode()):
                    raise Forbidden("Open the page again; this form belongs to another session")
            return await answer(visit)

        async def endpoint(request: Request) -> Response:
            return await self._handle(request, handle)

        return endpoint

    async def sign_in(self, request: Request) -> Response:
        """Open a session for the key in the form."""

        async def handle(request: Request) -> Response:
            _check_origin(request)
            key = await self._wiring.api_keys.find_reviewer(_field(await _form_of(request), "key").strip())
            if key is None:
                problem = "This key is unknown or revoked, or it is not the key of a reviewer."
                return self._page("sign_in.html", status=Unauthenticated.status, problem=problem)
            response = RedirectResponse(REVIEW, 303)
            response.set_cookie(
                COOKIE,
                await self._sessions.open(key),
                max_age=int(SESSION.total_seconds()),
                path=REVIEW,
                secure=self._wiring.settings.production,  # browsers on other machines than the service's need TLS
                httponly=True,
                samesite="strict",
            )
            return response

        return await self._handle(request, handle)

    async def sign_out(self, visit: Visit) -> Response:
        """Close the session."""
        await self._sessions.close(visit.session)
        response = RedirectResponse(REVIEW, 303)
        response.delete_cookie(COOKIE, path=REVIEW)
        return response

    async def show(self, visit: Visit) -> Response:
        """Show the referral that the reviewer should answer next."""
        referral = await self._reviews.lease_next(visit.reviewer)
        last = await self._find(visit.request.query_params.get("after", ""))
        return await self._review_page(visit, referral, last=last)

    async def save(self, visit: Visit) -> Response:
        """Do what the reviewer chose: pass, fail, defer, or undo the last choice."""
        referral_id: str = visit.request.path_params["referral_id"]
        referral = await self._find(referral_id)
        if referral is None:
            raise NotFound("There is no such referral")
        match _field(visit.form, "action"):
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

    def _entered(self, referral: Referral, verdict: str, form: Form) -> tuple[str, Assessment]:
        """Return the answer as JSON, and the assessment, as the reviewer entered them.

        Raises:
            InvalidReview: The entries contradict each other, are too long or do not fit the task's type.
        """
        text = _field(form, "answer").replace("\r\n", "\n")
        unchanged = text.strip() == self._editable(referral).strip()
        tags = tuple(dict.fromkeys(tag.strip() for tag in form.get("tag", ()) if tag.strip()))
        note = _field(form, "note").replace("\r\n", "\n").strip()
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
            case "fail" if unchanged or not text.strip():
                raise InvalidReview("Correct the answer first; the caller gets what you write")
            case "fail":
                try:
                    typed = read_typed(self._wiring.task.gives, text, "the answer")
                except ConfigError as error:
                    raise InvalidReview(str(error)) from None
                return typed.model_dump_json(by_alias=True), Assessment(tags=tags, note=note)
            case _:
                raise InvalidReview("Choose Pass, Fail or Defer")

    def _editable(self, referral: Referral) -> str:
        """Return the draft as the reviewer edits it: its text if that is all that an answer needs, else JSON."""
        required, draft = required_fields(self._wiring.task.gives), referral.draft or {}
        if len(required) != 1:
            return show_json(dict(referral.draft or dict.fromkeys(required, "")))
        text = draft.get(required[0], "")
        return text if isinstance(text, str) else show_json(dict(draft))

    async def _review_page(
        self, visit: Visit, referral: Referral | None, *, last: Referral | None = None, problem: CallError | None = None
    ) -> Response:
        waiting, overdue = await self._wiring.review_queue.count_open()
        tags = [*await self._reviews.frequent_tags(TAGS_SHOWN), *FIRST_TAGS]
        chosen = tuple(visit.form.get("tag", ())) or (referral.tags if referral else ())
        return self._page(
            "review.html",
            status=problem.status if problem else 200,
            csrf_token=visit.csrf_token,
            reviewer=visit.reviewer,
            progress=await self._reviews.progress(visit.reviewer),
            waiting=waiting,
            overdue=overdue,
            referral=referral,
            late=referral is not None and referral.due_at < now(),
            reason=_reason(referral) if referral else "",
            feedback=await self._feedback_on(referral) if referral else None,
            question=_labeled(referral.question) if referral else [],
            draft=_labeled(referral.draft or {}) if referral else [],
            sources=_sources(referral.draft or {}) if referral else [],
            answer=_field(visit.form, "answer") or (self._editable(referral) if referral else ""),
            note=_field(visit.form, "note") or (referral.note if referral else ""),
            tags=list(dict.fromkeys([*tags[:TAGS_SHOWN], *filter(str.strip, chosen)])),
            chosen=chosen,
            last=last if last and last.answered_by in {None, visit.reviewer} else None,
            problem=problem.detail if problem else None,
        )

    async def _feedback_on(self, referral: Referral) -> Feedback | None:
        return await self._wiring.feedback.find(referral.call_id) if referral.source == "feedback" else None

    async def _handle(self, request: Request, handle: Handler) -> Response:
        """Answer a request, and show every refusal as a page."""
        try:
            response = await self._limits.handle(request, handle)
        except CallError as error:
            log.info("review.refused", call_id=request.state.call_id, problem=error.slug)
            response = self._page("problem.html", status=error.status, title=error.title, detail=error.detail)
        return response

    def _page(self, template: str, *, status: int, **values: Any) -> Response:
        nonce = secrets.token_urlsafe(16)
        html = TEMPLATES.get_template(template).render(service=self._wiring.project.name, nonce=nonce, **values)
        return HTMLResponse(html, status, _headers(nonce))


def _headers(nonce: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
        ),
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


def _check_origin(request: Request) -> None:
    """Refuse a form that another site made the browser send. Programs that are no browser do not send this header.

    Raises:
        Forbidden: The form comes from elsewhere.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forbidden("Another site sent this form; open /review yourself")


async def _form_of(request: Request) -> Form:
    """Return the fields of a form. `request.form()` would need another package for what the standard library does."""
    body = (await request.body()).decode(errors="replace")
    try:
        form = parse_qs(body, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise InvalidReview(f"The form has more than {MAX_FIELDS} fields") from None
    # PostgreSQL cannot store a NUL in a text.
    return {name: [value.replace("\0", "\ufffd") for value in values] for name, values in form.items()}


def _reason(referral: Referral) -> str:
    """Return why a person is needed, as a sentence."""
    return SOURCES.get(referral.source) or REASONS.get(referral.fallback_reason or "", "A person is needed.")


def _field(form: Form, name: str) -> str:
    return form.get(name, ("",))[0]


def _labeled(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields of a question or draft, each as its label and its text, without the sources."""
    return [(name.replace("_", " "), _text(field)) for name, field in value.items() if not _is_table(field)]


def _sources(draft: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the sources of a draft, each as its title and its text: what it contains as lists of objects.

    The longest value of an object is its text, the others make its title.
    """
    tables = [table for table in draft.values() if _is_table(table)]
    return [_source([_text(field) for field in row.values()]) for table in tables for row in table]


def _source(fields: list[str]) -> tuple[str, str]:
    longest = max(fields, key=len, default="")
    return " · ".join(field for field in fields if field and field is not longest), longest


def _is_table(value: Any) -> bool:
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(rows) and all(isinstance(row, dict) for row in rows)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else show_json(value)
