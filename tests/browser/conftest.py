"""A real browser before a real server: what people without a login see, as they see it."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from cli.embedded_postgres import EmbeddedPostgres
from tests.api.serving import Served, serving
from tests.browser.visitor import Visitor, furnish

_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PHONE = {"width": 360, "height": 740}


def chromium() -> str:
    """Where the browser is. Without one these tests say nothing, so they fail."""
    found = os.environ.get("SOJOURN_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "these tests need Chromium: `make browser` installs Debian's, or name one in SOJOURN_TEST_CHROMIUM"
    return found


@dataclass(frozen=True)
class Sight:
    """A page, and everything that the browser complained of or asked others for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def served(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    postgres.create_database("browsed", template="migrated")
    with serving(postgres.database_url("browsed"), tmp_path_factory.mktemp("browser")) as server:
        yield server


@pytest.fixture
async def ann(postgres: EmbeddedPostgres, served: Served) -> AsyncIterator[Visitor]:
    """Somebody new with an email address and a phone, and the links that her messages hold."""
    async with furnish(postgres.database_url("browsed"), served.url) as visitor:
        yield visitor


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    opened = await playwright.chromium.launch(executable_path=chromium(), args=list(_ARGUMENTS))
    yield opened
    await opened.close()


@pytest.fixture
async def phone(browser: Browser, served: Served) -> AsyncIterator[Sight]:
    """A phone's width, without JavaScript."""
    context = await browser.new_context(viewport=PHONE, java_script_enabled=False, locale="en-GB")  # type: ignore[arg-type]
    yield await sight(context, served)
    await context.close()


@pytest.fixture
async def scripted(browser: Browser, served: Served) -> AsyncIterator[Sight]:
    """The same with JavaScript, through which the test looks at the page."""
    context = await browser.new_context(viewport=PHONE, locale="en-GB")  # type: ignore[arg-type]
    yield await sight(context, served)
    await context.close()


async def sight(context: BrowserContext, served: Served) -> Sight:
    return watched(await context.new_page(), served.url)


def watched(page: Page, home: str) -> Sight:
    """`home` is the server that it may ask."""
    seen = Sight(page)
    page.on("console", lambda message: seen.errors.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith((home, "data:")) else seen.elsewhere.append(asked.url))
    return seen


@pytest.fixture
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go; SOJOURN_PICTURES names a folder to keep them in."""
    named = os.environ.get("SOJOURN_PICTURES")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
