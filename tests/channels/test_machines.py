"""Programs that give themselves away are told from people; in doubt it was a person."""

import pytest

from channels.machines import machine

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
GMAIL_AHEAD = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246"
    " Mozilla/5.0"
)

CASES = [
    (IPHONE, "203.0.113.7", ""),
    (CHROME, "203.0.113.7", ""),
    # proxies that fetch when a person opens
    ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "66.249.84.1", ""),
    ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "203.0.113.7", ""),
    ("Mozilla/5.0 (Linux; Android 12; CUBOT KINGKONG 7) AppleWebKit/537.36", "203.0.113.7", ""),  # a telephone
    ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17726; Pro)", "203.0.113.7", ""),  # Outlook shows the picture
    ("Mozilla/5.0", "17.58.1.1", "apple_mpp"),
    (GMAIL_AHEAD, "66.249.84.1", "prefetch"),
    (GMAIL_AHEAD.removesuffix(" Mozilla/5.0"), "203.0.113.7", ""),  # the first Edge of Windows 10
    ("", "203.0.113.7", "no_agent"),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "66.249.66.1", "bot"),
    ("python-requests/2.32", "203.0.113.7", "bot"),
    ("Go-http-client/2.0", "203.0.113.7", "bot"),
    ("curl/8.5.0", "203.0.113.7", "bot"),
    ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/126.0", "203.0.113.7", "bot"),
    ("Mozilla/5.0 Barracuda Sentinel (EE)", "203.0.113.7", "scanner"),
    ("Mozilla/5.0 (compatible; Mimecast URL Protection)", "203.0.113.7", "scanner"),
    ("Mozilla/5.0 SkypeUriPreview Preview/0.5", "203.0.113.7", "scanner"),
    ("WhatsApp/2.23.20.0 A", "203.0.113.7", "preview"),
    ("facebookexternalhit/1.1", "203.0.113.7", "preview"),
    (CHROME, "40.94.1.1", ""),  # Microsoft's, but none of the ranges of mail
    (CHROME, "104.47.13.36", "scanner"),
    (CHROME, "::ffff:104.47.13.36", "scanner"),
    (CHROME, "2a01:111:f400:7c00::1", "scanner"),
    (CHROME, "209.222.82.9", "scanner"),
    (CHROME, "67.231.154.1", "scanner"),
    (CHROME, "unknown", ""),
    (CHROME, None, ""),
]


@pytest.mark.parametrize(("agent", "address", "why"), CASES)
def test_programs_are_told_from_people(agent: str, address: str | None, why: str) -> None:
    assert machine({"user-agent": agent}, address) == why


@pytest.mark.parametrize(
    "headers", [{"purpose": "prefetch"}, {"sec-purpose": "prefetch;prerender"}, {"x-purpose": "preview"}, {"x-moz": "Prefetch"}]
)
def test_what_a_browser_fetches_ahead_is_no_person(headers: dict[str, str]) -> None:
    assert machine({"user-agent": CHROME, **headers}, "203.0.113.7") == "prefetch"
