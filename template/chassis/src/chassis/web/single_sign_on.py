"""Lets reviewers sign in through an OpenID Connect provider, by an authorization code with PKCE.

The provider says who a person is, `CHASSIS_OIDC_REVIEWERS` says who may review, and everyone else is refused. Sources:
OpenID Connect Core 1.0 and Discovery 1.0, RFC 7636 (PKCE), RFC 9700 (security of OAuth 2.0).
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any, Self, cast
from urllib.parse import urlencode, urlsplit

import httpx2
from pydantic import SecretStr

from chassis.config.project import Settings
from chassis.errors import CallError, ConfigError, Unauthenticated
from chassis.guard.egress import Endpoint, create_client

CALLBACK = "/review/sign-in/callback"
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""With public keys. `none` and the algorithms of shared secrets are not accepted."""
TIMEOUT_SECONDS = 5.0
CLOCK_SKEW_SECONDS = 60
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
INSTALL = "Add the extra oidc: `uv add 'ai-service-chassis[oidc]'`"


class ProviderUnavailable(CallError):
    """The provider cannot be reached, or its answer cannot be used."""

    status, slug, title = 503, "sign-in-unavailable", "Single sign-on is unavailable"


class SignInRefused(Unauthenticated):
    """The provider did not confirm the person, or the person is no reviewer."""


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """What the browser keeps in a cookie between leaving for the provider and coming back.

    Args:
        state: Comes back with the browser, and shows that it left from here.
        nonce: Comes back in the ID token, and shows that the token is for this attempt.
        verifier: Shows the provider that the code is redeemed by who asked for it.
    """

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Self:
        """Return an attempt with random values."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @classmethod
    def from_cookie(cls, cookie: str) -> Self:
        """Return the attempt of a cookie.

        Raises:
            SignInRefused: There is none.
        """
        parts = cookie.split(".")
        if len(parts) != len(fields(cls)) or not all(parts):
            raise SignInRefused("Your browser began no sign-in, or it took longer than ten minutes; begin again")
        return cls(*parts)

    def to_cookie(self) -> str:
        """Return the value of the cookie."""
        return f"{self.state}.{self.nonce}.{self.verifier}"


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """An OpenID Connect provider, and the reviewers among its users.

    Args:
        issuer: The provider's URL, as its tokens name it.
        client_id: This service at the provider.
        client_secret: None if the provider knows the service as a public client.
        reviewers: Email addresses, and `@` with a domain for everyone of that domain; in lower case.
        redirect_uri: Where the provider sends the browser back to.
    """

    issuer: str
    client_id: str
    client_secret: SecretStr | None
    reviewers: frozenset[str]
    redirect_uri: str

    @classmethod
    def from_settings(cls, settings: Settings) -> "SingleSignOn | None":
        """Return the provider in the environment, or None if `CHASSIS_OIDC_ISSUER` is not set.

        Raises:
            ConfigError: A variable that belongs to it is missing or cannot be used, or the package is not installed.
        """
        if settings.oidc_issuer is None:
            return None
        if find_spec("joserfc") is None:
            raise ConfigError("CHASSIS_OIDC_ISSUER", "the package joserfc is not installed", INSTALL) from None
        _check_encrypted("CHASSIS_OIDC_ISSUER", settings.oidc_issuer)
        client_id = _required("CHASSIS_OIDC_CLIENT_ID", settings.oidc_client_id, "the provider's name for this service")
        public_url = _required("CHASSIS_PUBLIC_URL", settings.public_url, "the URL at which browsers reach the service")
        _check_encrypted("CHASSIS_PUBLIC_URL", public_url)
        who = "the email addresses of the reviewers, or @ and a domain, with commas between them"
        names = _required("CHASSIS_OIDC_REVIEWERS", settings.oidc_reviewers, who).lower().replace(",", " ").split()
        for name in names:
            domain = name.rpartition("@")[2]
            if "@" not in name or "." not in domain:
                raise ConfigError("CHASSIS_OIDC_REVIEWERS", f"one entry is {name!r}", f"Write {who}")
        redirect_uri = public_url.rstrip("/") + CALLBACK
        return cls(settings.oidc_issuer, client_id, settings.oidc_client_secret, frozenset(names), redirect_uri)

    def allows(self, email: str) -> bool:
        """Return whether a person may review."""
        return not self.reviewers.isdisjoint({email, f"@{email.rpartition('@')[2]}"})

    async def authorization_url(self, attempt: SignInAttempt) -> str:
        """Return where the browser goes to sign in.

        Raises:
            ProviderUnavailable: The provider does not answer as the standard says.
        """
        endpoint = _url(await self._metadata(), "authorization_endpoint")
        # Only its hash leaves with the browser. A code that is stolen on the way is worth nothing without the verifier.
        challenge = urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid email",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def sign_in(self, answer: Mapping[str, str], attempt: SignInAttempt) -> str:
        """Return the email address of the reviewer who comes back from the provider.

        Args:
            answer: The parameters with which the provider sent the browser back.
            attempt: What was kept in the cookie.

        Raises:
            SignInRefused: The answer is not for this attempt, or the person is no reviewer.
            ProviderUnavailable: The provider does not answer as the standard says.
        """
        # First of all: without it, another site could sign this browser in as its own user (RFC 9700, 4.7).
        if not secrets.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise SignInRefused("This answer of the provider belongs to another sign-in; begin again")
        if "code" not in answer:
            raise SignInRefused("The provider did not sign you in; begin again")
        metadata = await self._metadata()
        tokens = await self._redeem(answer["code"], attempt, metadata)
        claims: Mapping[str, Any] = self._verified_claims(
            tokens, await _request("GET", _url(metadata, "jwks_uri")), attempt
        )
        if "email" not in claims:  # some providers give it only here
            headers = {"Authorization": f"Bearer {tokens.get('access_token')}"}
            more = await _request("GET", _url(metadata, "userinfo_endpoint"), headers=headers)
            # Core 1.0, 5.3.2: an answer about another subject must not be used, because the access token may have been
            # swapped.
            claims = more if more.get("sub") == claims["sub"] else {}
        email: object = claims.get("email")
        # Unverified, anyone could register a reviewer's address at the provider. Some send the boolean as a text.
        if not isinstance(email, str) or claims.get("email_verified") not in {True, "true"}:
            raise SignInRefused("The provider does not say that your email address is verified")
        if not self.allows(email.lower()):
            raise SignInRefused("You are not among the reviewers of this service; ask its owner")
        return email.lower()

    async def _metadata(self) -> Mapping[str, Any]:
        metadata = await _request("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        # Discovery 1.0, 4.3: otherwise one provider could pass for another.
        if metadata.get("issuer") != self.issuer:
            raise ProviderUnavailable("The provider calls itself otherwise than CHASSIS_OIDC_ISSUER does")
        return metadata

    async def _redeem(self, code: str, attempt: SignInAttempt, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": attempt.verifier,
        }
        if self.client_secret:
            form["client_secret"] = self.client_secret.get_secret_value()
        return await _request("POST", _url(metadata, "token_endpoint"), data=form)

    def _verified_claims(
        self, tokens: Mapping[str, Any], keys: Mapping[str, Any], attempt: SignInAttempt
    ) -> Mapping[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        # All essential: a claim that is missing would otherwise pass.
        registry = jwt.JWTClaimsRegistry(
            leeway=CLOCK_SKEW_SECONDS,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            nonce={"essential": True, "value": attempt.nonce},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            key_set = KeySet.import_key_set(cast("Any", keys))
            claims = jwt.decode(str(tokens.get("id_token")), key_set, algorithms=ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise SignInRefused(f"The provider's ID token is not valid ({type(error).__name__})") from error
        return claims


def _required(variable: str, value: str | None, what: str) -> str:
    if not value:
        raise ConfigError(variable, "it is not set, but CHASSIS_OIDC_ISSUER is", f"Set it to {what}")
    return value


def _check_encrypted(variable: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ConfigError(variable, f"the value is {url!r}", "Write an https URL; only this machine may do without")


def _url(metadata: Mapping[str, Any], name: str) -> str:
    url = metadata.get(name)
    if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"}:
        raise ProviderUnavailable(f"The provider's configuration has no usable {name}")
    return url


async def _request(method: str, url: str, **options: Any) -> Mapping[str, Any]:
    """Return the JSON object with which the provider answers."""
    try:
        # The guard's client: whatever the metadata names, it follows no redirect and never reaches what hands out a
        # cloud's credentials.
        async with create_client(Endpoint.from_url(url, "any"), TIMEOUT_SECONDS) as client:
            response = await client.request(method, url, **options)
            answer: object = response.raise_for_status().json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise ProviderUnavailable(f"{urlsplit(url).hostname} cannot be used ({type(error).__name__})") from error
    if not isinstance(answer, dict):
        raise ProviderUnavailable(f"{urlsplit(url).hostname} does not answer with a JSON object")
    return cast("dict[str, Any]", answer)
