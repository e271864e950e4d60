"""The tables that compiled conditions read, with the columns that they read. The migrations make them; a test holds the two together."""

from typing import Any

from sqlalchemy import CHAR, BigInteger, Column, DateTime, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()


def _instant(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True))


users = Table(
    "users",
    metadata,
    Column("app", Text),
    Column("id", BigInteger),
    Column("user_id", Text),
    Column("attributes", JSONB),
    Column("timezone", Text),
    Column("locale", Text),
    Column("merged_into", BigInteger),
    _instant("created_at"),
)
identities = Table(
    "identities",
    metadata,
    Column("app", Text),
    Column("kind", CHAR(1)),
    Column("value", Text),
    Column("user_id", BigInteger),
    _instant("created_at"),
)
endpoints = Table(
    "endpoints",
    metadata,
    Column("app", Text),
    Column("id", BigInteger),
    Column("user_id", BigInteger),
    Column("channel", Text),
    Column("state", Text),
    Column("device", JSONB),
    _instant("confirmed_at"),
)
events = Table(
    "events",
    metadata,
    Column("app", Text),
    _instant("received_at"),
    Column("user_id", BigInteger),
    Column("name", Text),
    Column("properties", JSONB),
    _instant("occurred_at"),
)
messages = Table(
    "messages",
    metadata,
    Column("id", Uuid),
    Column("app", Text),
    Column("user_id", BigInteger),
    Column("source", Text),
    Column("step", Text),
    Column("template", Text),
    Column("state", Text),
    Column("reason", Text),
    _instant("settled_at"),
    _instant("delivered_at"),
    _instant("opened_at"),
    _instant("clicked_at"),
)
consents = Table(
    "consents",
    metadata,
    Column("app", Text),
    Column("id", BigInteger),
    Column("user_id", BigInteger),
    Column("channel", Text),
    Column("topic", Text),
    Column("state", Text),
)
listed_people = Table(
    "listed_people",
    metadata,
    Column("app", Text),
    Column("segment", Text),
    Column("user_id", BigInteger),
)
due_dates = Table(
    "due_dates",
    metadata,
    Column("app", Text),
    Column("journey", Text),
    Column("user_id", BigInteger),
    _instant("due_at"),
)
schedule_people = Table(
    "schedule_people",
    metadata,
    Column("app", Text),
    Column("run", BigInteger),
    Column("user_id", BigInteger),
)
segment_members = Table(
    "segment_members",
    metadata,
    Column("app", Text),
    Column("segment", Text),
    Column("user_id", BigInteger),
    _instant("since"),
)
segment_due = Table(
    "segment_due",
    metadata,
    Column("app", Text),
    Column("segment", Text),
    Column("user_id", BigInteger),
    _instant("due_at"),
)
