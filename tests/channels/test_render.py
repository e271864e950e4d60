"""Content from templates, and templates that want to hurt: each ends within its bounds while its neighbours go on."""

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from channels.base import Content
from channels.render import Renderer, RenderFailed
from channels.render_child import CPU_S
from journeys.language.errors import Unavailable
from tests.channels.hostile import HOSTILE

# What a child that takes the place of an ended one needs until it is ready, and much room.
STARTED_ANEW_S = 2.0
APP = {"name": "Acme", "from": "Acme <hello@acme.example>", "reply_to": "help@acme.example"}


PUSH = """
title = "T"
body = "B"
url = "{{ entry.link | default('') }}"
badge = "{{ entry.unread }}"
ttl = 60
sound = "ping"
optional = ["sound"]
providers = ["fcm", "web_push"]
[data]
order_id = "{{ entry.id }}"
"""


@pytest.fixture(scope="module")
async def patient() -> AsyncIterator[Renderer]:
    """One that leaves it to CPU time to end a child, however busy the machine is."""
    made = Renderer(children=1, wall_s=60)
    yield made
    await made.close()


@pytest.fixture(scope="module")
async def renderer() -> AsyncIterator[Renderer]:
    made = Renderer()
    yield made
    await made.close()


async def render(renderer: Renderer, files: Mapping[str, str], channel: str = "sms", **variables: Any) -> Content:
    return await renderer.render("welcome", 1, files, channel, {"app": APP, **variables})


async def sms(renderer: Renderer, source: str, **variables: Any) -> str:
    return str((await render(renderer, {"sms.txt": source}, **variables)).parts["text"])


async def refused(renderer: Renderer, source: str, **variables: Any) -> str:
    with pytest.raises(RenderFailed) as failed:
        await sms(renderer, source, **variables)
    return failed.value.code


