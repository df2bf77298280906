"""Notifies the owning team by webhook and email: a question waits for a person, is overdue, or quality drifts.

A notification names a referral and never quotes it: what callers wrote stays in the database. Webhooks are signed as
https://www.standardwebhooks.com says.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2
import structlog
from pydantic import SecretStr

from chassis.clock import now
from chassis.config.constraints import Callbacks
from chassis.config.ownership import Team
from chassis.config.project import Settings
from chassis.errors import DatabaseUnavailable
from chassis.guard.egress import Endpoint, Network, create_client
from chassis.store.outbox import Notification, NotificationChannel, NotificationEvent, Outbox
from chassis.store.quality_history import DriftAlarms
from chassis.store.review_queue import ReviewQueue
from chassis.telemetry.instruments import Instruments

POLL_SECONDS = 5.0
"""The interval at which the notifier looks for referrals, and so the longest delay of a notification."""
TIMEOUT_SECONDS = 10.0
REQUIRED_SETTING: Mapping[str, str] = {
    "webhook": "CHASSIS_WEBHOOK_SECRET",
    "email": "CHASSIS_SMTP_URL",
}
SUBJECTS: Mapping[NotificationEvent, str] = {
    "referral.opened": "A question waits for a person",
    "referral.overdue": "A question is overdue",
    "quality_drift.found": "Quality drift",
    "referral.answered": "A person has answered",
}
FIRST_STEPS: Mapping[NotificationEvent, str] = {
    "referral.opened": "Answer it at /review of the service.",
    "referral.overdue": "Answer it at /review of the service.",
    "quality_drift.found": "Answers got worse in production: /review and `uv run chassis drift` say what to do next.",
    "referral.answered": "",
}
log = structlog.get_logger()


class DeliveryFailed(Exception):
    """The receiver did not accept a notification. The message says why and quotes no secret."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends the notifications of one service.

    Args:
        service: The name of the service.
        team: Who gets them, and how.
        callbacks: Where callers may want them.
        settings: Hold the secrets of both channels.
        outbox: What there is to send.
        review_queue: The referrals.
        drift_alarms: The alarms of quality drift.
        instruments: Record how many notifications fail.
    """

    service: str
    team: Team
    callbacks: Callbacks
    settings: Settings
    outbox: Outbox
    review_queue: ReviewQueue
    drift_alarms: DriftAlarms
    instruments: Instruments

    def channels(self) -> list[NotificationChannel]:
        """Return the channels that the team or callers want and that are configured."""
        secrets = {"webhook": self.settings.webhook_secret, "email": self.settings.smtp_url}
        channels: list[NotificationChannel] = [name for name in sorted(self.team.notify) if secrets[name] is not None]
        return [*channels, "callback"] if self.callbacks.origins and self.settings.webhook_secret else channels

    def log_unavailable(self) -> None:
        """Log each channel that the team wants but that cannot be used."""
        for channel in sorted(self.team.notify - set(self.channels())):
            log.warning("notification.unavailable", channel=channel, reason=f"{REQUIRED_SETTING[channel]} is not set")

    async def send_due(self) -> None:
        """Send what is due, and note what failed."""
        if not self.channels():
            return
        await self.outbox.add_missing(self.channels())
        # Until none is due: after a long outage of the receiver there may be many batches.
        while due := await self.outbox.take_due():
            # All at once, so that a receiver that does not answer delays no other.
            await asyncio.gather(*map(self._attempt, due))
        self.instruments.notifications_failing.set(len(await self.outbox.failing()))

    async def _attempt(self, notification: Notification) -> None:
        facts = await self._facts(notification)
        if facts is None or notification.channel not in self.channels():
            return
        try:
            await self._send(notification, facts)
        # What was sent but could not be recorded is sent again; receivers know it by its id.
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one that cannot be sent, for whatever reason, delays no other
            reason = str(error) if isinstance(error, DeliveryFailed) else type(error).__name__
            log.warning("notification.failed", id=notification.id, attempt=notification.attempts, error=reason)
            await self.outbox.mark_failed(notification, reason)
        else:
            log.info("notification.sent", id=notification.id, attempt=notification.attempts)
            await self.outbox.mark_sent(notification)

    async def _send(self, notification: Notification, facts: Mapping[str, str]) -> None:
        match notification.channel:
            case "webhook":
                network = "any" if self.team.private_network else "public"
                await self._post(str(self.team.webhook), network, self.settings.webhook_secret, notification, facts)
            case "callback":
                await self._call_back(notification)
            case "email":
                await self._mail(notification, facts)

    async def _call_back(self, notification: Notification) -> None:
        """Send an answer to its caller. Like one that the caller fetches, it cannot be undone from then on."""
        referral = await self.review_queue.find(notification.subject_id)
        if referral is None or not self.callbacks.allow(url := referral.callback_url or ""):
            raise DeliveryFailed("callbacks.origins in constraints.toml no longer has the origin of the URL")
        answered = await self.review_queue.find_for_caller(referral.id, referral.caller)
        if answered is None or answered.answered_at is None:
            raise DeliveryFailed("the reviewer has undone the answer")
        data = {"service": self.service, "referral_id": answered.id, "status": "answered", "answer": answered.answer}
        network = "any" if self.callbacks.private_network else "public"
        await self._post(url, network, self.callback_secret(referral.caller), notification, data)

    def callback_secret(self, caller: str) -> SecretStr | None:
        """Return what signs the callbacks of a caller: a secret of their own, so that they cannot sign as others."""
        if self.settings.webhook_secret is None:
            return None
        # Derived and not stored: nothing to leak, and a new secret of the service changes all of them at once.
        key = hmac.digest(_signing_key(self.settings.webhook_secret), f"callback:{caller}".encode(), hashlib.sha256)
        return SecretStr(f"whsec_{base64.b64encode(key).decode()}")

    async def _post(
        self,
        url: str,
        network: Network,
        secret: SecretStr | None,
        notification: Notification,
        facts: Mapping[str, Any],
    ) -> None:
        body = json.dumps({"type": notification.event, "timestamp": now().isoformat(), "data": facts})
        headers = signature_headers(secret, notification.id, int(now().timestamp()), body) if secret else {}
        try:
            endpoint = Endpoint.from_url(url, network)
            # Two limits: httpx's is for each read, so that a receiver who sends a byte now and then would never reach
            # it.
            async with create_client(endpoint, TIMEOUT_SECONDS) as client, asyncio.timeout(TIMEOUT_SECONDS):
                response = await client.post(url, content=body, headers=headers | {"Content-Type": "application/json"})
        except (httpx2.HTTPError, TimeoutError) as error:
            raise DeliveryFailed(f"{type(error).__name__}: {error}".removesuffix(": ")) from error
        if not response.is_success:
            raise DeliveryFailed(f"the webhook answered {response.status_code}")

    async def _mail(self, notification: Notification, facts: Mapping[str, str]) -> None:
        message = EmailMessage()
        message["Subject"] = f"{self.service}: {SUBJECTS[notification.event]}"
        message["From"] = message["To"] = str(self.team.email)
        message["Message-ID"] = f"<{notification.id.replace('/', '.')}@{self.service}>"
        lines = "\n".join(f"{name}: {value}" for name, value in facts.items())
        message.set_content(f"{SUBJECTS[notification.event]}. {FIRST_STEPS[notification.event]}\n\n{lines}\n")
        try:
            await asyncio.to_thread(send_mail, str(self._smtp_url()), message)
        except (OSError, smtplib.SMTPException) as error:
            code = getattr(error, "smtp_code", "")  # the text of an SMTP error may quote an address or a password
            raise DeliveryFailed(f"{type(error).__name__} {code}".strip()) from error

    def _smtp_url(self) -> str:
        return self.settings.smtp_url.get_secret_value() if self.settings.smtp_url else ""

    async def _facts(self, notification: Notification) -> Mapping[str, str] | None:
        """Return what a notification says, or None if what it is about is gone."""
        if notification.event == "quality_drift.found":
            alarm = await self.drift_alarms.find(notification.subject_id)
            if alarm is None:
                return None
            return {
                "service": self.service,
                "alarm_id": alarm.id,
                "task": alarm.task,
                "signal": alarm.signal,
                "changed_on": alarm.changed_on.isoformat(),
                "summary": alarm.summary,
            }
        referral = await self.review_queue.find(notification.subject_id)
        if referral is None or (notification.channel == "callback" and referral.answered_at is None):
            return None
        return {
            "service": self.service,
            "referral_id": referral.id,
            "task": referral.task,
            "source": referral.source,
            "fallback_reason": str(referral.fallback_reason or ""),
            "created_at": referral.created_at.isoformat(),
            "due_at": referral.due_at.isoformat(),
        }


def signature_headers(secret: SecretStr, message_id: str, timestamp: int, body: str) -> dict[str, str]:
    """Return the headers with which a receiver can check who sent a webhook, and when.

    Args:
        secret: `whsec_` and a key in base64, or any other text.
        message_id: The id of the notification.
        timestamp: Seconds since 1970.
        body: The body of the request.
    """
    signed = f"{message_id}.{timestamp}.{body}".encode()
    signature = base64.b64encode(hmac.digest(_signing_key(secret), signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def _signing_key(secret: SecretStr) -> bytes:
    text = secret.get_secret_value()
    return base64.b64decode(text.removeprefix("whsec_")) if text.startswith("whsec_") else text.encode()


def send_mail(url: str, message: EmailMessage) -> None:
    """Send a message through the server at `smtps://user:password@host:465` or `smtp://host:587`.

    With `smtp` the connection is encrypted if the server offers that, and a password is sent only then.

    Raises:
        OSError: The server cannot be reached.
        smtplib.SMTPException: It does not accept the message.
    """
    parts = urlsplit(url)
    tls, host = ssl.create_default_context(), parts.hostname or ""
    with (
        smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_SECONDS, context=tls)
        if parts.scheme == "smtps"
        else smtplib.SMTP(host, parts.port or 587, timeout=TIMEOUT_SECONDS)
    ) as server:
        server.ehlo()
        # With a password also if the server does not offer it: `starttls` then raises, and nothing is sent in the
        # clear.
        if parts.scheme != "smtps" and (server.has_extn("starttls") or parts.password):
            server.starttls(context=tls)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)
