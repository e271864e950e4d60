"""Messages a second through the whole delivery path to a local HTTP provider, beside a bare httpx loop that posts as many bytes.

The loop has ten requests at once, at which httpx is fastest here: its pool costs more the more requests share it.
"""

import asyncio
import time

import httpx

from bench import draining
from channels.base import Adapter
from channels.email.resend import Resend, ResendAccount

AT_ONCE = 10
BODY = b"x" * 6_500


def _adapter(port: int) -> Adapter:
    return Resend(ResendAccount(api_key="re_bench", base_url=f"http://127.0.0.1:{port}"))


async def _bare(port: int, messages: int) -> draining.Measured:
    numbers = iter(range(messages))
    async with httpx.AsyncClient(trust_env=False) as client:

        async def post() -> None:
            for _ in numbers:
                (await client.post(f"http://127.0.0.1:{port}/emails", content=BODY)).raise_for_status()

        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(post() for _ in range(AT_ONCE)))
        return messages / (time.perf_counter() - began), (time.process_time() - cpu) / messages * 1e6


def main() -> None:
    draining.run("delivery-http", "http", _adapter, _bare)


if __name__ == "__main__":
    main()
