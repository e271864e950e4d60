"""The preference centre, unsubscribe and confirm pages as people meet them: on a phone, without JavaScript, by keyboard alone."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.conftest import Sight
from tests.browser.looking import focused, wrong_with
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.e2e


def box(page: Page, channel: str, topic: str) -> Any:
    return page.locator(f'input[value="{channel}/{topic}"]')


async def ticked(page: Page) -> list[str]:
    return [str(await each.get_attribute("value")) for each in await page.locator("input[type=checkbox]:checked").all()]


async def test_the_preference_centre_shows_how_things_stand_and_changes_what_was_changed(phone: Sight, ann: Visitor) -> None:
    page = phone.page
    await page.goto(ann.preferences)
    # Mail is allowed until somebody leaves; a text needs a yes.
    assert await ticked(page) == ["email/news", "email/offers", "email/general", "email/*", "sms/*"]
    await page.get_by_role("group", name="News from the workshop").get_by_label("Email").uncheck()
    await page.get_by_role("group", name="News from the workshop").get_by_label("Text message").check()
    await page.get_by_role("button", name="Save").click()
    assert "Saved" in await page.get_by_role("status").inner_text()
    assert await ticked(page) == ["sms/news", "email/offers", "email/general", "email/*", "sms/*"]
    assert sorted(await ann.said()) == [("email", "news", "withdrawn"), ("sms", "news", "granted")]
    await page.reload()
    assert len(await ann.said()) == 2


async def test_everything_off_is_one_click_and_shown(phone: Sight, ann: Visitor) -> None:
    await phone.page.goto(ann.preferences)
    await phone.page.get_by_role("button", name="Unsubscribe from everything").click()
    assert "unsubscribed from everything" in await phone.page.get_by_role("status").inner_text()
    assert await ticked(phone.page) == ["email/*", "sms/*"]
    assert await ann.said() == [("*", "*marketing", "withdrawn")]


async def test_a_channel_that_is_closed_takes_its_topics_along_and_opens_without_them(phone: Sight, ann: Visitor) -> None:
    page = phone.page
    await page.goto(ann.preferences)
    await box(page, "email", "*").uncheck()
    await page.get_by_role("button", name="Save").click()
    assert await ticked(page) == ["sms/*"]
    await box(page, "email", "*").check()
    await page.get_by_role("button", name="Save").click()
    assert await ticked(page) == ["email/*", "sms/*"]
    await box(page, "email", "news").check()
    await page.get_by_role("button", name="Save").click()
    assert await ticked(page) == ["email/news", "email/*", "sms/*"]


async def test_leaving_by_the_link_and_coming_back(phone: Sight, ann: Visitor) -> None:
    page = phone.page
    await page.goto(ann.unsubscribe)
    assert await ann.said() == []
    await page.get_by_role("button", name="Unsubscribe").click()
    assert await page.get_by_role("heading", level=1).inner_text() == "You are unsubscribed"
    await page.get_by_role("button", name="Subscribe again").click()
    assert await ann.said() == [("email", "news", "withdrawn"), ("email", "news", "granted")]
    await page.get_by_role("link", name="See all your choices").click()
    assert "email/news" in await ticked(page)


async def test_a_subscription_is_confirmed_by_a_click_and_not_by_looking(phone: Sight, ann: Visitor) -> None:
    link = await ann.confirm_link()
    await phone.page.goto(link)
    assert await ann.said() == [("email", "offers", "pending")]
    await phone.page.get_by_role("button", name="Yes, I would like that").click()
    assert await phone.page.get_by_role("heading", level=1).inner_text() == "Thank you"
    assert await ann.said() == [("email", "offers", "pending"), ("email", "offers", "granted")]


async def test_the_keyboard_alone_reaches_and_changes_everything(scripted: Sight, ann: Visitor) -> None:
    page = scripted.page
    await page.goto(ann.preferences)
    reached: list[str] = []
    while True:
        await page.keyboard.press("Tab")
        at = await focused(page)
        if not at["what"] or at["what"] in reached:
            break
        assert at["outline"] >= 2, at
        reached.append(at["what"])
    boxes = ["email/news", "sms/news", "email/offers", "email/general", "email/*", "sms/*"]
    assert reached == [*boxes, "save", "leave_all"]
    await page.goto(ann.preferences)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    while (await focused(page))["what"] != "save":
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_role("status").wait_for()
    # The words that tell the result have the focus: a screen reader reads them out, and Tab goes on from there.
    assert "Saved" in (await focused(page))["what"]
    assert await ann.said() == [("email", "news", "withdrawn")]
    await page.goto(ann.unsubscribe)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_role("status").wait_for()


async def every_page(page: Page, ann: Visitor, look: Callable[[str], Awaitable[None]]) -> None:
    """Go through every page and every state of it."""
    confirm = await ann.confirm_link()
    for name, link in (("preferences", ann.preferences), ("unsubscribe", ann.unsubscribe), ("confirm", confirm)):
        await page.goto(link)
        await look(name)
    await page.get_by_role("button").click()
    await look("confirmed")
    await page.goto(ann.unsubscribe)
    await page.get_by_role("button").click()
    await look("unsubscribed")
    await page.get_by_role("button").click()
    await look("resubscribed")
    await page.goto(ann.preferences)
    await box(page, "sms", "news").check()
    await page.get_by_role("button", name="Save").click()
    await look("saved")
    await page.goto(confirm[:-3] + "xyz")
    await look("unknown")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nobody_stumbles_on_any_page(scripted: Sight, ann: Visitor, pictures: Path, scheme: Any) -> None:
    page, wrong = scripted.page, {}
    await page.emulate_media(color_scheme=scheme)

    async def look(name: str) -> None:
        wrong[name] = await wrong_with(page)
        await page.screenshot(path=pictures / f"{name}-{scheme}.png", full_page=True)

    await every_page(page, ann, look)
    assert {name: found for name, found in wrong.items() if found} == {}
    # The 404 page is told to the console as one; nothing else is.
    assert [each for each in scripted.errors if "404" not in each] == []
    assert scripted.elsewhere == []


async def test_a_wide_window_is_fine_too(scripted: Sight, ann: Visitor, pictures: Path) -> None:
    await scripted.page.set_viewport_size({"width": 1280, "height": 800})
    await scripted.page.goto(ann.preferences)
    assert await wrong_with(scripted.page) == []
    await scripted.page.screenshot(path=pictures / "preferences-wide.png", full_page=True)


async def test_large_type_does_not_break_a_narrow_page(scripted: Sight, ann: Visitor) -> None:
    """WCAG 1.4.10: at 320 pixels nothing is cut off or scrolls sideways."""
    await scripted.page.set_viewport_size({"width": 320, "height": 600})
    await scripted.page.goto(ann.preferences)
    assert await wrong_with(scripted.page) == []


@pytest.mark.parametrize(("locale", "language", "heading"), [("de-DE", "de", "Was möchten Sie bekommen?"), ("xx", "en", "What would you")])
async def test_the_pages_speak_the_persons_language(scripted: Sight, ann: Visitor, locale: str, language: str, heading: str) -> None:
    await ann.manager.patch(f"/v1/users/{ann.user_id}", json={"locale": locale})
    await scripted.page.goto(ann.preferences)
    assert await scripted.page.get_attribute("html", "lang") == language
    assert heading in await scripted.page.get_by_role("heading", level=1).inner_text()


async def test_the_policy_would_run_no_script(scripted: Sight, ann: Visitor) -> None:
    answer = await scripted.page.goto(ann.preferences)
    assert answer is not None
    policy = (await answer.all_headers())["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    with pytest.raises(Exception, match="Content Security Policy"):
        await scripted.page.add_script_tag(content="document.title = 'changed'")