def count_asked(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What its children are asked to do from now on."""
    asked: list[str] = []
    ask = renderer._children.ask

    async def counted(job: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(job["do"])
        return await ask(job)

    monkeypatch.setattr(renderer._children, "ask", counted)
    return asked


async def attack(renderer: Renderer, source: str, **variables: Any) -> str:
    """The code of a failure; a machine so busy that the wall clock ended the child before its CPU time is an end too."""
    try:
        return await refused(renderer, source, **variables)
    except Unavailable:
        return "machine_busy"


async def test_each_channel_has_its_own_parts(renderer: Renderer) -> None:
    files = {
        "subject.txt": "Hello {{ user.name | default('you') }}\n",
        "body.txt": "Text",
        "body.html": "<p>Html</p>",
        "sms.txt": "Short\n",
        "voice.txt": "Said",
        "whatsapp.txt": "Chat",
        "push.toml": 'title = "T"\nbody = "B {{ visit }}"\nurl = "https://a.example"',
        "in_app.toml": 'body = "I"',
        "webhook.toml": 'url = "https://a.example/{{ visit }}"\nbody = \'{"name": {{ user.name | default("") | tojson }}}\'',
    }
    made = {
        channel: (await render(renderer, files, channel, user={"name": "Ann"}, visit=2)).parts
        for channel in ("email", "sms", "voice", "whatsapp", "push", "in_app", "webhook")
    }
    assert made == {
        "email": {
            "subject": "Hello Ann",
            "text": "Text",
            "html": "<p>Html</p>",
            "from": "Acme <hello@acme.example>",
            "reply_to": "help@acme.example",
        },
        "sms": {"text": "Short"},
        "voice": {"text": "Said"},
        "whatsapp": {"text": "Chat"},
        "push": {"title": "T", "body": "B 2", "url": "https://a.example"},
        "in_app": {"body": "I"},
        "webhook": {"url": "https://a.example/2", "body": '{"name": "Ann"}'},
    }


async def test_an_approved_template_is_filled_in_part_by_part(renderer: Renderer) -> None:
    table = """
        name = "order_shipped"
        language = "en_GB"
        body = ["{{ user.name }}", "{{ entry.order }}"]
        [header]
        image = "https://shop.example/{{ entry.order }}.png"
        [buttons]
        0 = { url = "{{ entry.order }}" }
    """
    made = await render(renderer, {"whatsapp.txt": "Hi", "whatsapp.toml": table}, "whatsapp", user={"name": "Ann"}, entry={"order": "A-1"})
    assert made.parts == {
        "text": "Hi",
        "template": {
            "name": "order_shipped",
            "language": "en_GB",
            "body": {"1": "Ann", "2": "A-1"},
            "header": {"image": "https://shop.example/A-1.png"},
            "buttons": {"0": {"url": "A-1"}},
        },
    }


async def test_values_in_ssml_are_escaped_and_plain_speech_is_not(renderer: Renderer) -> None:
    user = {"name": "</speak> & <break/>"}
    settings = {"template.toml": '[voice]\nname = "Amy"\nlanguage = "en-GB"'}
    made = await render(renderer, {"voice.txt": "<speak>{{ user.name }}</speak>", **settings}, "voice", user=user)
    assert made.parts == {"ssml": "<speak>&lt;/speak&gt; &amp; &lt;break/&gt;</speak>", "voice": "Amy", "language": "en-GB"}
    assert (await render(renderer, {"voice.txt": "{{ user.name }}"}, "voice", user=user)).parts == {"text": user["name"]}


async def test_a_value_that_begins_like_ssml_makes_no_ssml(renderer: Renderer) -> None:
    made = await render(renderer, {"voice.txt": "{{ user.name }}"}, "voice", user={"name": "<speak>Hi</speak>"})
    assert made.parts == {"text": "<speak>Hi</speak>"}


async def test_a_template_says_who_a_mail_is_from_before_the_app_does(renderer: Renderer) -> None:
    files = {"subject.txt": "S", "body.txt": "B", "template.toml": 'from = "Orders <orders@acme.example>"\nreply_to = "o@acme.example"'}
    parts = (await render(renderer, files, "email")).parts
    assert (parts["from"], parts["reply_to"]) == ("Orders <orders@acme.example>", "o@acme.example")


async def test_a_mail_from_nobody_is_not_sent(renderer: Renderer) -> None:
    with pytest.raises(RenderFailed, match=r"missing_variable:app\.from"):
        await render(renderer, {"subject.txt": "S", "body.txt": "B"}, "email", app={"name": "Acme"})


async def test_a_channel_without_content_says_so(renderer: Renderer) -> None:
    with pytest.raises(RenderFailed, match="no_content_for_channel"):
        await render(renderer, {"sms.txt": "Hello"}, "push")


_COLUMN = "<mj-body><mj-section><mj-column>%s</mj-column></mj-section></mj-body>"


@pytest.mark.parametrize(
    "said",
    [
        "<mj-head><mj-preview>{% if visit < 4 %}again{% else %}over{% endif %}</mj-preview></mj-head><mj-body />",
        _COLUMN % "{% if visit < 4 %}<mj-text>again</mj-text>{% else %}<mj-text>over</mj-text>{% endif %}",
        _COLUMN % "<mj-text>{% if visit > 3 %}over{% else %}again{% endif %}</mj-text>",
    ],
    ids=["in the preview", "around elements", "in a text"],
)
async def test_a_choice_in_mjml_shows_one_side(renderer: Renderer, said: str) -> None:
    files = {"subject.txt": "a", "body.mjml": f"<mjml>{said}</mjml>"}
    first, last = [(await render(renderer, files, "email", visit=visit)).parts["html"] for visit in (1, 4)]
    assert ("again" in first, "over" in first.replace("overflow", "")) == (True, False)
    assert ("again" in last, "over" in last.replace("overflow", "")) == (False, True)


async def test_values_are_escaped_in_html_and_nowhere_else(renderer: Renderer) -> None:
    files = {"subject.txt": "{{ user.name | default('') }}", "body.html": "<p>{{ user.name | default('') }}</p>"}
    parts = (await render(renderer, files, "email", user={"name": "<b>A & B</b>"})).parts
    assert parts["subject"] == "<b>A & B</b>"
    assert parts["html"] == "<p>&lt;b&gt;A &amp; B&lt;/b&gt;</p>"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ user.name | default('there') }}", "there"),
        ("{{ captured.shipped.carrier | default('our carrier') }}", "our carrier"),  # nothing of the path is there
        ("{{ nobody.at.all | default('x') }}", "x"),
        ("{{ user.empty | default('there') }}", "there"),  # "Hello ," is never what an author meant
        ("{{ user.null | default('there') }}", "there"),
        ("{{ user.zero | default('there') }}", "0"),
        ("{{ user.no | default('there') }}", "False"),
        ("{% if user.name is defined %}yes{% else %}no{% endif %}", "no"),
        ("{% if user.null is defined %}yes{% else %}no{% endif %}", "no"),
        ("{{ user['$plan'] | default('x') }}", "gold"),
        ("{{ entry.items | length }}", "2"),  # an item of that name, not the method
        ("{% for item in entry.items %}{{ loop.index }}{{ item.name | default('?') }} {% endfor %}", "1a 2?"),
        ("{{ 12.5 | decimals }} {{ user.zero | decimals(0) }}", "12.50 0"),
        ("{{ '2026-11-24' | date }} {{ '2026-11-24T09:30:00Z' | date('%H:%M') }}", "24 November 2026 09:30"),
        ("{{ 2 * 3 + 1 }} {{ 7 % 4 }}", "7 3"),
    ],
)
async def test_what_is_absent_has_a_default_and_what_is_there_is_shown(renderer: Renderer, source: str, expected: str) -> None:
    user = {"empty": "", "null": None, "zero": 0, "no": False, "$plan": "gold"}
    assert (await sms(renderer, source, user=user, entry={"items": [{"name": "a"}, {}]}, captured={})).strip() == expected


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ user.name }}", "missing_variable:user.name"),
        ("{{ captured.shipped.carrier }}", "missing_variable:captured.shipped.carrier"),
        ("{{ user.address.city }}", "missing_variable:user.address.city"),
        ("{% if user.name %}a{% endif %}", "missing_variable:user.name"),
        ("{{ user.name | upper | default('x') }}", "missing_variable:user.name"),
        ("{{ entry }}", "missing_variable:entry"),
        ("{{ 1 / 0 }}", "template_error"),
        ("{{ 'x' | nothing }}", "template_error"),
        ("{{ x", "template_error"),
        ("{{ 'soon' | date }}", "template_error"),
    ],
)
async def test_what_is_absent_without_a_default_skips_the_send_by_name(renderer: Renderer, source: str, code: str) -> None:
    assert await refused(renderer, source, user={"address": {"street": "x"}}) == code


async def test_a_required_variable_that_is_missing_or_empty_skips_the_send(renderer: Renderer) -> None:
    files = {"sms.txt": "Order {{ entry.order_id }}", "template.toml": 'required = ["entry.order_id"]'}
    assert (await render(renderer, files, entry={"order_id": "A-1"})).parts == {"text": "Order A-1"}
    for entry in ({}, {"order_id": ""}, {"order_id": None}):
        with pytest.raises(RenderFailed, match=r"missing_variable:entry\.order_id"):
            await render(renderer, files, entry=entry)


async def test_a_variable_that_only_another_channel_requires_is_not_required_here(renderer: Renderer) -> None:
    files = {
        "sms.txt": "Hello",
        "push.toml": 'title = "T"\nbody = "{{ entry.order_id }}"',
        "template.toml": 'required = ["entry.order_id"]',
    }
    assert (await render(renderer, files, entry={})).parts == {"text": "Hello"}


async def test_two_apps_may_have_a_template_of_one_name_and_version(renderer: Renderer) -> None:
    one = await renderer.render("welcome", 1, {"sms.txt": "one"}, "sms", {})
    other = await renderer.render("welcome", 1, {"sms.txt": "other"}, "sms", {})
    assert (one.parts["text"], other.parts["text"]) == ("one", "other")


async def test_a_list_that_is_too_long_stops_the_template_and_not_the_process(renderer: Renderer) -> None:
    source = "{% for item in entry.items | default([]) %}{{ item }}{% endfor %}"
    assert await sms(renderer, source, entry={"items": list(range(200))})
    assert await refused(renderer, source, entry={"items": list(range(201))}) == "template_too_large"


async def test_large_values_in_a_loop_stop_at_the_size_of_a_message(renderer: Renderer) -> None:
    source = "{% for item in entry.items | default([]) %}{{ user.bio | default('') }}{% endfor %}"
    assert await refused(renderer, source, entry={"items": [1] * 100}, user={"bio": "x" * 20_000}) == "template_too_large"


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_template_ends_within_its_cpu_time(patient: Renderer, name: str) -> None:
    await sms(patient, "{{ 'warm'.upper() }}")
    began_s = _childrens_cpu_s(patient)
    code = await refused(patient, HOSTILE[name], user={"name": "x" * 8_000, "list": list(range(500))})
    assert _childrens_cpu_s(patient) - began_s < CPU_S + STARTED_ANEW_S
    assert code.partition(":")[0] in ("template_error", "template_too_slow", "template_too_large", "missing_variable")


async def test_where_the_machine_leaves_a_child_no_cpu_time_the_wall_clock_ends_it_and_the_template_is_not_blamed() -> None:
    renderer = Renderer(children=1, wall_s=0.001)
    with pytest.raises(Unavailable):
        await sms(renderer, HOSTILE["replaced until it is huge"], user={})
    await renderer.close()


async def test_neighbours_of_hostile_templates_go_on_and_no_process_grows_beyond_its_bound() -> None:
    renderer = Renderer()
    await sms(renderer, "Hello {{ user.name | default('') }}", user={})
    attacks = [
        asyncio.create_task(attack(renderer, f"{{# {turn} #}}" + source, user={})) for turn in range(2) for source in HOSTILE.values()
    ]
    slowest, peak_kb, rendered = 0.0, 0, 0
    while not all(attack.done() for attack in attacks):
        began_s = time.process_time()
        await sms(renderer, "Hello {{ user.name | default('') }}", user={})
        slowest, rendered = max(slowest, time.process_time() - began_s), rendered + 1
        peak_kb = max([peak_kb, *(_memory_kb(pid) for pid in renderer._children.pids)])
        await asyncio.sleep(0.005)
    await asyncio.gather(*attacks)
    assert rendered > 10
    assert slowest < 1.0
    assert peak_kb < 512 * 1024
    await renderer.close()


async def test_a_template_that_wants_more_memory_than_its_bound_is_too_large(renderer: Renderer) -> None:
    assert await attack(renderer, HOSTILE["a wide centre"]) == "template_too_large"
    assert await sms(renderer, "{{ 'still there'.upper() }}") == "STILL THERE"


async def test_a_template_in_a_child_waits_only_for_its_turn() -> None:
    renderer = Renderer(children=1, wall_s=10)
    slow = asyncio.create_task(refused(renderer, HOSTILE["replaced until it is huge"], user={}))
    await asyncio.sleep(0)
    assert await sms(renderer, "{{ 'a'.upper() }}") == "A"
    assert slow.done()
    assert await slow == "template_too_slow"
    await renderer.close()


async def test_a_template_that_was_too_slow_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = Renderer(children=1, wall_s=10)
    source = HOSTILE["replaced until it is huge"] + "again"
    await refused(renderer, source)
    asked = count_asked(renderer, monkeypatch)
    assert await refused(renderer, source) == "template_too_slow"
    assert asked == []
    await renderer.close()


async def test_of_many_who_need_a_new_template_at_once_one_asks_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = Renderer(children=1, wall_s=5)
    asked = count_asked(renderer, monkeypatch)
    try:
        made = await asyncio.gather(*(renderer.render("t", 1, {"sms.txt": "Hello"}, "sms", {}) for _ in range(100)))
    finally:
        await renderer.close()
    assert {content.parts["text"] for content in made} == {"Hello"}
    assert asked == ["prepare"]


async def test_a_child_knows_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOJOURN_SECRET", "very secret")
    renderer = Renderer(children=1)
    await sms(renderer, "{{ 'a'.upper() }}")
    [pid] = renderer._children.pids
    assert "very secret" not in _environment(pid)
    await renderer.close()


async def test_a_child_of_a_large_process_does_not_take_its_size_for_its_own() -> None:
    large = bytearray(400 * 1024 * 1024)
    large[::4096] = b"x" * len(large[::4096])
    renderer = Renderer(children=1)
    await sms(renderer, "{{ 'a'.upper() }}")
    [first] = renderer._children.pids
    await sms(renderer, "{{ 'b'.upper() }}")
    assert renderer._children.pids == [first]
    await renderer.close()


async def test_a_cancelled_render_does_not_hand_its_answer_to_the_next() -> None:
    renderer = Renderer(children=1)
    await sms(renderer, "{{ 'a'.upper() }}")
    cancelled = asyncio.create_task(sms(renderer, "{{ 'b'.upper() }}"))
    await asyncio.sleep(0.001)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert await sms(renderer, "{{ 'c'.upper() }}") == "C"
    await renderer.close()


async def test_harmless_templates_cost_far_less_than_a_millisecond(renderer: Renderer) -> None:
    files = {"subject.txt": "Hello {{ user.name | default('you') }}", "body.html": "<p>{{ user.name | default('you') }}</p>" * 20}
    await render(renderer, files, "email", user={"name": "Ann"})
    best = min([await _timed(renderer, files) for _ in range(20)])
    assert best < 0.001


async def _timed(renderer: Renderer, files: Mapping[str, str]) -> float:
    began_s = time.process_time()
    await render(renderer, files, "email", user={"name": "Ann"})
    return time.process_time() - began_s


def _environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


def _childrens_cpu_s(renderer: Renderer) -> float:
    """Of those that run, and of those that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(_cpu_s(pid) for pid in renderer._children.pids)


def _cpu_s(pid: int) -> float:
    # proc(5): the name stands in brackets and may hold spaces; utime and stime are the 12th and 13th field behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)


async def test_a_push_has_its_numbers_and_data_and_leaves_out_what_came_to_nothing(renderer: Renderer) -> None:
    content = await render(renderer, {"push.toml": PUSH}, "push", entry={"unread": 3, "id": "A-17"})
    assert content.parts == {
        "title": "T",
        "body": "B",
        "badge": 3,
        "ttl": 60,
        "sound": "ping",
        "optional": ["sound"],
        "data": {"order_id": "A-17"},
    }


async def test_a_push_whose_number_is_none_is_a_template_error_that_names_the_field(renderer: Renderer) -> None:
    with pytest.raises(RenderFailed) as failed:
        await render(renderer, {"push.toml": PUSH}, "push", entry={"unread": "many", "id": "A-17"})
    assert (failed.value.code, failed.value.why.partition(":")[0]) == ("template_error", "badge")
    assert "many" not in failed.value.why
