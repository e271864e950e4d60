"""Content from templates: bounded in time, memory and size, whatever the template says."""

from collections.abc import Mapping
from typing import Any

from channels.base import Content
from journeys.language.errors import SojournError


class RenderFailed(SojournError):
    """The template gives no message for these variables. `code` is the reason that people read in the timeline.

    missing_variable:<name>, template_error, template_too_slow, template_too_large, no_content_for_channel
    """

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Renderer:
    """Renders templates. `close()` ends its child processes.

    Parts of a Content by channel: email {subject, html?, text?, from, reply_to?}, sms, whatsapp and voice {text},
    push {title, body, url?, image?, data?}, in_app {title?, body, url?}, webhook {url, body}.
    """

    async def render(
        self, template_name: str, version: int, files: Mapping[str, str], channel: str, variables: Mapping[str, Any]
    ) -> Content:
        """Fill a template. Roots of `variables`: user, entry, captured, visit, links, app, source.

        `app` holds name, from, reply_to and postal_address: what the template does not say itself.
        Raises RenderFailed; Unavailable when no child process could answer in time (nothing is wrong with the template: try again).
        """
        raise NotImplementedError

    async def close(self) -> None: ...
