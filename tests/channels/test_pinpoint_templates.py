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
    for made in (text, call, push):
        assert templates.problems("a", made.files) == []


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


@pytest.mark.parametrize("answer", [{}, {"TemplateName": "a"}, {"TemplateType": "SMS"}, {"InAppTemplateResponse": {"TemplateName": "a"}}])
def test_what_is_no_template_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is no email, sms, push or voice template"):
        imported(answer)
