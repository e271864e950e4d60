"""Push through Firebase Cloud Messaging, HTTP v1, to Android and, where the app uses Firebase there, to Apple's devices and browsers.

| answer                                                               | verdict                                              |
|----------------------------------------------------------------------|------------------------------------------------------|
| 200 with name                                                        | sent                                                 |
| 404 UNREGISTERED, 403 SENDER_ID_MISMATCH, 400 about the token itself | Rejected, the device is used no more                 |
| 400 INVALID_ARGUMENT                                                 | Rejected                                             |
| 401 UNAUTHENTICATED                                                  | one more try with a new access token, then NotSent   |
| 401 THIRD_PARTY_AUTH_ERROR, other 401 and 403                        | NotSent: the account's trouble                       |
| 429 QUOTA_EXCEEDED, 503 UNAVAILABLE                                  | NotSent, with Retry-After                            |
| 500 INTERNAL                                                         | Ambiguous                                            |
| no access token                                                      | NotSent                                              |

It knows no idempotency key; on the device a notification with the same tag (our id, or `collapse`) takes the place of the one before.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator

from channels.base import NotSent, Outgoing, Receipt, Rejected, SendFailed
from channels.provider_api import Answer, ProviderApi, refusal
from channels.push.payload import Push, data_with_ids, push_for, refuse_when_larger, written
from channels.push.platform import Platform, platform_of
from channels.push.tokens import Tokens
from channels.push.verifying import nothing_to

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTED_FOR = timedelta(hours=1)
_MOST_BYTES = 4096
_DEAD = ("UNREGISTERED", "SENDER_ID_MISMATCH")
_NO_SUCH_DEVICE = ("INVALID_ARGUMENT", "UNREGISTERED")
_UNAUTHORIZED = 401
_THIRD_PARTY = "THIRD_PARTY_AUTH_ERROR"
_NO_DEVICE = "sojourn-asks-whether-this-account-works"
_WAYS: Mapping[Platform | None, str] = {"ios": "apns", "web": "web_push"}


@dataclass(frozen=True)
class ServiceAccount:
    """What we use of the key file that Google gives. Where it says that tokens are to be fetched is not followed."""

    project_id: str
    client_email: str
    private_key_id: str
    private_key: RSAPrivateKey

    @classmethod
    def read(cls, file: str) -> "ServiceAccount":
        """Raises ValueError, without anything of the file."""
        try:
            found = orjson.loads(file)
            project, email, key_id = (found[name] for name in ("project_id", "client_email", "private_key_id"))
            key = load_pem_private_key(found["private_key"].encode(), password=None)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm):
            raise ValueError("the JSON key file of a service account, whole") from None
        if not all(isinstance(name, str) and name for name in (project, email, key_id)) or not isinstance(key, RSAPrivateKey):
            raise ValueError("the JSON key file of a service account, whole")
        return cls(project, email, key_id, key)

    def assertion(self, now: datetime) -> str:
        """What an access token is given for (RFC 7523)."""
        claims = {"iss": self.client_email, "scope": _SCOPE, "aud": _TOKEN_URL, "iat": now, "exp": now + _ASSERTED_FOR}
        return jwt.encode(claims, self.private_key, algorithm="RS256", headers={"kid": self.private_key_id})


def _whole_file(file: str) -> str:
    ServiceAccount.read(file)
    return file


@dataclass(frozen=True)
class FcmAccount:
    """`service_account` is the JSON key file of a service account that may send. `base_url` only for a stand-in."""

    service_account: Annotated[str, AfterValidator(_whole_file)]
    base_url: str = ""


class Fcm:
    name = "fcm"
    channel = "push"

    def __init__(self, account: FcmAccount, verify: ssl.SSLContext | None = None) -> None:
        self._account = ServiceAccount.read(account.service_account)
        self._path = f"/v1/projects/{quote(self._account.project_id, safe='')}/messages:send"
        self._api = ProviderApi(account.base_url or "https://fcm.googleapis.com", http2=True, verify=verify)
        self._google = ProviderApi(account.base_url or "https://oauth2.googleapis.com", http2=True, verify=verify)
        self._tokens = Tokens(self._exchange)

    async def send(self, outgoing: Outgoing) -> Receipt:
        platform = platform_of(outgoing.device)
        push = push_for(_WAYS.get(platform, "fcm"), outgoing)
        message = _message(push, outgoing, platform)
        refuse_when_larger(written({name: message[name] for name in ("notification", "data") if name in message}), _MOST_BYTES)
        answer = await self._post(written({"message": message}), outgoing)
        if answer.is_success:
            return Receipt(answer.reference("name"))
        raise _refused(answer)

    async def verify(self) -> None:
        """Ask for a validation, which sends nothing, of a message to no device: it is refused for the device, or for us."""
        asked = {"validate_only": True, "message": {"token": _NO_DEVICE, "data": {}}}
        answer = await self._post(written(asked), nothing_to(_NO_DEVICE))
        if not answer.is_success and _code(answer) not in _NO_SUCH_DEVICE:
            raise _refused(answer)

    async def close(self) -> None:
        await self._api.close()
        await self._google.close()

    async def _post(self, body: bytes, outgoing: Outgoing) -> Answer:
        token = await self._tokens.current(outgoing)
        answer = await self._post_with(token, body, outgoing)
        if answer.status != _UNAUTHORIZED or _code(answer) == _THIRD_PARTY:
            return answer
        self._tokens.forget(token)
        return await self._post_with(await self._tokens.current(outgoing), body, outgoing)

    async def _post_with(self, token: str, body: bytes, outgoing: Outgoing) -> Answer:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return await self._api.post(self._path, outgoing, content=body, headers=headers)

    async def _exchange(self, outgoing: Outgoing) -> Answer:
        form = urlencode({"grant_type": _GRANT, "assertion": self._account.assertion(datetime.now(UTC))})
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return await self._google.post("/token", outgoing, content=form.encode("ascii"), headers=headers)


def _message(push: Push, outgoing: Outgoing, platform: Platform | None) -> dict[str, Any]:
    shown = {"title": push.title, "body": push.body, "image": push.image}
    message: dict[str, Any] = {"token": outgoing.address, "data": data_with_ids(push, outgoing)}
    if not push.silent:
        message["notification"] = _without_none(shown)
    match platform:
        case "ios":
            message["apns"] = _for_apple(push, outgoing)
        case "web":
            message["webpush"] = _for_browser(push, outgoing)
        case _:
            message["android"] = _for_android(push, outgoing)
    return message


def _for_android(push: Push, outgoing: Outgoing) -> dict[str, Any]:
    tag = push.collapse or str(outgoing.message_id)
    shown = {"sound": push.sound, "notification_count": push.badge, "tag": tag}
    # Only four collapse keys may wait for one device, so our id is none; a tag is enough where nothing waits.
    config = {"priority": push.priority, "ttl": None if push.ttl is None else f"{push.ttl}s", "collapse_key": push.collapse}
    return _without_none({**config, "notification": None if push.silent else _without_none(shown)})


def _for_apple(push: Push, outgoing: Outgoing) -> dict[str, Any]:
    headers = {
        "apns-collapse-id": push.collapse or str(outgoing.message_id),
        "apns-push-type": "background" if push.silent else "alert",
        "apns-priority": "5" if push.silent or push.priority == "normal" else "10",
        "apns-expiration": None if push.ttl is None else str(_expiration(push.ttl)),
    }
    aps = {"badge": push.badge, "sound": push.sound, "content-available": 1 if push.silent else None}
    image = {"fcm_options": {"image": push.image}} if push.image is not None else {}
    aps["mutable-content"] = 1 if push.image is not None else None
    return {"headers": _without_none(headers), "payload": {"aps": _without_none(aps)}, **image}


def _for_browser(push: Push, outgoing: Outgoing) -> dict[str, Any]:
    headers = {
        "TTL": None if push.ttl is None else str(push.ttl),
        "Urgency": push.priority,
    }
    link = {"fcm_options": {"link": push.url}} if push.url is not None and push.url.startswith("https://") else {}
    badge = {} if push.badge is None else {"data": {"badge": str(push.badge)}}
    notification = {"tag": push.collapse or str(outgoing.message_id)}
    return {"headers": _without_none(headers), "notification": notification, **link, **badge}


def _expiration(ttl_s: int) -> int:
    """The moment as APNs writes it; 0: now or never."""
    return int(datetime.now(UTC).timestamp()) + ttl_s if ttl_s else 0


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _refused(answer: Answer) -> SendFailed:
    code = _code(answer)
    if code in _DEAD or (code == "INVALID_ARGUMENT" and _is_about_the_token(answer)):
        return Rejected(f"HTTP {answer.status} {code}", suppress=True)
    if code == _THIRD_PARTY:
        return NotSent(f"HTTP {answer.status} {code}: the credentials of APNs or Web Push in the Firebase project")
    return refusal(answer, code)


def _code(answer: Answer) -> str | None:
    """FCM's own word, else Google's general one."""
    error = _table(answer.members().get("error"))
    codes = [detail.get("errorCode") for detail in _details(error)]
    found = next((code for code in codes if isinstance(code, str)), error.get("status"))
    return found if isinstance(found, str) else None


def _is_about_the_token(answer: Answer) -> bool:
    violations = [each for detail in _details(_table(answer.members().get("error"))) for each in _tables(detail.get("fieldViolations"))]
    return any(each.get("field") == "message.token" for each in violations)


def _details(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    return _tables(error.get("details"))


def _tables(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
