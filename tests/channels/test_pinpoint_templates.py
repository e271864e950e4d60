"""Pinpoint's answers as files of templates."""

from typing import Any

import pytest

from channels import templates
from channels.pinpoint_templates import imported

EMAIL = {
    "EmailTemplateResponse": {
        "TemplateName": "Welcome_Mail",
        "TemplateType": "EMAIL",
        "Version": "3",
        "Subject": "Hi {{User.UserAttributes.FirstName}}",
        "HtmlPart": '<p>{{greeting}}</p>\n<a ses:no-track href="https://a.example">x</a> {{md5 code}}',
        "TextPart": "{{greeting}}",
        "DefaultSubstitutions": '{"User.UserAttributes.FirstName": "friend", "greeting": "Hello \\"you\\"", "unused": "x"}',
        "Headers": [{"Name": "X-Kind", "Value": "{{Attributes.Kind}}"}],
    }
}


def sms(**members: Any) -> dict[str, Any]:
    return {"TemplateName": "code", "TemplateType": "SMS", "Body": "a", **members}


def test_a_mail_has_its_parts_defaults_and_headers() -> None:
    made = imported(EMAIL)
    assert made.name == "welcome_mail"
    assert made.files["subject.txt"] == "Hi {{ user.FirstName | one }}"
    assert 'data-sojourn-track="off"' in made.files["body.html"]
    assert made.files["template.toml"] == (
        '[headers]\n"X-Kind" = "{{ device.attributes.Kind | default(\\"\\") | one }}"\n\n'
        '[defaults]\n"user.FirstName" = "friend"\n"entry.greeting" = "Hello \\"you\\""\n'
    )
    assert [(left.place, left.message.partition(":")[0]) for left in made.left] == [("HtmlPart, line 2", "there is no helper md5")]
    assert templates.problems("a", made.files) == []


def test_a_text_a_call_and_a_push_have_theirs() -> None:
    text = imported(sms(Body="Code {{code}}", DefaultSubstitutions='{"code": "-"}'))
    assert text.files == {"sms.txt": "Code {{ entry.code }}", "template.toml": '[defaults]\n"entry.code" = "-"\n'}
    call = imported({"VoiceTemplateResponse": {"TemplateName": "call", "Body": "Hi", "LanguageCode": "en-GB", "VoiceId": "Amy"}})
    assert call.files == {"voice.txt": "Hi", "template.toml": '[voice]\nname = "Amy"\nlanguage = "en-GB"\n'}
    contents = {"Default": {"Title": "T {{x}}", "Body": "B", "Url": "https://a.example"}, "APNS": {"Title": "Other", "RawContent": "{}"}}
    push = imported({"PushNotificationTemplateResponse": {"TemplateName": "p", **contents}})
    assert push.files["push.toml"] == 'title = "T {{ entry.x | default(\\"\\") }}"\nbody = "B"\nurl = "https://a.example"\n'
    assert [left.place for left in push.left] == ["APNS.Title", "APNS.RawContent"]
    assert push.left[1].message.startswith("raw content is not there")
    for made in (text, call, push):
        assert templates.problems("a", made.files) == []


def test_what_a_push_cannot_say_is_named_and_the_rest_is_taken() -> None:
    android = {
        "Title": "T",
        "Body": "B",
        "Action": "URL",
        "Url": "https://a.example",
        "ImageUrl": "https://a.example/i.png",
        "ImageIconUrl": "https://a.example/l.png",
        "SmallImageIconUrl": "https://a.example/s.png",
        "TimeToLive": 60,
    }
    made = imported({"PushNotificationTemplateResponse": {"TemplateName": "p", "GCM": android}})
    assert made.files["push.toml"] == 'title = "T"\nbody = "B"\nurl = "https://a.example"\nimage = "https://a.example/i.png"\n'
    assert [left.place for left in made.left] == ["GCM.Action", "GCM.ImageIconUrl", "GCM.SmallImageIconUrl", "GCM.TimeToLive"]
    assert templates.problems("a", made.files) == []


@pytest.mark.parametrize(
    ("content", "places"),
    [
        ({"Action": "DEEP_LINK", "Url": "app://a"}, []),  # the app opens it, as here
        ({"Action": "OPEN_APP"}, []),
        ({"Action": "OPEN_APP", "Url": "app://a"}, ["Default.Action"]),
        ({"Title": ""}, ["Title"]),
    ],
)
def test_what_a_tap_opened_is_told_where_it_differs(content: dict[str, str], places: list[str]) -> None:
    made = imported({"TemplateName": "p", "TemplateType": "PUSH", "Default": {"Title": "T", "Body": "B", **content}})
    assert [left.place for left in made.left] == places


