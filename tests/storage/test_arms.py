"""Arms in SQL are the arms of journeys/language/assign.py: the same golden vectors, the same shares, the same people."""

from sqlalchemy import text

from journeys.language import Arm, Split
from journeys.language.assign import HOLDOUT, VARIANT, AppHoldout, arm, bucket, campaign, ends, ends_of, in_app_holdout, share
from storage.database import Database
from tests.journeys.golden import ARMS, BUCKETS, HELD_OUT, VARIANTS

_BUCKET = text("SELECT bucket(:app, :journey, :step, :subject)")
_ARM = text("SELECT arm(bucket('demo', 'cart-recovery', :step, :subject), :names, :ends)")
_HELD_OUT = text("SELECT bucket('demo', :holdout, :salt, :subject) < :share")
_VARIANT = text("SELECT arm(bucket('demo', :campaign, :step, :subject), :names, :ends)")
_ALL_HELD_OUT = text("SELECT n FROM generate_series(0, 99999) n WHERE bucket('demo', :holdout, :salt, 'user-' || n) < :share")
_EVERYBODY = text(
    "SELECT 'user-' || n AS subject, arm(bucket('demo', 'cart-recovery', 'offer', 'user-' || n), :names, :ends) AS arm,"
    " bucket('demo', 'cart-recovery', :holdout, 'user-' || n) AS holdout FROM generate_series(0, 99999) n"
)
THIRDS = Split("offer", arms=[Arm("a", 33.33, []), Arm("b", 33.33, []), Arm("c", 33.34, [])])


async def test_golden_vectors(database: Database) -> None:
    async with database.transaction() as connection:
        for vector in BUCKETS:
            parts = {"app": vector.app, "journey": vector.journey, "step": vector.step, "subject": vector.subject}
            assert (await connection.execute(_BUCKET, parts)).scalar_one() == vector.bucket, vector


async def test_golden_arms_at_the_edges_of_every_range(database: Database) -> None:
    async with database.transaction() as connection:
        for vector in ARMS:
            asked = {"step": vector.split.id, "subject": vector.subject, **_arms(vector.split)}
            assert (await connection.execute(_ARM, asked)).scalar_one() == vector.arm, vector


async def test_golden_holdouts_of_an_app_and_golden_variants_of_campaigns(database: Database) -> None:
    async with database.transaction() as connection:
        for held in HELD_OUT:
            asked = {"holdout": HOLDOUT, "salt": held.salt, "subject": held.subject, "share": share(held.percent)}
            assert (await connection.execute(_HELD_OUT, asked)).scalar_one() is held.held_out, held
        for vector in VARIANTS:
            names = {"names": [each.name for each in vector.variants], "ends": list(ends_of(vector.variants))}
            asked = {"campaign": campaign(vector.campaign), "step": VARIANT, "subject": vector.subject, **names}
            assert (await connection.execute(_VARIANT, asked)).scalar_one() == vector.variant, vector


async def test_of_100_000_people_the_same_are_held_out_of_the_app_as_in_python(database: Database) -> None:
    holdout = AppHoldout(5, "2027")
    async with database.transaction() as connection:
        asked = {"holdout": HOLDOUT, "salt": holdout.salt, "share": share(holdout.percent)}
        held = set((await connection.execute(_ALL_HELD_OUT, asked)).scalars())
    assert held == {n for n in range(100_000) if in_app_holdout(holdout, "demo", f"user-{n}")}


async def test_100_000_people_are_in_the_same_arms_and_holdout_as_in_python(database: Database) -> None:
    async with database.transaction() as connection:
        people = (await connection.execute(_EVERYBODY, {"holdout": HOLDOUT, **_arms(THIRDS)})).all()
    counts = {"a": 0, "b": 0, "c": 0}
    for person in people:
        counts[person.arm] += 1
    assert all(abs(count - 33_333) < 600 for count in counts.values()), counts
    assert abs(sum(person.holdout < 250 for person in people) - 2_500) < 200
    for person in people[:20_000]:
        assert person.arm == arm(THIRDS, "demo", "cart-recovery", person.subject).name
        assert person.holdout == bucket("demo", "cart-recovery", HOLDOUT, person.subject)


def _arms(split: Split) -> dict[str, object]:
    return {"names": [each.name for each in split.arms], "ends": list(ends(split))}
