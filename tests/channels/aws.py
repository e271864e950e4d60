"""AWS at the other end: signatures are judged by botocore's own signer."""

from datetime import UTC, datetime, timedelta

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from channels.sigv4 import AwsCredentials
from tests.channels.provider import Request

CREDENTIALS = AwsCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-west-1", "session/token==")


class _At(SigV4Auth):  # type: ignore[misc]
    """Signs with the headers and at the moment that the request names."""

    def add_auth(self, request: AWSRequest) -> None:
        canonical = self.canonical_request(request)
        signature = self.signature(self.string_to_sign(request, canonical), request)
        request.headers["Authorization"] = self._inject_signature_to_request(request, signature).headers["Authorization"]


def check_signature(request: Request, service: str) -> None:
    """Assert that botocore would have signed this request, with these headers and at this time, in the same way."""
    signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(signed)
    at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    assert request.headers["x-amz-security-token"] == CREDENTIALS.session_token
    again = AWSRequest(
        request.method,
        f"http://{request.headers['host']}{request.path}",
        headers={name: request.headers[name] for name in signed},
        data=request.body,
    )
    again.context["timestamp"] = request.headers["x-amz-date"]
    key = Credentials(CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key, CREDENTIALS.session_token)
    _At(key, service, CREDENTIALS.region).add_auth(again)
    assert again.headers["Authorization"].split("Signature=")[1] == request.headers["authorization"].split("Signature=")[1]
