"""What is told of a template before anybody gets it."""

from pathlib import Path

import pytest

from channels import templates
from channels.render import Renderer

HOUSE = Path(__file__).parents[2] / "journeys" / "templates"
NAMES = sorted(folder.name for folder in HOUSE.iterdir() if folder.is_dir())


def house(name: str) -> dict[str, str]:
    return {file.name: file.read_text() for file in (HOUSE / name).iterdir()}


def codes(**files: str) -> list[tuple[str, str]]:
    named = {name.replace("_toml", ".toml").replace("_txt", ".txt").replace("_html", ".html"): text for name, text in files.items()}
    return [(problem.pointer, problem.code) for problem in templates.problems("welcome", named)]


def test_a_template_in_order_has_no_problems() -> None:
    assert codes(sms_txt="Hello {{ user.name | default('you') }}") == []


def test_a_push_with_every_field_has_no_problems() -> None:
    everything = """
title = "{{ user.name | default('You') }}"
body = "b"
image = "https://acme.example/a.png"
url = "acme://orders/{{ entry.id | default('') }}"
badge = "{{ entry.unread | default(1) }}"
sound = "ping"
ttl = 3600
collapse = "orders"
priority = "high"
providers = ["fcm", "apns", "web_push", "adm"]
optional = ["sound", "badge", "image", "priority"]
[data]
order_id = "{{ entry.id | default('') }}"
"""
    assert codes(push_toml=everything) == []
    assert codes(push_toml="silent = true\nproviders = ['fcm', 'apns', 'adm']\n[data]\nsync = 'orders'") == []


def test_what_a_provider_cannot_say_names_the_field_why_and_the_remedy() -> None:
    push = 'title = "a"\nbody = "b"\nsound = "c"\nproviders = ["web_push"]'
    [problem] = templates.problems("news", {"push.toml": push})
    assert problem.message == (
        'web_push cannot say sound (the browser chooses it): take it out, or let it be left out there: optional = ["sound"]'
    )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sms_txt": "{{ user.name }}"}, ("sms.txt", "no_default")),
        ({"sms_txt": "{{ user.name | upper }}"}, ("sms.txt", "no_default")),
        ({"sms_txt": "{% if user.name %}a{% endif %}"}, ("sms.txt", "no_default")),
        ({"sms_txt": "{% for i in entry.items | default([]) %}{{ i.name }}{% endfor %}"}, ("sms.txt", "no_default")),
        ({"sms_txt": "{{ profile.name | default('x') }}"}, ("sms.txt", "unknown_variable")),
        ({"sms_txt": "{{ user.name"}, ("sms.txt", "syntax")),
        ({"sms_txt": "{{ visit | shout }}"}, ("sms.txt", "syntax")),
        ({"sms_txt": "{% if visit is odder %}{% endif %}"}, ("sms.txt", "syntax")),
        ({"sms_txt": "{{ visit / 0 }}"}, ("sms.txt", "sample_fails")),
        ({"sms_txt": "{{ entry.id }}", "template_toml": 'required = ["entry.id"]'}, ("sms.txt", "sample_missing")),
        ({"sms_txt": "a", "template_toml": 'required = ["entry.id"]'}, ("template.toml", "required_unused")),
        ({"sms_txt": "a", "template_toml": "required = 3"}, ("template.toml", "bad_file")),
        ({"sms_txt": "a", "template_toml": "sender = 'x'"}, ("template.toml", "bad_file")),
        ({"sms_txt": "a", "template_toml": "dlt_template_id = 1007"}, ("template.toml", "bad_file")),
        ({"sms_txt": "a", "template_toml": "dlt_template_id = '{{ entry.id }}'"}, ("template.toml", "bad_file")),
        ({"sms_txt": "a", "template_toml": "= x"}, ("template.toml", "bad_file")),
        ({"template_toml": ""}, ("template.toml", "no_content")),
        ({"sms_txt": "a", "notes_txt": "b"}, ("notes.txt", "unknown_file")),
        ({"body_txt": "a"}, ("subject.txt", "bad_file")),
        ({"subject_txt": "a"}, ("body.txt", "bad_file")),
        ({"subject_txt": "a\nb", "body_txt": "c"}, ("subject.txt", "subject_lines")),
        ({"push_toml": 'title = "a"'}, ("push.toml", "bad_file")),
        ({"push_toml": 'title = "a"\nbody = "b"\nsong = "c"'}, ("push.toml", "bad_file")),
        ({"push_toml": 'title = "a"\nbody = 3'}, ("push.toml", "bad_file")),
        ({"push_toml": 'title = "a"\nbody = "b"\nbadge = true'}, ("push.toml", "bad_file")),
        ({"push_toml": 'title = "a"\nbody = "b"\nsilent = "yes"'}, ("push.toml", "bad_file")),
        ({"push_toml": 'title = "a"\nbody = "b"\ndata = {n = 3}'}, ("push.toml", "bad_file")),
        ({"push_toml": 'title = "a"\nbody = "b"\noptional = "sound"'}, ("push.toml", "bad_file")),
        ({"push_toml": 'title = "a"\nbody = "b"\nttl = 2419201'}, ("push.toml", "bad_push")),
        ({"push_toml": 'title = "a"\nbody = "b"\nbadge = "{{ visit }} or so"'}, ("push.toml", "bad_push")),
        ({"push_toml": 'title = "a"\nbody = "b"\npriority = "urgent"'}, ("push.toml", "bad_push")),
        ({"push_toml": 'title = "a"\nbody = "b"\nsilent = true'}, ("push.toml", "bad_push")),
        ({"push_toml": 'title = "a"\nbody = "b"\nimage = "http://a.example/a.png"'}, ("push.toml", "bad_push")),
        ({"push_toml": 'title = "a"\nbody = "b"\ndata = {aps = "x"}'}, ("push.toml", "bad_push")),
        ({"push_toml": 'title = "a"\nbody = "b"\noptional = ["title"]'}, ("push.toml", "bad_push")),
        ({"push_toml": 'title = "a"\nbody = "b"\nproviders = ["pigeon"]'}, ("push.toml", "unknown_provider")),
        ({"push_toml": 'title = "a"\nbody = "b"\nsound = "c"\nproviders = ["fcm", "web_push"]'}, ("push.toml", "cannot_say")),
        ({"voice_txt": "<speak>{{ user.name | default('Ann') }}"}, ("voice.txt", "bad_ssml")),
        ({"voice_txt": "<speak><audio src='x'/>Hi</speak>"}, ("voice.txt", "bad_ssml")),
        ({"whatsapp_toml": 'name = "a"'}, ("whatsapp.toml", "bad_file")),
        ({"whatsapp_toml": 'name = "a"\nlanguage = "en"\nbody = ["{{ user.name }}"]'}, ("whatsapp.toml", "no_default")),
        ({"webhook_toml": 'url = "https://a.example"'}, ("webhook.toml", "bad_file")),
        ({"subject_txt": "a", "body.mjml": "<mjml><mj-body>"}, ("body.mjml", "bad_file")),
        ({"subject_txt": "a", "body.mjml": "<mjml></mjml>", "body_html": "<p>"}, ("body.html", "bad_file")),
    ],
)
def test_each_problem_names_its_file_and_has_a_code(files: dict[str, str], expected: tuple[str, str]) -> None:
    file, code = expected
    assert (f"templates/welcome/{file}", code) in codes(**files)


