"""Notifies the owning team by webhook and email that a question waits for a person, or is overdue.

A notification names the referral and never quotes it: what callers wrote stays in the database. Webhooks are signed as
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
from urllib.parse import unquote, urlsplit

import httpx2
import structlog
from pydantic import SecretStr

from chassis.clock import now
from chassis.config.ownership import Team
from chassis.config.project import Settings
from chassis.guard.egress import Endpoint, create_client
from chassis.store.outbox import Notification, NotificationChannel, Outbox
from chassis.store.review_queue import Referral, ReviewQueue
from chassis.telemetry.instruments import Instruments

POLL_SECONDS = 5.0
"""The interval at which the notifier looks for referrals, and so the longest delay of a notification."""
TIMEOUT_SECONDS = 10.0
REQUIRED_SETTING: Mapping[NotificationChannel, str] = {
    "webhook": "CHASSIS_WEBHOOK_SECRET",
    "email": "CHASSIS_SMTP_URL",
}
SUBJECTS = {"referral.opened": "A question waits for a person", "referral.overdue": "A question is overdue"}
log = structlog.get_logger()


class DeliveryFailed(Exception):
    """The receiver did not accept a notification. The message says why and quotes no secret."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends the notifications of one service.

    Args:
        service: The name of the service.
        team: Who gets them, and how.
        settings: Hold the secrets of both channels.
        outbox: What there is to send.
        review_queue: The referrals.
        instruments: Record how many notifications fail.
    """

    service: str
    team: Team
    settings: Settings
    outbox: Outbox
    review_queue: ReviewQueue
    instruments: Instruments

    def channels(self) -> list[NotificationChannel]:
        """Return the channels that the team wants and that are configured."""
        secrets = {"webhook": self.settings.webhook_secret, "email": self.settings.smtp_url}
        return [channel for channel in sorted(self.team.notify) if secrets[channel] is not None]

    def log_unavailable(self) -> None:
        """Log each channel that the team wants but that cannot be used."""
        for channel in sorted(self.team.notify - set(self.channels())):
            log.warning("notification.unavailable", channel=channel, reason=f"{REQUIRED_SETTING[channel]} is not set")

    async def send_due(self) -> None:
        """Send what is due, and note what failed."""
        if not self.channels():
            return
        await self.outbox.add_missing(self.channels())
        for notification in await self.outbox.take_due():
            referral = await self.review_queue.find(notification.referral_id)
            if referral is None or notification.channel not in self.channels():
                continue
            try:
                await self._send(notification, referral)
            except DeliveryFailed as error:
                log.warning("notification.failed", id=notification.id, attempt=notification.attempts, error=str(error))
                await self.outbox.mark_failed(notification, str(error))
            else:
                log.info("notification.sent", id=notification.id, attempt=notification.attempts)
                await self.outbox.mark_sent(notification)
        self.instruments.notifications_failing.set(len(await self.outbox.failing()))

    async def _send(self, notification: Notification, referral: Referral) -> None:
        match notification.channel:
            case "webhook":
                await self._post(notification, referral)
            case "email":
                await self._mail(notification, referral)

    async def _post(self, notification: Notification, referral: Referral) -> None:
        secret, url = self.settings.webhook_secret, str(self.team.webhook)
        body = json.dumps({"type": notification.event, "timestamp": now().isoformat(), "data": self._facts(referral)})
        headers = signature_headers(secret, notification.id, int(now().timestamp()), body) if secret else {}
        try:
            endpoint = Endpoint.from_url(url, "any" if self.team.private_network else "public")
            async with create_client(endpoint, TIMEOUT_SECONDS) as client, asyncio.timeout(TIMEOUT_SECONDS):
                response = await client.post(url, content=body, headers=headers | {"Content-Type": "application/json"})
        except (httpx2.HTTPError, TimeoutError) as error:
            raise DeliveryFailed(f"{type(error).__name__}: {error}".removesuffix(": ")) from error
        if not response.is_success:
            raise DeliveryFailed(f"the webhook answered {response.status_code}")

    async def _mail(self, notification: Notification, referral: Referral) -> None:
        message = EmailMessage()
        message["Subject"] = f"{self.service}: {SUBJECTS[notification.event]}"
        message["From"] = message["To"] = str(self.team.email)
        message["Message-ID"] = f"<{notification.id.replace('/', '.')}@{self.service}>"
        facts = "\n".join(f"{name}: {value}" for name, value in self._facts(referral).items())
        message.set_content(f"{SUBJECTS[notification.event]}. Answer it at /review of the service.\n\n{facts}\n")
        try:
            await asyncio.to_thread(send_mail, str(self._smtp_url()), message)
        except (OSError, smtplib.SMTPException) as error:
            code = getattr(error, "smtp_code", "")  # the text of an SMTP error may quote an address or a password
            raise DeliveryFailed(f"{type(error).__name__} {code}".strip()) from error

    def _smtp_url(self) -> str:
        return self.settings.smtp_url.get_secret_value() if self.settings.smtp_url else ""

    def _facts(self, referral: Referral) -> dict[str, str]:
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
        if parts.scheme != "smtps" and (server.has_extn("starttls") or parts.password):
            server.starttls(context=tls)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)
