"""Who is asking: API keys from the Authorization header or the body, and user ids that a server has signed for a browser.

Keys that were found are remembered for ten seconds, so a revoked key is refused within that time.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Callable
from hashlib import sha256

from fastapi import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from api import limits
from api.errors import Forbidden, Unauthenticated
from settings import Settings
from storage import keys
from storage.database import Database
from storage.keys import Parts, StoredKey

REMEMBERED_S = 10.0
SIGNED_FOR_S = 7 * 24 * 3600
_MOST_REMEMBERED = 10_000
_NOBODY = bytes(32)


class KeyRing:
    """The keys of one process, read from Postgres when they are first used and every ten seconds."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._found: dict[str, tuple[float, StoredKey]] = {}

    async def key(self, written: str) -> StoredKey:
        """The key that was written. Raises Unauthenticated: one answer, in the same time, for no key, an unknown and a revoked one."""
        parts = keys.parse(written)
        stored = await self._find(parts) if parts is not None else None
        is_right = hmac.compare_digest(stored.secret_hash if stored else _NOBODY, parts.secret_hash if parts else _NOBODY)
        if stored is None or parts is None or not is_right or stored.kind != parts.kind:
            raise Unauthenticated("this needs a key that Sojourn knows")
        return stored

    async def _find(self, parts: Parts) -> StoredKey | None:
        read_at, stored = self._found.get(parts.id, (0.0, None))
        if stored is not None and self._clock() - read_at < REMEMBERED_S:
            return stored
        return await self._read(parts.id)

    async def _read(self, key_id: str) -> StoredKey | None:
        async with self._database.transaction() as connection:
            stored = await keys.find(connection, key_id)
            if stored is not None:
                await keys.note_use(connection, stored)
        self._found.pop(key_id, None)
        if stored is not None:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[key_id] = (self._clock(), stored)
        return stored


def key_ring(request: Request) -> KeyRing:
    """The process's key ring, made at the first request."""
    state = request.app.state
    if not hasattr(state, "key_ring"):
        state.key_ring = KeyRing(state.database)
    ring: KeyRing = state.key_ring
    return ring


def written_key(request: Request) -> str | None:
    """The key in the Authorization header: Bearer, or Basic with the key as user and any password (a missing colon is tolerated)."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(rest, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


class KeyFor:
    """FastAPI dependency: the app of the secret key that asks, if the key has the scope.

    Without a scope of its own an operation that looks needs `read`, and one that changes needs `manage`.
    """

    def __init__(self, scope: str = "") -> None:
        self._scope = scope

    def scope(self, method: str) -> str:
        """What the key must be allowed to do."""
        return self._scope or ("read" if method == "GET" else "manage")

    async def __call__(self, request: Request) -> str:
        key = await key_ring(request).key(written_key(request) or "")
        scope = self.scope(request.method)
        limits.take(request, key.id, "send" if scope == "send" else "manage")
        if key.kind != "secret":
            raise Forbidden("this needs a secret key")
        if scope not in key.scopes:
            raise Forbidden(f"this needs a key with the scope {scope}")
        request.state.key = key
        return key.app


def _signer(settings: Settings, app: str) -> URLSafeTimedSerializer:
    # Per app, so that a signature of one app says nothing in another.
    secret = hmac.new(settings.secret.get_secret_value().encode(), f"user id of {app}".encode(), sha256).digest()
    return URLSafeTimedSerializer(secret, salt="sojourn.user-id", signer_kwargs={"digest_method": sha256})


def sign_user_id(settings: Settings, app: str, user_id: str) -> str:
    """A token with which a browser proves for seven days that a server knows it as this user."""
    token = _signer(settings, app).dumps(user_id)
    return token if isinstance(token, str) else token.decode()


def is_signed(settings: Settings, app: str, token: str, user_id: str) -> bool:
    """Tell whether the token is ours, not older than seven days, and names this user of this app."""
    try:
        named = _signer(settings, app).loads(token, max_age=SIGNED_FOR_S)
    except BadSignature:
        return False
    return isinstance(named, str) and hmac.compare_digest(named.encode(), user_id.encode())
