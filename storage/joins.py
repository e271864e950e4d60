"""Joining two people whose rows are locked: pointers, addresses, consents, enrollments and messages move; events stay where they are."""

from sqlalchemy import text

from storage.database import Connection

_PEOPLE = "(SELECT id FROM users WHERE app = :app AND (id = :{0} OR merged_into = :{0}))"
# What one of the two did is news to the journeys that the other is in, and to nobody else: long ago, it must not start another one.
_TELL_EACH_OTHER = text(
    f"""
    INSERT INTO outbox (shard, app, user_id, kind, event_received_at, event_seq, enrollment_id)
    SELECT DISTINCT hashint8(:survivor) & 63, :app, CAST(:survivor AS bigint), 'event', ev.received_at, ev.seq, e.id
    FROM enrollments e
    JOIN journey_versions v ON v.app = e.app AND v.journey = e.journey AND v.version = e.version
    JOIN events ev ON ev.app = :app AND ev.name = ANY(v.listen_names) AND ev.occurred_at >= e.entered_at AND NOT ev.is_history
        AND ((e.user_id = :survivor AND ev.user_id IN {_PEOPLE.format("loser")})
          OR (e.user_id = :loser AND ev.user_id IN {_PEOPLE.format("survivor")}))
    WHERE e.app = :app AND e.user_id IN (:survivor, :loser) AND e.state <> 'closed'
    ORDER BY ev.received_at, ev.seq
    """
)
_POINT = text("UPDATE identities SET user_id = :survivor WHERE app = :app AND user_id = :loser")
_MERGE = text("UPDATE users SET merged_into = :survivor, updated_at = now() WHERE app = :app AND (id = :loser OR merged_into = :loser)")
# Of two open enrollments of one (journey, key) the older stays; the relay ends the workflow of the other.
_END_DOUBLES = text(
    """
    WITH younger AS (
        SELECT (CASE WHEN (a.started_at, a.id) > (b.started_at, b.id) THEN a.id ELSE b.id END) AS id
        FROM enrollments a JOIN enrollments b ON b.app = a.app AND b.journey = a.journey AND b.key = a.key
        WHERE a.app = :app AND a.user_id = :survivor AND b.user_id = :loser AND a.state <> 'closed' AND b.state <> 'closed'
    ), ended AS (
        UPDATE enrollments e SET state = 'closed', ended_at = clock_timestamp(), end_reason = 'merged'
        FROM younger WHERE e.app = :app AND e.id = younger.id RETURNING e.id
    )
    INSERT INTO outbox (shard, app, user_id, kind, enrollment_id)
    SELECT hashint8(:survivor) & 63, :app, CAST(:survivor AS bigint), 'merged', id FROM ended
    """
)
_MOVE_ENROLLMENTS = text("UPDATE enrollments SET user_id = :survivor WHERE app = :app AND user_id = :loser")
# An address that both have becomes one; a planned message follows it, under the target and so the id that it has.
_MOVE_MESSAGES = text(
    """
    UPDATE messages m SET user_id = :survivor, endpoint_id = coalesce(
        (SELECT s.id FROM endpoints l JOIN endpoints s USING (app, channel, address_hash)
         WHERE l.app = :app AND l.id = m.endpoint_id AND l.user_id = :loser AND s.user_id = :survivor), m.endpoint_id)
    WHERE m.app = :app AND m.user_id = :loser
    """
)
_FOLD_ENDPOINTS = text(
    """
    WITH folded AS (
        DELETE FROM endpoints l USING endpoints s
        WHERE l.app = :app AND l.user_id = :loser AND s.app = :app AND s.user_id = :survivor
          AND s.channel = l.channel AND s.address_hash = l.address_hash
        RETURNING s.id, l.confirmed_at, l.state
    )
    UPDATE endpoints e SET updated_at = now(),
        confirmed_at = CASE WHEN :is_trusted THEN greatest(e.confirmed_at, f.confirmed_at) ELSE e.confirmed_at END,
        state = CASE WHEN :is_trusted AND e.reason = 'unsigned' THEN f.state ELSE e.state END,
        reason = CASE WHEN :is_trusted AND e.reason = 'unsigned' AND f.state = 'active' THEN NULL ELSE e.reason END
    FROM folded f WHERE e.app = :app AND e.id = f.id
    """
)
# What was shown to either is shown to the one that they are, as something new.
_MOVE_IN_APP = text(
    """
    WITH theirs AS (
        SELECT revision FROM in_app_feeds WHERE app = :app AND user_id = :loser FOR UPDATE
    ), bumped AS (
        INSERT INTO in_app_feeds AS f (app, user_id, revision) SELECT :app, CAST(:survivor AS bigint), revision + 1 FROM theirs
        ON CONFLICT (app, user_id) DO UPDATE SET revision = greatest(f.revision + 1, EXCLUDED.revision) RETURNING revision
    )
    UPDATE in_app_messages s SET user_id = :survivor, revision = bumped.revision FROM bumped WHERE s.app = :app AND s.user_id = :loser
    """
)
_FORGET_FEED = text("DELETE FROM in_app_feeds WHERE app = :app AND user_id = :loser")
_MOVE_ENDPOINTS = text("UPDATE endpoints SET user_id = :survivor, updated_at = now() WHERE app = :app AND user_id = :loser")
_MOVE_CONSENTS = text("UPDATE consents SET user_id = :survivor WHERE app = :app AND user_id = :loser")
# What is due to either is due to the one that they are; which moment is theirs is read again with their attributes, and what was
# told of either and has not been read is known since then.
_MOVE_CHANGED = text("UPDATE changed_people SET user_id = :survivor WHERE app = :app AND user_id = :loser")
_MOVE_DUE = text(
    """
    WITH theirs AS (DELETE FROM due_dates WHERE app = :app AND user_id = :loser RETURNING journey, due_at)
    INSERT INTO due_dates (app, journey, user_id, due_at) SELECT :app, journey, CAST(:survivor AS bigint), due_at FROM theirs
    ON CONFLICT DO NOTHING
    """
)
_MOVE_LISTED = text(
    """
    WITH theirs AS (DELETE FROM listed_people WHERE app = :app AND user_id = :loser RETURNING segment, added_at)
    INSERT INTO listed_people (app, segment, user_id, added_at) SELECT :app, segment, CAST(:survivor AS bigint), added_at FROM theirs
    ON CONFLICT DO NOTHING
    """
)
# Who was in as either is in: nobody comes in by being found to be somebody. The note of the join reads the one that they are now.
_MOVE_MEMBERS = text(
    """
    WITH theirs AS (DELETE FROM segment_members WHERE app = :app AND user_id = :loser RETURNING segment, since), due AS (
        DELETE FROM segment_due WHERE app = :app AND user_id = :loser
    )
    INSERT INTO segment_members (app, segment, user_id, since) SELECT :app, segment, CAST(:survivor AS bigint), since FROM theirs
    ON CONFLICT DO NOTHING
    """
)
_SILENCE = text(
    "UPDATE endpoints SET state = 'inactive', reason = 'unsigned', updated_at = now()"
    " WHERE app = :app AND user_id = :user_id AND state = 'active'"
)


