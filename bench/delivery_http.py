"""Messages a second through the whole delivery path to a local HTTP provider, beside the same requests in a bare loop (draining.py)."""

from bench import draining
from channels.base import Adapter
from channels.email.resend import Resend, ResendAccount


def _adapter(port: int) -> Adapter:
    return Resend(ResendAccount(api_key="re_bench", base_url=f"http://127.0.0.1:{port}"))


def main() -> None:
    draining.run("delivery-http", "http", _adapter)


if __name__ == "__main__":
    main()
