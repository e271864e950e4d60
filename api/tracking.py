"""Where counted links and pixels of messages lead, and what an app sets about them. Nothing is kept of who asked but what they followed."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import Field, StringConstraints

from api.html import PRIVATE
from api.readers import page_router
from api.strict import App, Body, Db, ReadingApp, management
from api.tracking_desk import Desk
from channels.machines import machine
from channels.tracking import CLICK_PATH, OPEN_PATH, OPEN_SUFFIX
from channels.wishes import tracking_of
from journeys.language.errors import NotFound, Unavailable
from storage import apps
from storage.tracking_hits import Hit

router = page_router()
manage = management("Tracking")

# One transparent pixel.
_GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")

TrackedChannel = Literal["email", "sms", "whatsapp", "push", "in_app"]
Parameter = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
# A name in DNS, in lower case: no port, no address of numbers, no dot at its end.
Domain = Annotated[str, StringConstraints(max_length=253, pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$")]


@router.get(
    f"{CLICK_PATH}{{token}}",
    status_code=302,
    response_class=Response,
    summary="Follow a link of a message",
    responses={302: {"description": "To where the link leads"}, 404: {"description": "A page: this link was not made by us"}},
)
async def follow_link(request: Request, token: str) -> Response:
    """Sends on to where the link led when the message was sent, and counts it. There is no other place it could lead to."""
    return await _follow(request, token, is_counted=True)


@router.head(f"{CLICK_PATH}{{token}}", include_in_schema=False)
async def look_at_link(request: Request, token: str) -> Response:
    """Looking is not following."""
    return await _follow(request, token, is_counted=False)


@router.get(
    f"{OPEN_PATH}{{token}}{OPEN_SUFFIX}",
    response_class=Response,
    summary="The pixel of a message",
    responses={200: {"description": "A transparent picture"}, 404: {"description": "The same picture: this one was not made by us"}},
)
async def show_pixel(request: Request, token: str) -> Response:
    """Shows a picture that cannot be seen, and counts that it was fetched."""
    desk = _desk(request)
    try:
        mark = await desk.opened(token)
    except Unavailable:
        return Response(_GIF, 503, PRIVATE, "image/gif")
    if mark is not None:
        await desk.note(Hit(mark.app, mark.message_id, "open", machine=_machine(request)))
    return Response(_GIF, 200 if mark else 404, PRIVATE, "image/gif")


@router.head(f"{OPEN_PATH}{{token}}{OPEN_SUFFIX}", include_in_schema=False)
async def look_at_pixel(request: Request, token: str) -> Response:
    """Looking is not opening."""
    return Response(status_code=200 if await _desk(request).opened(token) else 404, headers=PRIVATE, media_type="image/gif")


@router.get("/tls-allowed", tags=["Running it"], response_class=Response, status_code=204, summary="Whether a domain is a tracking domain")
async def allow_certificate(database: Db, domain: Annotated[str, Query(max_length=253)]) -> Response:
    """For a proxy that gets certificates on demand: 204 where an app's links lead to this domain, else 404."""
    async with database.transaction() as connection:
        is_ours = await apps.has_tracking_domain(connection, domain.lower())
    return Response(status_code=204 if is_ours else 404)


async def _follow(request: Request, token: str, *, is_counted: bool) -> Response:
    desk = _desk(request)
    mark = await desk.clicked(token)
    url = await desk.follow(mark, _machine(request) if is_counted else None) if mark else None
    if url is None:
        raise NotFound("no such link")
    return Response(status_code=302, headers={**PRIVATE, "Location": url})


def _machine(request: Request) -> str:
    return machine(request.headers, request.client.host if request.client else None)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.tracking_desk
    return desk


class Utm(Body):
    """Parameters for links. What is left out is made: source from the app, medium the channel, campaign the journey, content the step."""

    utm_source: Parameter | None = Field(None, examples=["shop"])
    utm_medium: Parameter | None = Field(None, examples=["email"])
    utm_campaign: Parameter | None = Field(None, examples=["spring"])
    utm_term: Parameter | None = Field(None, examples=["shoes"])
    utm_content: Parameter | None = Field(None, examples=["first"])


class TrackingSettings(Body):
    """What holds for the messages of an app, where neither template nor caller says otherwise."""

    opens: bool = Field(True, description="a pixel in mails")
    clicks: bool = Field(True, description="links are counted")
    channels: list[TrackedChannel] = Field(default=["email"], max_length=5, description="where: email, sms, whatsapp, push, in_app")
    transactional: bool = Field(False, description="for transactional messages too; else only for marketing")
    domain: Domain | None = Field(None, description="a domain of your own for links and pixels; it must lead here, with TLS")
    utm: Utm | None = Field(None, description="parameters for links; without it none are added")
    utm_hosts: list[Domain] = Field(
        default=[],
        max_length=50,
        description="only links to these hosts and their subdomains get parameters; empty: all",
        examples=[["shop.example"]],
    )


@manage.get("/tracking", summary="What is counted of the app's messages")
async def get_tracking(app: ReadingApp, database: Db) -> TrackingSettings:
    """The settings, with the usual ones where nothing was set."""
    async with database.transaction(app) as connection:
        settings = await apps.settings(connection, app)
    tracking = asdict(tracking_of(settings))
    return TrackingSettings.model_validate({name: list(value) if isinstance(value, tuple) else value for name, value in tracking.items()})


@manage.put("/tracking", summary="Set what is counted of the app's messages")
async def set_tracking(app: App, database: Db, body: TrackingSettings) -> TrackingSettings:
    """Holds for messages that are sent from now on; links that were sent keep working, also on the domain of before while it leads here."""
    async with database.transaction(app) as connection:
        await apps.set_setting(connection, app, "tracking", body.model_dump(exclude_none=True))
    return body