async def merge(connection: Connection, app: str, survivor: int, loser: int, *, is_trusted: bool = True) -> None:
    """Make `loser` a part of `survivor`, once. Both rows must be locked; their attributes are joined by the caller.

    Not trusted (a browser key said so): the loser's addresses arrive inactive, its consents and lists stay behind. Otherwise somebody could
    bring an address to a person by claiming to be them.
    """
    pair = {"app": app, "survivor": survivor, "loser": loser}
    await connection.execute(_TELL_EACH_OTHER, pair)
    await connection.execute(_END_DOUBLES, pair)
    await connection.execute(_MOVE_ENROLLMENTS, pair)
    await connection.execute(_POINT, pair)
    await connection.execute(_MERGE, pair)
    await connection.execute(_MOVE_MESSAGES, pair)
    await connection.execute(_MOVE_IN_APP, pair)
    await connection.execute(_FORGET_FEED, pair)
    await connection.execute(_FOLD_ENDPOINTS, {**pair, "is_trusted": is_trusted})
    if is_trusted:
        await connection.execute(_MOVE_CONSENTS, pair)
        await connection.execute(_MOVE_LISTED, pair)
    else:
        await silence(connection, app, loser)
    await connection.execute(_MOVE_ENDPOINTS, pair)
    await connection.execute(_MOVE_CHANGED, pair)
    await connection.execute(_MOVE_DUE, pair)
    await connection.execute(_MOVE_MEMBERS, pair)


async def silence(connection: Connection, app: str, user_id: int) -> None:
    """Make every address of a person inactive until a trusted source confirms it."""
    await connection.execute(_SILENCE, {"app": app, "user_id": user_id})