IN_APP = {
    "TemplateName": "offer",
    "Layout": "OVERLAYS",
    "CustomConfig": {"colour": "green", "a b": "1"},
    "Content": [
        {
            "HeaderConfig": {"Header": "Spring", "Alignment": "CENTER", "TextColor": "#000000"},
            "BodyConfig": {"Body": 'Free "delivery"'},
            "ImageUrl": "https://a.example/i.png",
            "BackgroundColor": "#ffffff",
            "PrimaryBtn": {
                "DefaultConfig": {"Text": "See it", "ButtonAction": "LINK", "Link": "https://a.example", "BorderRadius": 3},
                "IOS": {"ButtonAction": "CLOSE"},
            },
            "SecondaryBtn": {"DefaultConfig": {"Text": "No", "ButtonAction": "CLOSE", "Link": "https://a.example"}},
        }
    ],
}
IN_APP_TOML = """title = "Spring"
body = "Free \\"delivery\\""
image = "https://a.example/i.png"
placement = "fullscreen"

[[buttons]]
text = "See it"
url = "https://a.example"

[[buttons]]
text = "No"

[data]
colour = "green"
"a b" = "1"
"""


def test_an_in_app_template_is_taken_as_far_as_it_goes() -> None:
    made = imported({"InAppTemplateResponse": IN_APP})
    assert made.files == {"in_app.toml": IN_APP_TOML}
    assert templates.problems("a", made.files) == []
    assert [left.place for left in made.left] == [
        "HeaderConfig.TextColor, Alignment",
        "PrimaryBtn.IOS",
        "PrimaryBtn.BorderRadius",
        "Content.BackgroundColor",
    ]


@pytest.mark.parametrize(
    ("members", "placement", "places"),
    [
        ({"Layout": "TOP_BANNER"}, "banner", ["Layout"]),
        ({"Layout": "MOBILE_FEED"}, "modal", []),
        ({"Layout": "CAROUSEL", "Content": [{"BodyConfig": {"Body": "a"}}, {"BodyConfig": {"Body": "b"}}]}, "modal", ["Layout", "Content"]),
        ({"Layout": "OVERLAYS", "Content": [{"HeaderConfig": {"Header": "a"}}]}, "fullscreen", ["BodyConfig"]),
    ],
)
def test_a_layout_is_a_placement_and_what_it_says_beside_that_is_named(members: dict[str, Any], placement: str, places: list[str]) -> None:
    made = imported({"TemplateName": "offer", "TemplateType": "INAPP", "Content": [{"BodyConfig": {"Body": "a"}}], **members})
    assert f'placement = "{placement}"' in made.files["in_app.toml"]
    assert [left.place for left in made.left] == places
    assert templates.problems("a", made.files) == []


def test_an_in_app_template_that_says_nothing_is_named_and_does_not_pass() -> None:
    made = imported({"TemplateName": "offer", "TemplateType": "INAPP", "Content": []})
    assert [left.place for left in made.left] == ["BodyConfig"]
    assert [problem.code for problem in templates.problems("a", made.files)] == ["bad_file"]


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"DefaultSubstitutions": "{"}, "DefaultSubstitutions"),
        ({"DefaultSubstitutions": "[]"}, "DefaultSubstitutions"),
        ({"DefaultSubstitutions": '{"Address": "x"}'}, "DefaultSubstitutions"),
        ({"DefaultSubstitutions": '{"Demographic.Locale": "en"}'}, "DefaultSubstitutions"),
        ({"RecommenderId": "r"}, "RecommenderId"),
        ({"Body": "{{> x}}"}, "Body"),
    ],
)
def test_what_is_left_names_its_place(members: dict[str, Any], place: str) -> None:
    assert [left.place for left in imported(sms(**members)).left] == [place]


@pytest.mark.parametrize("answer", [{}, {"TemplateName": "a"}, {"TemplateType": "SMS"}, {"OtherTemplateResponse": {"TemplateName": "a"}}])
def test_what_is_no_template_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is no email, sms, push, voice or in-app template"):
        imported(answer)
