"""The registered functions of this house, by the name that a Call uses. These three are demonstrations: they change nothing anywhere."""

from collections.abc import Mapping

from activities.functions.call import Function
from activities.functions.charge_card import charge_card
from activities.functions.open_support_ticket import open_support_ticket
from activities.functions.suspend_subscription import suspend_subscription

FUNCTIONS: Mapping[str, Function] = {
    "charge_card": charge_card,
    "open_support_ticket": open_support_ticket,
    "suspend_subscription": suspend_subscription,
}
