"""Uses the generated client on every noun: python tour.py <url> <secret key> <write key>. Types are checked strictly."""

import base64
import sys
from typing import TypeVar

from sojourn_client import AuthenticatedClient
from sojourn_client.api.consents import list_consents, record_consent
from sojourn_client.api.endpoints import activate_endpoint, add_endpoint, deactivate_endpoint, get_endpoint, list_endpoints
from sojourn_client.api.enrollments import list_enrollments
from sojourn_client.api.events import history, track
from sojourn_client.api.jobs import list_jobs
from sojourn_client.api.journeys import apply, get_journey, list_journeys
from sojourn_client.api.keys import create_key, list_keys, revoke_key, rotate_key
from sojourn_client.api.messages import get_message, list_messages, send_message
from sojourn_client.api.pausing import pause, resume
from sojourn_client.api.running_it import livez
from sojourn_client.api.sandbox import list_kept
from sojourn_client.api.suppressions import list_suppressions, release_address, suppress_address
from sojourn_client.api.templates import activate_version, get_template, list_versions, preview, publish_version
from sojourn_client.api.users import (
    erase_user,
    export_user,
    get_timeline,
    get_user,
    list_erasures,
    list_users,
    merge_users,
    patch_user,
    put_user,
    sign_user,
)
from sojourn_client.models import (
    Activation,
    Deactivation,
    HistoryBody,
    MergeUsers,
    NewConsent,
    NewConsentChannel,
    NewConsentState,
    NewEndpoint,
    NewKey,
    NewKeyScopesItem,
    NewMessage,
    NewMessageContentType0,
    NewSuppression,
    NewVersion,
    NewVersionFiles,
    PatchUser,
    PatchUserAttributes,
    PreviewOrder,
    Problem,
    PublicationAsPlanned,
    PutUser,
    PutUserAttributes,
    Rotation,
    TrackBody,
)
from sojourn_client.types import Unset

Answer = TypeVar("Answer")


def good(answer: Answer | Problem | None) -> Answer:
    """The answer, or the end of the tour with the problem in words."""
    if answer is None or isinstance(answer, Problem):
        sys.exit(f"not answered: {answer}")
    return answer


def refused(answer: object) -> Problem:
    assert isinstance(answer, Problem), answer
    return answer


def main(url: str, secret_key: str, write_key: str) -> None:
    server = AuthenticatedClient(base_url=url, token=secret_key)
    credentials = base64.b64encode(f"{write_key}:".encode()).decode()
    sender = AuthenticatedClient(base_url=url, token=credentials, prefix="Basic")
    assert good(livez.sync(client=server)).status
    visit_people(server, sender)
    visit_content(server)
    visit_keys(server, url)
    leave(server)


def visit_people(server: AuthenticatedClient, sender: AuthenticatedClient) -> None:
    assert good(track.sync(client=sender, body=TrackBody.from_dict({"userId": "ann", "event": "signed_up", "messageId": "m1"}))).success
    past = {"type": "track", "userId": "ann", "event": "bought", "messageId": "m0", "timestamp": "2019-05-04T10:00:00Z"}
    assert good(history.sync(client=server, body=HistoryBody.from_dict({"batch": [past]}))).accepted == 1
    attributes = PutUserAttributes.from_dict({"plan": "pro", "email": "Ann@example.com"})
    ann = good(put_user.sync("ann", client=server, body=PutUser(attributes=attributes, timezone="Europe/Berlin")))
    assert (ann.timezone, [endpoint.address for endpoint in ann.endpoints]) == ("Europe/Berlin", ["ann@example.com"])
    change = PatchUser(attributes=PatchUserAttributes.from_dict({"plan": None, "city": "Kiel"}))
    assert good(patch_user.sync("ann", client=server, body=change)).attributes.to_dict() == {"email": "Ann@example.com", "city": "Kiel"}
    good(put_user.sync("old-ann", client=server, body=PutUser()))
    good(merge_users.sync("ann", client=server, body=MergeUsers(from_user_id="old-ann"), idempotency_key="merge-1"))
    assert [user.user_id for user in good(list_users.sync(client=server, attribute=["city=Kiel"])).items] == ["ann"]
    assert good(get_user.sync("old-ann", client=server)).user_id == "ann"
    assert refused(get_user.sync("nobody", client=server)).code == "not_found"
    assert {line.kind for line in good(get_timeline.sync("ann", client=server)).items} >= {"event"}
    assert good(sign_user.sync("ann", client=server)).signed_user_id
    assert len(good(export_user.sync("ann", client=server)).events) == 2
    visit_addresses(server)


