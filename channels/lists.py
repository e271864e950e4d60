"""Lists that providers keep of addresses for which they take nothing. Nobody is taken off from here; this says how it is done there."""

from collections.abc import Mapping

_TAKEN_OFF: Mapping[str, str] = {
    "aws": "take the number off its opt-out list in AWS End User Messaging (DeleteOptedOutNumber, once in 30 days)",
    "mailgun": "delete the address from the suppressions of the domain at Mailgun (bounces, complaints, unsubscribes)",
    "postmark": "reactivate the address under Suppressions of each message stream at Postmark; after a spam complaint ask its support",
    "resend": "remove the address from the suppression list of Resend",
    "sendgrid": "delete the address under Suppressions of SendGrid (bounces, blocks, spam reports, invalid emails)",
    "ses": "take the address off the suppression list of the account at Amazon SES (DeleteSuppressedDestination)",
    "twilio": "its owner must write START to your Twilio number or messaging service: nobody else can end a STOP there",
}


def taken_off(provider: str) -> str:
    """What must be done there before messages to the address are taken again."""
    return _TAKEN_OFF.get(provider, "take the address off the list of the provider that is named as the source")