@pytest.mark.parametrize(
    "source",
    [
        "{{ visit }} {{ app.name }} {{ user.user_id }} {{ links.unsubscribe }}",  # always there
        "{% if entry.code is defined %}{{ entry.code }}{% endif %}",
        "{% if entry.code is defined and entry.code != '' %}{{ entry.code }}{% endif %}",
        "{{ entry.code if entry.code is defined else 'none' }}",
        "{% for item in entry.items | default([]) %}{{ item.name | default('x') }}{{ loop.index }}{% endfor %}",
        "{% set name = user.name | default('you') %}{{ name }}",
    ],
)
def test_a_variable_that_was_looked_at_first_needs_no_default(source: str) -> None:
    assert codes(sms_txt=source) == []


def test_every_problem_is_told_at_once_with_its_remedy() -> None:
    found = templates.problems("welcome", {"sms.txt": "{{ a }}\n{{ user.b }}", "push.toml": "x"})
    assert len(found) == 3
    assert (
        "line 2: user.b may be missing: write {{ user.b | default(...) }} or name it under required" in found[-1].message + found[1].message
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 160, None),
        ("a" * 161, "several_segments"),
        ("大" * 71, "costly_characters"),
        ("Größe: ç {{ user.name | default('Ann') }}", None),  # UCS-2, and one segment all the same
        ("a" * 80 + "ç", "costly_characters"),
    ],
)
def test_a_text_that_is_charged_as_several_is_told_to_its_author(text: str, expected: str | None) -> None:
    assert [note.code for note in templates.notes("welcome", {"sms.txt": text})] == ([expected] if expected else [])


def test_the_same_files_have_the_same_hash_in_any_order() -> None:
    assert templates.content_hash({"a": "1", "b": "2"}) == templates.content_hash({"b": "2", "a": "1"})
    assert templates.content_hash({"a": "1", "b": "2"}) != templates.content_hash({"a": "12", "b": ""})


async def test_templates_of_strangers_are_judged_in_a_child_by_the_same_rules() -> None:
    renderer = Renderer(children=1, wall_s=10)
    files = {"sms.txt": "{{ user.name }}"}
    assert await renderer.problems("welcome", files) == templates.problems("welcome", files)
    for spoken in ("<speak>Hi</speak>", "<speak>Hi", "<speak><audio/>Hi</speak>"):
        said = {"voice.txt": spoken, "whatsapp.toml": 'name = "a"\nlanguage = "en"'}
        assert await renderer.problems("welcome", said) == templates.problems("welcome", said)
    [problem] = await renderer.problems("welcome", {"sms.txt": "{{ 'aaaaaaaaaa'" + "|replace('a','aaaaaaaaaa')" * 12 + " }}"})
    assert problem.code == "template_too_slow"
    await renderer.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_houses_own_templates_are_in_order(name: str) -> None:
    assert templates.problems(name, house(name)) == []


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "email" in templates.channels_of(house(name)) and templates.settings(house(name)).topic]
)
def test_the_houses_marketing_mail_shows_how_to_leave(name: str) -> None:
    assert templates.shows_unsubscribe(house(name))


def test_mail_without_a_topic_is_none_to_leave() -> None:
    """So the test above leaves out only what a transactional send of a journey needs: orders, appointments, payments, our own desk."""
    without = [name for name in NAMES if "email" in templates.channels_of(house(name)) and "topic" not in house(name)["template.toml"]]
    assert not any("unsubscribe" in text for name in without for text in house(name).values())


async def test_the_houses_templates_are_harmless_enough_for_our_own_process() -> None:
    renderer = Renderer(children=1)
    for name in NAMES:
        for channel in templates.channels_of(house(name)):
            assert (await renderer._prepared(house(name), channel, "")).compiled is not None
    await renderer.close()
