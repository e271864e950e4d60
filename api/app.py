"""Makes the HTTP application: what is shared by every request, and the list of what is served."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from temporalio.client import Client

from api import (
    app_settings,
    backtests,
    bulk,
    campaign_runs,
    campaign_trials,
    campaigns,
    client_tokens,
    confirmations,
    consents,
    costs,
    docs,
    documentation,
    endpoints,
    enrollments,
    erasures,
    errors,
    exports,
    files,
    health,
    holdout,
    html,
    imports,
    in_app,
    inbox,
    ingest,
    jobs,
    journeys,
    keys,
    links,
    messages,
    moves,
    one_time_codes,
    pauses,
    people_exports,
    plans,
    preferences,
    providers,
    quarantine,
    replies,
    reports,
    sandbox,
    schedules,
    segment_people,
    segments,
    sends,
    signatures,
    sources,
    starts,
    subscriptions,
    suppressions,
    templates,
    timeline,
    topics,
    tracking,
    user_changes,
    users,
    webhooks,
)
from api.limits import limits_of
from api.logs import RequestLog
from api.streams import Streams
from api.tracking_desk import Desk
from channels.fetching import Fetching
from channels.render import Renderer
from settings import Settings
from storage.database import Database
from storage.notify import Notifier
from workflows.hands import outside

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    ingest.router,
    quarantine.router,
    replies.router,
    endpoints.router,
    consents.router,
    subscriptions.router,
    topics.router,
    exports.router,
    timeline.router,
    users.router,
    user_changes.router,
    erasures.router,
    signatures.router,
    client_tokens.router,
    in_app.router,
    inbox.router,
    suppressions.router,
    backtests.router,
    plans.router,
    journeys.router,
    schedules.router,
    templates.router,
    segments.router,
    segment_people.router,
    sources.router,
    campaigns.router,
    campaign_runs.router,
    campaign_trials.router,
    reports.router,
    holdout.router,
    bulk.router,
    enrollments.router,
    moves.router,
    starts.router,
    jobs.router,
    files.router,
    imports.router,
    people_exports.router,
    sends.router,
    messages.router,
    one_time_codes.router,
    costs.router,
    pauses.router,
    app_settings.router,
    providers.router,
    keys.router,
    sandbox.router,
    sandbox.pages,
    links.router,
    webhooks.router,
    tracking.router,
    tracking.manage,
    preferences.router,
    confirmations.router,
    docs.router,
    html.router,
)


def create_app(settings: Settings, database: Database | None = None, temporal: Client | None = None) -> FastAPI:
    """Build the app on one Postgres. Without `database` it opens its own; without `temporal` it connects when it first needs to.

    On `app.state`: settings, database, temporal, notify (call it after a commit), draining.
    """
    app = FastAPI(
        title="Sojourn",
        version="0.1.0",
        lifespan=_close_at_the_end,
        docs_url=None,
        redoc_url=None,
        # What generated clients call an operation: a function's name, or a door's.
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.database = database or Database(settings.database_url, suppression_keys=settings.plain_suppression_keys)
    app.state.owns_database = database is None
    app.state.temporal = temporal
    app.state.notify = Notifier(settings.database_url)
    app.state.renderer = Renderer(children=1)
    app.state.fetching = Fetching()
    app.state.sources = outside(settings, app.state.database)
    app.state.limits = limits_of(settings)
    app.state.tracking_desk = Desk(app.state.database, settings.link_secrets)
    app.state.streams = Streams(app.state.database, settings.database_url, settings.stream_limit)
    app.state.draining = False
    errors.install(app)
    documentation.install(app, ROUTERS)
    app.add_middleware(RequestLog)
    for router in ROUTERS:
        app.include_router(router)
    return app


@asynccontextmanager
async def _close_at_the_end(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.tracking_desk.close()
    await app.state.streams.close()
    await app.state.notify.close()
    await app.state.renderer.close()
    await app.state.fetching.close()
    await app.state.sources.close()
    if app.state.owns_database:
        await app.state.database.close()
