"""Tells programs from people among those who fetch pixels and follow links. Pure; in doubt it was a person.

A person behind a proxy is a person: GoogleImageProxy and YahooMailProxy fetch a picture when somebody opens the mail. Apple's Mail Privacy
Protection fetches it whether or not anybody does. What a single request does not tell (several links at once, an open at the moment of
sending) is judged where hits are gathered, in activities/hits.py.
"""

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache

# Words in a user agent, what they are, and where that is said.
USER_AGENTS: tuple[tuple[str, str], ...] = (
    # Outlook's Safe Links and Defender, where they give a name: https://learn.microsoft.com/defender-office-365/safe-links-about
    (r"safelinks|microsoft-urlanalyzer|microsoft office existence discovery|skypeuripreview|bingpreview", "scanner"),
    # Barracuda: https://campus.barracuda.com/product/sentinel/doc/498468311/unwanted-link-clicks
    (r"barracuda", "scanner"),
    # Gateways that name themselves: Mimecast, Proofpoint, Cisco, Trend Micro, Sophos, Symantec, Forcepoint, Fortinet, McAfee
    (r"mimecast|proofpoint|ironport|ciscosecure|trendmicro|trend micro|sophos|symantec|messagelabs|forcepoint|fortimail|mcafee", "scanner"),
    # Previews that chats and networks make of a pasted link: https://developers.facebook.com/docs/sharing/webmasters/web-crawlers
    (r"facebookexternalhit|slackbot|twitterbot|linkedinbot|telegrambot|discordbot|whatsapp/|pinterest/|redditbot|applebot", "preview"),
    # What Gmail fetches before it shows a mail; its proxy comes again when somebody opens it: https://bird.com/blog/gmail-prefetching-images
    (r"chrome/42\.0\.2311\.135 safari/537\.36 edge/12\.246 mozilla/5\.0$", "prefetch"),
    # Whatever calls itself so; a Cubot is a telephone: https://www.cubot.net
    (r"(?<!cu)bot\b|crawl|spider|scanner|monitoring|headlesschrome|phantomjs|linkcheck|urlcheck", "bot"),
    # HTTP libraries: the names that they send unless told otherwise
    (
        r"^(?:curl|wget|python[\w-]*|aiohttp|go-http-client|java|okhttp|apache-httpclient|libwww-perl|ruby|node|axios|php|postman)\b",
        "bot",
    ),
)
# Apple's proxies send no more than this: https://help.socketlabs.com/docs/identifying-apple-mpp-opens-in-notification-api-events
_BARE = frozenset({"mozilla/5.0"})
# Where scanners come from that name themselves as browsers.
NETWORKS: tuple[tuple[str, str], ...] = (
    # Exchange Online Protection: https://learn.microsoft.com/microsoft-365/enterprise/urls-and-ip-address-ranges (id 10)
    ("40.92.0.0/15", "scanner"),
    ("40.107.0.0/16", "scanner"),
    ("52.100.0.0/14", "scanner"),
    ("104.47.0.0/17", "scanner"),
    ("2a01:111:f400::/48", "scanner"),
    ("2a01:111:f403::/48", "scanner"),
    # Barracuda Email Gateway Defense: https://campus.barracuda.com/product/emailgatewaydefense/doc/96023004/ip-analysis-inbound/
    ("64.235.144.0/20", "scanner"),
    ("209.222.80.0/21", "scanner"),
    # Proofpoint: https://proofpoint.my.site.com/support/PPSup_SupportInfo
    ("67.231.144.0/20", "scanner"),
    # Mimecast, North America: its page "Mimecast Data Centers and URLs"
    ("205.139.110.0/23", "scanner"),
    ("207.211.30.0/23", "scanner"),
)
_AGENTS = tuple((re.compile(words, re.IGNORECASE), why) for words, why in USER_AGENTS)
_RANGES = tuple((ipaddress.ip_network(network), why) for network, why in NETWORKS)
# Browsers that fetch ahead say so: https://fetch.spec.whatwg.org/#sec-purpose-header, and under older names.
_PURPOSES = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_MOST_CHARACTERS = 512


def machine(headers: Mapping[str, str], address: str | None) -> str:
    """Why this request was made by no person: prefetch, apple_mpp, scanner, preview, bot or no_agent; empty where it may have been one."""
    if any("prefetch" in headers.get(name, "").lower() or "preview" in headers.get(name, "").lower() for name in _PURPOSES):
        return "prefetch"
    agent = headers.get("user-agent", "").strip()
    return _of_agent(agent[:_MOST_CHARACTERS]) or (_of_address(address) if address else "")


def is_program(agent: str, address: str) -> bool:
    """Tell whether an open or a click of which a provider tells was a program's. What the provider leaves out says nothing."""
    named = agent.strip()[:_MOST_CHARACTERS]
    return bool((named and _of_agent(named)) or (address and _of_address(address)))


@lru_cache(maxsize=4096)
def _of_agent(agent: str) -> str:
    if not agent:
        return "no_agent"
    if agent.lower() in _BARE:
        return "apple_mpp"
    return next((why for words, why in _AGENTS if words.search(agent)), "")


@lru_cache(maxsize=16_384)
def _of_address(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return next((why for network, why in _RANGES if mapped.version == network.version and mapped in network), "")
