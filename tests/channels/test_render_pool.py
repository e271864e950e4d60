"""The child processes of templates come when they are needed and go when they are not."""

import asyncio

from channels.render_pool import Children

CHECK = {"do": "check", "files": {"body.txt": "Hello", "subject.txt": "Hello"}}
RENDER = {"do": "render", "parts": [{"name": "subject", "source": "Hello", "is_html": False}], "variables": {}}


async def test_one_after_the_other_needs_one_child_and_two_at_once_two() -> None:
    children = Children(2, wall_s=10)
    for _ in range(3):
        await children.ask(RENDER)
    assert len(children.pids) == 1
    await asyncio.gather(children.ask(RENDER), children.ask(RENDER))
    assert len(children.pids) == 2
    await children.close()
    assert children.pids == []


async def test_a_child_that_nobody_needs_ends_and_comes_back() -> None:
    children = Children(2, wall_s=10, idle_s=0.2)
    await children.ask(CHECK)
    [first] = children.pids
    async with asyncio.timeout(10):
        while children.pids:  # noqa: ASYNC110 - it ends by itself
            await asyncio.sleep(0.05)
    answer = await children.ask(CHECK)
    assert "findings" in answer
    assert children.pids != [first]
    await children.close()


async def test_who_has_read_a_template_goes_at_once_and_who_renders_them_stays() -> None:
    children = Children(1, wall_s=10, idle_s=60)
    await children.ask(RENDER)
    await asyncio.sleep(2)
    assert len(children.pids) == 1
    await children.ask(CHECK)
    await asyncio.sleep(2)
    assert children.pids == []
    await children.close()
