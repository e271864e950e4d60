"""What becomes of devices whose provider says that they are gone or known by another address, and which account each one takes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from activities.messages import Messages
from channels.base import Outgoing, Receipt, Rejected
from storage import endpoints
from storage.ids import address_hash
from tests.activities.provider import Provider
from tests.activities.several import Several
from tests.activities.town import APP, Town, enroll, order_of

PHONE, TABLET = "phone-token", "tablet-token"


class Devices(Provider):
    """A provider that also says `moved` and `dead_long_ago`."""

    async def _answer(self, word: str, outgoing: Outgoing) -> Receipt:
        if word == "moved":
            return Receipt(moved_to="new-address")
        if word == "dead_long_ago":
            raise Rejected("410 Unregistered", suppress=True, dead_since=datetime(2020, 1, 1, tzinfo=UTC))
        return await super()._answer(word, outgoing)


async def push_once(town: Town, key: str = "") -> tuple[bool, tuple[str, ...]]:
    verdict = await town.hands().deliver(order_of(await enroll(town, key=key), channel="push"))
    return verdict.sent, verdict.reasons


async def devices(town: Town) -> dict[str, tuple[str, str | None]]:
    return {row.address: (row.state, row.reason) for row in await town.run("SELECT address, state, reason FROM endpoints ORDER BY id")}


async def confirm(town: Town, address: str) -> None:
    async with town.database.transaction() as connection:
        await endpoints.confirm(connection, APP, [endpoints.Confirmed(town.user_id, "push", address, datetime.now(UTC))])


async def test_a_dead_device_is_used_no_more_and_not_suppressed(town: Town) -> None:
    await town.endpoint("push", PHONE)
    town.provider.script = ["dead_address", "ok"]
    assert await push_once(town) == (False, ("rejected",))
    assert await devices(town) == {PHONE: ("inactive", "gone")}
    assert await town.run("SELECT 1 FROM suppressions") == []
    assert await push_once(town, key="again") == (False, ("inactive_endpoint",))


async def test_one_dead_device_of_two_leaves_the_other_its_push(town: Town) -> None:
    await town.endpoint("push", TABLET, age_s=60)
    await town.endpoint("push", PHONE, age_s=30)
    town.provider.script = ["dead_address", "ok"]
    assert (await push_once(town))[0]
    assert sorted((await devices(town)).values()) == [("active", None), ("inactive", "gone")]


async def test_a_device_that_confirms_again_is_used_again(town: Town) -> None:
    await town.endpoint("push", PHONE)
    town.provider.script = ["dead_address", "ok"]
    await push_once(town)
    await confirm(town, PHONE)
    assert await devices(town) == {PHONE: ("active", None)}
    assert (await push_once(town, key="again"))[0]


async def test_a_device_that_registered_again_since_its_provider_lost_it_stays(town: Town) -> None:
    await town.endpoint("push", PHONE)
    town.provider = Devices(["dead_long_ago", "ok"])
    assert await push_once(town) == (False, ("rejected",))
    assert await devices(town) == {PHONE: ("active", None)}


async def test_a_device_that_confirms_while_the_push_is_under_way_stays(town: Town) -> None:
    await town.endpoint("push", PHONE)

    class Slow(Provider):
        async def send(self, outgoing: Outgoing) -> Receipt:
            await confirm(town, PHONE)
            return await super().send(outgoing)

    hands = with_push(town, Slow(script=["dead_address"], channel="push"))
    await hands.deliver(order_of(await enroll(town), channel="push"))
    assert await devices(town) == {PHONE: ("active", None)}


async def test_a_device_that_its_provider_knows_by_another_address_keeps_its_endpoint(town: Town) -> None:
    number = await town.endpoint("push", PHONE)
    town.provider = Devices(["moved", "ok"])
    assert (await push_once(town))[0]
    [row] = await town.run("SELECT id, address, address_hash, state FROM endpoints")
    assert (row.id, row.address, row.state) == (number, "new-address", "active")
    assert row.address_hash == address_hash(APP, "push", "new-address")
    assert (await push_once(town, key="again"))[0]
    assert [line.address for line in town.provider.record] == [PHONE, "new-address"]


async def test_of_two_addresses_of_one_device_the_new_one_is_used(town: Town) -> None:
    await town.endpoint("push", "new-address", age_s=10)
    await town.endpoint("push", PHONE, age_s=60)
    town.provider = Devices(["moved"])
    await push_once(town)
    assert await devices(town) == {"new-address": ("active", None), PHONE: ("inactive", "replaced")}


async def test_a_dead_mail_address_is_still_suppressed(town: Town) -> None:
    await town.endpoint()
    town.provider.script = ["dead_address"]
    await town.hands().deliver(order_of(await enroll(town)))
    assert len(await town.run("SELECT 1 FROM suppressions")) == 1


async def test_each_device_takes_the_account_that_reaches_it(town: Town) -> None:
    await of_kind(town, "a1b2c3d4" * 8, {"type": "ios"})
    await of_kind(town, "fcm:token", {"type": "android"})
    await of_kind(town, "amzn1.adm-registration.v3.x", {"type": "android", "manufacturer": "Amazon"})
    accounts = {name: Provider(name=name, channel="push") for name in ("apns", "fcm")}
    hands = with_push(town, *accounts.values())
    assert (await hands.deliver(order_of(await enroll(town), channel="push"))).sent
    assert {name: account.taken for name, account in accounts.items()} == {"apns": ["a1b2c3d4" * 8], "fcm": ["fcm:token"]}
    answers = [row.answer for row in await town.rows() if row.state == "rejected"]
    assert answers == ["no account reaches this device: it needs adm"]


async def test_firebase_reaches_apples_devices_whose_app_uses_it(town: Town) -> None:
    await of_kind(town, "fcm:token", {"type": "ios"})
    firebase = Provider(name="fcm", channel="push")
    assert (await with_push(town, firebase).deliver(order_of(await enroll(town), channel="push"))).sent
    assert firebase.taken == ["fcm:token"]


async def of_kind(town: Town, token: str, device: Mapping[str, Any]) -> None:
    number = await town.endpoint("push", token)
    await town.run("UPDATE endpoints SET device = :device WHERE id = :id", id=number, device=device)


def with_push(town: Town, *accounts: Provider) -> Messages:
    several = Several(town)
    for account in accounts:
        several.adapter(account.name, account)
    return several.hands()
