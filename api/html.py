"""Pages for people: rendered on the server, every value escaped, no script, and a policy that would not run one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader

PAGES = Path(__file__).parent / "pages"
POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
# What stands in an address or a page here is between us and the reader: not for other sites, caches or search engines.
PRIVATE = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

router = APIRouter()
_pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
# Descriptions are Markdown for other readers of /openapi.json; here their marks would only stand about.
_pages.filters["capfirst"] = lambda text: text[:1].upper() + text[1:]
_pages.filters["plain"] = lambda text: text.replace("**", "").replace("`", "")


def page(name: str, values: Mapping[str, Any], *, status: int = 200, policy: str = POLICY) -> HTMLResponse:
    """Render a page of api/pages."""
    return HTMLResponse(_pages.get_template(name).render(values), status, {**PRIVATE, "Content-Security-Policy": policy})


def document(html: str, policy: str) -> HTMLResponse:
    """Show somebody else's HTML under a policy of its own."""
    return HTMLResponse(html, headers={**PRIVATE, "Content-Security-Policy": policy})


@router.get("/pages.css", include_in_schema=False)
async def style() -> FileResponse:
    """The style of every page."""
    return FileResponse(PAGES / "pages.css", media_type="text/css", headers={"Cache-Control": "max-age=3600"})