def visit_addresses(server: AuthenticatedClient) -> None:
    phone = NewEndpoint(channel="sms", address="+4915112345678")
    added = good(add_endpoint.sync("ann", client=server, body=phone, idempotency_key="phone-1"))
    assert good(deactivate_endpoint.sync(added.id, client=server, body=Deactivation(reason="lost"))).reason == "lost"
    assert good(activate_endpoint.sync(added.id, client=server)).state == "active"
    assert good(get_endpoint.sync(added.id, client=server)).user_id == "ann"
    page = good(list_endpoints.sync(client=server, limit=1))
    assert isinstance(page.next_, str)
    rest = good(list_endpoints.sync(client=server, limit=1, cursor=page.next_))
    assert {page.items[0].channel, rest.items[0].channel} == {"email", "sms"}
    said = NewConsent(channel=NewConsentChannel.SMS, state=NewConsentState.GRANTED)
    good(record_consent.sync("ann", client=server, body=said))
    assert len(good(list_consents.sync("ann", client=server)).in_force) == 1
    suppressed = good(suppress_address.sync(client=server, body=NewSuppression(channel="email", address="gone@example.com")))
    assert [row.id for row in good(list_suppressions.sync(client=server)).items] == [suppressed.id]
    release_address.sync_detailed("email", suppressed.id, client=server)
    assert good(list_suppressions.sync(client=server)).items == []


def visit_content(server: AuthenticatedClient) -> None:
    for subject in ("Welcome", "Hello"):
        files = NewVersionFiles.from_dict({"template.toml": 'from = "a@example.com"', "subject.txt": subject, "body.txt": "There"})
        good(publish_version.sync("welcome", client=server, body=NewVersion(files=files)))
    assert [row.version for row in good(list_versions.sync("welcome", client=server)).items] == [2, 1]
    good(activate_version.sync("welcome", client=server, body=Activation(version=1)))
    assert good(get_template.sync("welcome", client=server)).version == 1
    shown = good(preview.sync("welcome", client=server, body=PreviewOrder(channel="email")))
    assert shown.parts["subject"] == "Welcome"
    published = good(apply.sync(client=server, body=PublicationAsPlanned(journeys=[])))
    assert published.journeys == []
    assert good(list_journeys.sync(client=server)).items == []
    assert refused(get_journey.sync("nothing", client=server)).status == 404
    content = NewMessageContentType0.from_dict({"subject": "Hi", "text": "There", "from": "us@example.com"})
    mail = NewMessage(channel="email", user_id="ann", content=content)
    first, again = [good(send_message.sync(client=server, body=mail, idempotency_key="mail-1")) for _ in range(2)]
    assert first == again
    assert good(get_message.sync(str(first.messages[0]), client=server)).user_id == "ann"
    assert len(good(list_messages.sync(client=server, user_id="ann")).items) == 1
    wrong = refused(send_message.sync(client=server, body=NewMessage(channel="pigeon", user_id="ann", template="welcome")))
    assert not isinstance(wrong.errors, Unset)
    assert wrong.errors is not None
    assert wrong.errors[0].pointer == "/channel"
    assert good(pause.sync(client=server)).is_paused
    assert not good(resume.sync(client=server)).is_paused
    assert good(list_enrollments.sync(client=server)).items == []
    assert good(list_jobs.sync(client=server)).items == []
    good(list_kept.sync(client=server))


def visit_keys(server: AuthenticatedClient, url: str) -> None:
    made = good(create_key.sync(client=server, body=NewKey(name="looks", scopes=[NewKeyScopesItem.READ])))
    assert isinstance(made.key, str)
    reader = AuthenticatedClient(base_url=url, token=made.key)
    good(list_users.sync(client=reader))
    assert refused(put_user.sync("bob", client=reader, body=PutUser())).status == 403
    turned = good(rotate_key.sync(made.id, client=server, body=Rotation(overlap_h=0)))
    revoke_key.sync_detailed(turned.id, client=server)
    assert turned.id not in {key.id for key in good(list_keys.sync(client=server)).items}


def leave(server: AuthenticatedClient) -> None:
    erased = good(erase_user.sync("ann", client=server))
    assert erased.removed["users"] == 2
    assert refused(get_user.sync("ann", client=server)).status == 404
    assert [row.id for row in good(list_erasures.sync(client=server)).items] == [erased.id]


main(*sys.argv[1:])
