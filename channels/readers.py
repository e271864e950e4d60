"""Who reads what a provider calls us with: one line per provider of a channel. What is not in this table does not call us."""

from channels.email import mailgun_events, postmark_events, resend_events, sendgrid_events, ses_events
from channels.inbound import Reader
from channels.sms import aws_events, sinch_events, twilio_events, vonage_events
from channels.whatsapp import meta_events

READERS: dict[tuple[str, str], Reader] = {
    ("email", "mailgun"): mailgun_events.read,
    ("email", "postmark"): postmark_events.read,
    ("email", "resend"): resend_events.read,
    ("email", "sendgrid"): sendgrid_events.read,
    ("email", "ses"): ses_events.read,
    ("sms", "aws"): aws_events.read,
    ("sms", "sinch"): sinch_events.read,
    ("sms", "twilio"): twilio_events.read,
    ("sms", "vonage"): vonage_events.read,
    ("voice", "aws"): aws_events.read,
    ("voice", "twilio"): twilio_events.read,
    ("whatsapp", "meta"): meta_events.read,
    ("whatsapp", "twilio"): twilio_events.read,
}
