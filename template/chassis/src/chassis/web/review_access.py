"""Lets reviewers in: sessions, sign-in with a key or through a provider, and forms that only this site can send."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs

import structlog
from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from chassis.errors import CallError, NotFound, Unauthenticated
from chassis.store.credentials import SESSION, ReviewSessions
from chassis.web.middleware import Handler
from chassis.web.pages import Pages
from chassis.web.single_sign_on import SignInAttempt, SignInRefused, SingleSignOn
from chassis.wiring import Wiring

REVIEW = "/review"
COOKIE, SIGN_IN_COOKIE = "review_session", "review_sign_in"
SIGN_IN_SECONDS = 600
MAX_FIELDS = 100
log = structlog.get_logger()

type Form = Mapping[str, Sequence[str]]
"""The values of a form by the names of its fields."""


class Forbidden(CallError):
    """A form was sent from another site, or from a session that has ended."""

    status, slug, title = 403, "forbidden", "This form cannot be accepted"


class TooManyFields(CallError):
    """A form has more fields than any of ours."""

    status, slug, title = 422, "too-many-fields", "The form cannot be read"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a signed-in reviewer.

    Args:
        reviewer: The name of their key, or their email address.
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


class ReviewAccess:
    """Who is signed in, and how they sign in and out.

    Args:
        wiring: The service.
        pages: Renders the page of the sign-in.
    """

    def __init__(self, wiring: Wiring, pages: Pages) -> None:
        self._wiring, self._pages = wiring, pages
        self._sessions = ReviewSessions(wiring.database)
        self._single_sign_on = SingleSignOn.from_settings(wiring.settings)

    def for_reviewers(self, answer: Callable[[Visit], Awaitable[Response]]) -> Handler:
        """Return an endpoint that lets only reviewers in, and only with forms of this site."""

        async def handle(request: Request) -> Response:
            session = request.cookies.get(COOKIE, "")
            reviewer = await self._reviewer_of(session)
            if reviewer is None:
                return self._sign_in_page()
            visit = Visit(reviewer, session, request, await _form_of(request))
            if request.method == "POST":
                _check_origin(request)
                if not secrets.compare_digest(field_of(visit.form, "csrf").encode(), visit.csrf_token.encode()):
                    raise Forbidden("Open the page again; this form belongs to another session")
            return await answer(visit)

        async def endpoint(request: Request) -> Response:
            return await self._pages.handle(request, handle)

        return endpoint

    async def sign_in(self, request: Request) -> Response:
        """Open a session for the key in the form."""

        async def handle(request: Request) -> Response:
            _check_origin(request)
            key = await self._wiring.api_keys.find_reviewer(field_of(await _form_of(request), "key").strip())
            if key is None:
                problem = "This key is unknown or revoked, or it is not the key of a reviewer."
                return self._sign_in_page(problem)
            response = RedirectResponse(REVIEW, 303)
            secret = await self._sessions.open(key.caller, key.id)
            self._set_cookie(response, COOKIE, secret, seconds=int(SESSION.total_seconds()), same_site="strict")
            return response

        return await self._pages.handle(request, handle)

    async def leave_for_provider(self, request: Request) -> Response:
        """Send the browser to the provider of single sign-on."""

        async def handle(_: Request) -> Response:
            attempt = SignInAttempt.new()
            response = RedirectResponse(await self._provider().authorization_url(attempt), 303)
            self._set_cookie(response, SIGN_IN_COOKIE, attempt.to_cookie(), seconds=SIGN_IN_SECONDS, same_site="lax")
            return response

        return await self._pages.handle(request, handle)

    async def return_from_provider(self, request: Request) -> Response:
        """Open a session for the reviewer whom the provider has sent back."""

        async def handle(request: Request) -> Response:
            provider = self._provider()
            try:
                attempt = SignInAttempt.from_cookie(request.cookies.get(SIGN_IN_COOKIE, ""))
                reviewer = await provider.sign_in(request.query_params, attempt)
            except SignInRefused as error:
                log.warning("review.sign_in_refused", call_id=request.state.call_id, reason=error.detail)
                return self._sign_in_page(error.detail)
            response = RedirectResponse(REVIEW, 303)
            secret = await self._sessions.open(reviewer)
            # Not "strict": the browser comes from the provider's site, and would not send the cookie along to /review.
            self._set_cookie(response, COOKIE, secret, seconds=int(SESSION.total_seconds()), same_site="lax")
            response.delete_cookie(SIGN_IN_COOKIE, path=REVIEW)
            return response

        return await self._pages.handle(request, handle)

    def _provider(self) -> SingleSignOn:
        if self._single_sign_on is None:
            raise NotFound("This service has no single sign-on")
        return self._single_sign_on

    async def _reviewer_of(self, secret: str) -> str | None:
        """Return who is signed in; someone who signed in through the provider must still be among the reviewers."""
        session = await self._sessions.find(secret) if secret else None
        if session is None:
            return None
        provider = self._single_sign_on
        is_reviewer = session.key_id or (provider and provider.allows(session.reviewer))
        return session.reviewer if is_reviewer else None

    def _set_cookie(
        self, response: Response, name: str, value: str, *, seconds: int, same_site: Literal["lax", "strict"]
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=REVIEW,
            secure=self._wiring.settings.production,  # browsers on other machines than the service's need TLS
            httponly=True,
            samesite=same_site,
        )

    def _sign_in_page(self, problem: str | None = None) -> Response:
        return self._pages.render(
            "sign_in.html",
            status=Unauthenticated.status,
            problem=problem,
            single_sign_on=self._single_sign_on is not None,
        )

    async def sign_out(self, visit: Visit) -> Response:
        """Close the session."""
        await self._sessions.close(visit.session)
        response = RedirectResponse(REVIEW, 303)
        response.delete_cookie(COOKIE, path=REVIEW)
        return response


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
        raise TooManyFields(f"The form has more than {MAX_FIELDS} fields") from None
    # PostgreSQL cannot store a NUL in a text.
    return {name: [value.replace("\0", "\ufffd") for value in values] for name, values in form.items()}


def field_of(form: Form, name: str) -> str:
    """Return the first value of a field, or an empty text."""
    return form.get(name, ("",))[0]
