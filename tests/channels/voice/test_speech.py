"""What becomes of text and SSML: nothing that stands in a value is ever a tag."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Rejected
from channels.voice.speech import BadSsml, speech_of, spoken

HOSTILE = [
    "</Say><Dial>+4990012345</Dial><Say>",
    "</speak><speak>",
    '"/><Play>http://evil.example/a.mp3</Play>',
    "a & b < c > d",
    "&lt;break/&gt;",
    "]]><!--",
    "&xxe;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_text_is_said_and_never_read_as_tags(text: str) -> None:
    speech = speech_of({"text": text})
    root = ET.fromstring(f"<x>{speech.marked}</x>")  # noqa: S314
    assert (list(root), root.text, speech.plain) == ([], text, text)


def test_text_that_looks_like_ssml_is_said_with_its_angles() -> None:
    assert speech_of({"text": "<speak>Hi</speak>"}).marked == "&lt;speak&gt;Hi&lt;/speak&gt;"


@given(st.text(max_size=200))
def test_any_text_makes_a_well_formed_document_or_says_nothing(text: str) -> None:
    try:
        marked = speech_of({"text": text}).marked
    except Rejected:
        return
    assert list(ET.fromstring(f"<Say>{marked}</Say>")) == []  # noqa: S314


@pytest.mark.parametrize(
    ("ssml", "expected"),
    [
        ("<speak>Hello</speak>", "Hello"),
        ("<speak>A<break time='300ms'/>B</speak>", 'A<break time="300ms"/>B'),
        ('<speak><say-as interpret-as="digits">12</say-as></speak>', '<say-as interpret-as="digits">12</say-as>'),
        ('<speak xml:lang="de-DE">Größe</speak>', '<lang xml:lang="de-DE">Größe</lang>'),
        ('<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis"><s>One</s></speak>', "<s>One</s>"),
        ("<speak>Tom &amp; Ann</speak>", "Tom &amp; Ann"),
        ("<speak>bell\x07 off</speak>", "bell off"),
    ],
)
def test_ssml_is_written_anew_from_its_tags(ssml: str, expected: str) -> None:
    assert spoken(ssml) == expected


@pytest.mark.parametrize(
    ("ssml", "why"),
    [
        ("<speak>Hello", "well-formed"),
        ("<speak>Tom & Ann</speak>", "well-formed"),
        ("<speak>a</speak><speak>b</speak>", "well-formed"),
        ("<say>a</say>", "begin with <speak>"),
        ("<speak>  </speak>", "nothing to say"),
        ("<speak><audio src='https://a.example'/>a</speak>", "only these tags"),
        ("<speak><amazon:effect name='whispered'>a</amazon:effect></speak>", "well-formed"),
        ("<speak><p class='a'>a</p></speak>", "no attributes"),
        ("<speak><break onload='a'/>a</speak>", "strength, time"),
        ("<speak><!-- a -->a</speak>", "leave it out"),
        ("<speak><![CDATA[a]]></speak>", "leave it out"),
        ('<!DOCTYPE s [<!ENTITY a "b">]><speak>&a;</speak>', "leave it out"),
        ('<?xml version="1.0"?><speak>a</speak>', "leave it out"),
        ("<speak>" + "<s>" * 30 + "a" + "</s>" * 30 + "</speak>", "nested"),
        ("<speak>" + "a" * 6000 + "</speak>", "characters"),
    ],
)
def test_what_cannot_be_spoken_everywhere_says_why(ssml: str, why: str) -> None:
    with pytest.raises(BadSsml, match=why):
        spoken(ssml)
