"""What every answer of the page carries: nothing is loaded from elsewhere, nothing inline runs, nothing is kept."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

POLICY = (
    "default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
DOCS_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Of pages that another library made: they may look as they like, and run and load nothing."""
HEADERS = {
    "content-security-policy": POLICY.format(styles="'self'"),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "private, no-store",
}
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Any, Send], Awaitable[None]]


class Guard:
    """Puts :data:`HEADERS` on every answer, refusals too, unless the answer brings its own."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message.get("headers", [])}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in own]
                message["headers"] = [*message.get("headers", []), *more]
            await send(message)

        await self.app(scope, receive, guarded)


def policy_for(page: str) -> str:
    """Return the policy of a stored page that needs nothing but itself: its own styles by their digests, no script.

    >>> policy_for("<style>a</style>")[:60]
    "default-src 'none'; script-src 'none'; style-src 'sha256-ypeBE"
    """
    styles = [hashlib.sha256(style.encode()).digest() for style in re.findall(r"<style>(.*?)</style>", page, re.DOTALL)]
    allowed = " ".join(f"'sha256-{base64.b64encode(style).decode()}'" for style in styles) or "'none'"
    return POLICY.format(styles=allowed).replace("script-src 'self'", "script-src 'none'")
