"""AWS Signature Version 4 for one request to an AWS API (AWS General Reference, "Signing AWS API requests")."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import Field

from channels.fields import Token

_ALGORITHM = "AWS4-HMAC-SHA256"


Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z0-9]+){1,3}$")]


@dataclass(frozen=True)
class AwsCredentials:
    """An access key, and where it is used. `session_token` only with temporary keys."""

    access_key_id: Token
    secret_access_key: str
    region: Region
    session_token: Token = ""


def signed_headers(
    credentials: AwsCredentials, service: str, url: str, headers: Mapping[str, str], body: bytes, at: datetime, *, method: str = "POST"
) -> dict[str, str]:
    """The given headers with host, x-amz-date, the session token and authorization; every one of them is signed. `url` has no query."""
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    token = {"x-amz-security-token": credentials.session_token} if credentials.session_token else {}
    sent = {name.lower(): value for name, value in headers.items()} | {"host": urlsplit(url).netloc, "x-amz-date": stamp} | token
    names = ";".join(sorted(sent))
    lines = "".join(f"{name}:{' '.join(sent[name].split())}\n" for name in sorted(sent))
    path = quote(urlsplit(url).path or "/", safe="/~-._")
    canonical = "\n".join((method, path, "", lines, names, hashlib.sha256(body).hexdigest()))
    scope = f"{stamp[:8]}/{credentials.region}/{service}/aws4_request"
    text = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = _key(credentials.secret_access_key, stamp[:8], credentials.region, service)
    signature = hmac.digest(key, text.encode(), hashlib.sha256).hex()
    authorization = f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "authorization": authorization}


@lru_cache(maxsize=32)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return key
