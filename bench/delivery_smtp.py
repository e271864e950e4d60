"""Messages a second through the whole delivery path to a local SMTP server, beside the same SMTP client in a bare loop (draining.py)."""

from bench import draining
from channels.base import Adapter
from channels.email.connection import SmtpServer
from channels.email.smtp import Smtp


def _adapter(port: int) -> Adapter:
    return Smtp(SmtpServer("127.0.0.1", port, tls="none", connections=20))


def main() -> None:
    draining.run("delivery-smtp", "smtp", _adapter)


if __name__ == "__main__":
    main()
