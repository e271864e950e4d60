"""A mail as fields, for providers that build the message themselves; checked as strictly as the mail that we build (mime.py)."""

from dataclasses import dataclass

from channels.base import Outgoing, Rejected
from channels.email import headers
from channels.email.attachments import Attachment, attachments_of
from channels.email.labels import Pairs, headers_of, tags_of

_URL_LIMIT = 900


@dataclass(frozen=True)
class Letter:
    """Addresses are bare and their domains ASCII, mailboxes are one line; `extra` are the headers beside the usual ones, in their order.

    `own_id` is the Message-ID that we would give it.
    """

    own_id: str
    sender: str
    sender_name: str
    recipient: str
    reply_to: str | None
    reply_to_name: str
    subject: str
    text: str | None
    html: str | None
    extra: Pairs
    attachments: tuple[Attachment, ...] = ()
    tags: Pairs = ()

    @property
    def sender_mailbox(self) -> str:
        return headers.in_one_line(self.sender_name, self.sender)

    @property
    def reply_to_mailbox(self) -> str | None:
        return headers.in_one_line(self.reply_to_name, self.reply_to) if self.reply_to else None


def letter(outgoing: Outgoing) -> Letter:
    """Read the parts of a mail. Raises Rejected for text that may not stand in a header or an address that is none."""
    parts = outgoing.content.parts
    mailbox = headers.safe_text(str(parts["from"]))
    sender = headers.bare_address(mailbox)
    reply_to = headers.safe_text(str(parts.get("reply_to") or ""))
    return Letter(
        own_id=f"<{outgoing.message_id}@{sender.rpartition('@')[2]}>",
        sender=sender,
        sender_name=headers.display_name(mailbox),
        recipient=headers.address(outgoing.address),
        reply_to=headers.bare_address(reply_to) if reply_to else None,
        reply_to_name=headers.display_name(reply_to),
        subject=headers.safe_text(str(parts["subject"])),
        text=parts.get("text"),
        html=parts.get("html"),
        extra=(
            *leaving(outgoing.unsubscribe_url),
            *standing(outgoing.app, outgoing.topic or "", outgoing.message_class, sender.rpartition("@")[2]),
            *headers_of(parts),
        ),
        attachments=attachments_of(parts),
        tags=tags_of(parts),
    )


def standing(app: str, topic: str, message_class: str, domain: str) -> Pairs:
    """What every mail of a topic says. List headers only for marketing (RFC 2919; Precedence keeps out-of-office answers away)."""
    feedback = ("Feedback-ID", f"{_token(topic or 'none')}:{message_class}:{_token(app)}:sojourn")
    if message_class != "marketing":
        return (feedback,)
    return (("List-Id", f"<{_token(topic or 'general')}.{_token(app)}.{domain}>"), ("Precedence", "bulk"), feedback)


def leaving(url: str | None) -> Pairs:
    """RFC 8058: the https address alone names person and topic, and a POST to it acts at once. Raises Rejected for a bad address."""
    if not url:
        return ()
    if not url.isascii() or any(character in url for character in "<> \t,") or len(url) > _URL_LIMIT:
        raise Rejected("the unsubscribe address cannot stand in a header")
    return (("List-Unsubscribe", f"<{headers.safe_text(url)}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))


def _token(text: str) -> str:
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in text)[:63]
