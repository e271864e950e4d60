"""custom("template"): the template names a registered function; check and apply refuse a name that nobody has."""

from api.completeness import missing_content, missing_functions, unannounced
from channels import templates
from channels.render import Renderer
from channels.template_parts import function_of
from journeys.language import Journey, Person, Send, custom, event, rehearse

CARD = {"custom.toml": 'function = "print_card"\n[fields]\npoints = "{{ user.points | default(0) }} points"\n'}
JOURNEY = Journey("cards", starts_on=event("signed_up"), steps=[Send("card", custom("loyalty-card"))])
TEMPLATES = {"loyalty-card": CARD}


async def test_the_fields_are_filled_in_for_the_function() -> None:
    renderer = Renderer(children=1)
    content = await renderer.render("loyalty-card", 1, CARD, "custom", {"user": {"points": 7}})
    await renderer.close()
    assert content.parts == {"function": "print_card", "fields": {"points": "7 points"}}


def test_a_function_that_nobody_has_is_found_before_anybody_enters() -> None:
    assert missing_content([JOURNEY], TEMPLATES) == []
    assert missing_functions([JOURNEY], {"print_card"}, TEMPLATES) == []
    assert [found.code for found in missing_functions([JOURNEY], {"other"}, TEMPLATES)] == ["no_function"]
    assert [found.code for found in unannounced([JOURNEY], {"other"}, TEMPLATES)] == ["function_not_announced"]
    assert [found.code for found in unannounced([JOURNEY], None, TEMPLATES)] == ["function_not_announced"]
    assert [found.code for found in missing_content([JOURNEY], {"loyalty-card": {"sms.txt": "x"}})] == ["no_content"]


def test_custom_toml_says_a_function_and_texts_and_nothing_else() -> None:
    for bad in (
        "",
        'function = "two words"',
        'function = "a"\ncolour = "red"',
        'function = "a"\n[fields]\nn = 1',
        'function = "{{ user.f }}"',
    ):
        assert [found.code for found in templates.problems("card", {"custom.toml": bad})] == ["bad_file"], bad
        assert function_of({"custom.toml": bad}) is None


def test_it_is_rehearsed_as_every_send() -> None:
    assert rehearse(JOURNEY, user=Person("ada")).sent == ["card"]
