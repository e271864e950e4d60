"""Topics: what people can subscribe to, as the preference centre shows them."""

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.strict import App, Body, Db, Word, management
from storage import topics
from storage.topics import Topic

router = management("Consents")
ChannelName = Literal["email", "sms", "whatsapp", "voice", "push", "in_app", "webhook"]
TopicName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
MOST = 100


class TopicView(Body):
    """One topic. Its name is what journeys write; title and description are for people."""

    name: TopicName = Field(examples=["spring_offers"])
    title: Word = Field(examples=["Spring offers"])
    description: str = Field("", max_length=500, examples=["Once a week, what is new and what is cheaper."])
    channels: list[ChannelName] = Field(["email"], min_length=1, description="on which it is sent", examples=[["email", "sms"]])
    needs_consent: bool = Field(False, description="nothing is sent of it before a yes, by email, push and in-app too")
    double_opt_in: list[ChannelName] = Field([], description="on these a yes counts once it was confirmed from the address itself")
    is_required: bool = Field(False, description="named on the page without an offer to leave: for messages about what they do with you")

    @model_validator(mode="after")
    def _confirms_only_what_it_sends(self) -> Self:
        if not set(self.double_opt_in) <= set(self.channels):
            raise PydanticCustomError("not_a_channel_of_the_topic", "double_opt_in names channels of the topic")
        return self


class TopicList(Body):
    """All topics, in the order of the page."""

    topics: list[TopicView] = Field(max_length=MOST)

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if any(times > 1 for times in Counter(topic.name for topic in self.topics).values()):
            raise PydanticCustomError("named_twice", "each name stands once")
        return self


class Topics(BaseModel):
    """All topics, in the order of the page. The default topic is always there."""

    items: list[TopicView]


@router.get("/topics", summary="List topics")
async def list_topics(app: App, database: Db) -> Topics:
    """In the order in which people see them. The app's default topic, `general` unless it was changed, is there without being made."""
    async with database.transaction(app) as connection:
        return Topics(items=[_view(topic) for topic in await topics.of_app(connection, app)])


@router.put("/topics", summary="Say which topics there are")
async def put_topics(app: App, database: Db, body: TopicList) -> Topics:
    """Replaces them all. A topic that is left out is no longer offered; what people said of it holds, and journeys may still name it."""
    async with database.transaction(app) as connection:
        await topics.declare(connection, app, [_topic(each) for each in body.topics])
        return Topics(items=[_view(topic) for topic in await topics.of_app(connection, app)])


def _view(topic: Topic) -> TopicView:
    return TopicView.model_validate({**vars(topic), "channels": list(topic.channels), "double_opt_in": list(topic.double_opt_in)})


def _topic(view: TopicView) -> Topic:
    return Topic(**{**view.model_dump(), "channels": tuple(view.channels), "double_opt_in": tuple(view.double_opt_in)})
