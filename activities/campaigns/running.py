"""A run as lanes need it: the campaign that it sends, and what holds for its app at this moment."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from activities.direct_claims import Limits
from journeys.language.campaigns import REST, Campaign
from journeys.language.messages import Message
from storage.campaign_plans import CHUNK
from storage.campaign_runs import Run

_CAMPAIGNS = TypeAdapter(Campaign)


@dataclass(frozen=True)
class Running:
    """A run and its campaign, as it was when the run began. `winner`: the version that those get who waited for it."""

    run: Run
    campaign: Campaign
    winner: str | None = None

    @classmethod
    def of(cls, run: Run, winner: str | None = None) -> "Running":
        return cls(run, _CAMPAIGNS.validate_json(run.definition), winner)

    @property
    def over_at(self) -> datetime | None:
        """What has not left by then is skipped."""
        return self.run.planned_at + self.campaign.lasts.timedelta if self.run.planned_at else None

    @property
    def chunk(self) -> int:
        """How many messages are taken together: what may leave in a second where that is bounded, and no more than CHUNK."""
        per_second = self.campaign.per_second
        return CHUNK if per_second is None else max(1, min(CHUNK, round(per_second)))

    def message_of(self, step: str) -> Message | None:
        """What a version sends; None: whoever waits for a winner gets nothing yet."""
        name = self.winner if step == REST else step
        return self.campaign.messages[name] if name is not None else None

    def local_at_of(self, step: str) -> datetime | None:
        """What everybody's own clock shows when this version is sent to them; None: their clocks do not count. The rest has no delay."""
        if self.campaign.local_at is None:
            return None
        return datetime.fromisoformat(self.campaign.local_at) + self.campaign.delays.get(step, timedelta())

    @property
    def limits(self) -> Limits:
        campaign = self.campaign
        caps = tuple(campaign.caps) if campaign.caps is not None else None
        return Limits(campaign.quiet_hours, campaign.send_window, caps, campaign.lasts.timedelta)
