"""What stands before the page: nothing is asked of other hosts, and nothing of them is answered."""

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; base-uri 'self';"
    " form-action 'self'; object-src 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """Refuses what no page of the studio asks for, and tells browsers to ask nothing of others.

    Args:
        app: The page's.
        hosts: Names that it may be asked under, so that no other site's name can be made to lead to it; None for any.
    """

    def __init__(self, app: App, hosts: Collection[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._is_refused(scope):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"this is not served here\n"})
        else:
            await self._app(scope, receive, _with_headers(send))

    def _is_refused(self, scope: Scope) -> bool:
        asked = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        host = asked.rpartition(":")[0] if asked.rpartition(":")[2].isdigit() else asked
        if self._hosts is not None and host.strip("[]").lower() not in self._hosts:
            return True
        # Gradio fetches addresses for its pages, which none of ours needs.
        path = unquote(scope["path"])
        return "/proxy=" in path or any(f"file={kind}" in path.lower() for kind in ("http:", "https:"))


def _with_headers(send: Send) -> Send:
    async def told(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message["headers"]}
            more = [(name.encode(), value.encode()) for name, value in _HEADERS.items() if name.encode() not in names]
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return told
