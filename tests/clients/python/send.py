"""Sends one of each call with the unmodified library: python send.py <host> <write key> <user id> [gzip]."""

import sys
from datetime import UTC, datetime

from segment.analytics.client import Client


def main(host: str, write_key: str, user_id: str, *options: str) -> None:
    problems: list[object] = []
    client = Client(write_key, host=host, on_error=lambda error, _items: problems.append(error), max_retries=0, gzip="gzip" in options)
    device = f"{user_id}-device"
    client.track(anonymous_id=device, event="product_viewed", properties={"sku": "a-1"})
    client.identify(user_id, {"email": f"{user_id}@example.com", "plan": "gold"}, anonymous_id=device)
    client.page(user_id, name="Home", properties={"path": "/"})
    client.group(user_id, "makers", {"size": 3})
    client.alias(f"{user_id}-before", user_id)
    client.track(user_id, "signed_up", timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    client.shutdown()
    if problems:
        sys.exit(f"{problems}")


main(*sys.argv[1:])
