"""A server signs a user id; a browser may then set the addresses of that user and of nobody else."""

import httpx
from fastapi import FastAPI

from api.auth import is_signed


async def test_a_signature_names_one_user_of_one_app(app: FastAPI, manager: httpx.AsyncClient) -> None:
    token = (await manager.post("/v1/users/ada/signature")).json()["signed_user_id"]
    settings = app.state.settings
    assert is_signed(settings, "demo", token, "ada")
    assert not is_signed(settings, "demo", token, "eve")
    assert not is_signed(settings, "other", token, "ada")
    assert not is_signed(settings, "demo", token[:-1], "ada")


async def test_nobody_signs_without_a_secret_key(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/users/ada/signature")).status_code == 401
