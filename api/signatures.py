"""Tokens with which a browser proves that a server knows it as this user."""

from fastapi import Request
from pydantic import BaseModel, Field

from api.auth import SIGNED_FOR_S, sign_user_id
from api.strict import App, UserId, management

router = management("Users")


class Signature(BaseModel):
    """Put it into the calls of a public key as `context.signedUserId`."""

    signed_user_id: str
    expires_in_s: int = Field(examples=[SIGNED_FOR_S])


@router.post("/users/{user_id}/signature", summary="Sign a user id for a browser")
async def sign_user(request: Request, app: App, user_id: UserId) -> Signature:
    """A public key that sends this token may set the addresses and consents of this user. Works before the user is known."""
    return Signature(signed_user_id=sign_user_id(request.app.state.settings, app, user_id), expires_in_s=SIGNED_FOR_S)
