"""Tokens with which a user's own client reads what it is to show them."""

import time
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, Field

from api.clients import Client, client_token
from api.strict import App, UserId, management

router = management("Users")
LONGEST_S = 24 * 3600


class ClientToken(BaseModel):
    """Hand it to the client of this user and to nobody else: it reads their messages."""

    client_token: str = Field(examples=["sj_client_WyJkZW1vIiwidXNlci00NzExIl0.aR"])
    expires_in_s: int = Field(examples=[3600])


@router.post("/users/{user_id}/client-token", summary="Make a token for a user's client")
async def make_client_token(
    request: Request,
    app: App,
    user_id: UserId,
    expires_in_s: Annotated[int, Query(ge=60, le=LONGEST_S, description="seconds; a day at most")] = 3600,
) -> ClientToken:
    """With it the user's browser or app fetches in-app messages and inbox. Works before the user is known."""
    client = Client(app, user_id, time.time() + expires_in_s)
    return ClientToken(client_token=client_token(request.app.state.settings, client), expires_in_s=expires_in_s)
