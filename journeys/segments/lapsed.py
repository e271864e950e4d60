"""Who used to order and has not for three months: whom win-back asks back."""

from journeys.language import Segment, days, did_not, trait

segment = Segment("lapsed", (trait("lifetime_value") > 0) & did_not("order_placed", last=days(90)))
