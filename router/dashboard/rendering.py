"""Templates into pages: one jinja2 environment, what every page knows, and the headers that keep a page honest."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from router import __version__
from router.dashboard.assets import own_files, plotly_path
from router.dashboard.format import FILTERS

if TYPE_CHECKING:
    from router.gateway import Gateway

_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""The digest of nothing. plotly adds one empty `<style>` and fills it through CSSOM, which a policy does not govern:
allowing an empty element is all it needs (tried in Chromium 156 with plotly.js 4.1.1)."""

_MAP_STYLE = "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
"""The digest of the style sheet of plotly's map traces, which it adds as it loads, though no page draws maps. Another
release of plotly may have another; refused it does no harm but a line in the console. Nothing else inline is allowed,
neither script nor style."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {_EMPTY_STYLE} {_MAP_STYLE}",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

PAGE_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # Not `no-referrer`: under that browsers send `Origin: null` with forms, and the check of it would refuse them.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}

DEMO_POLICY = "demo"
"""The policy of this name speaks to stand-in models; pages say so."""


def gateway_of(request: Request) -> Gateway:
    """The gateway whose pages these are."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of ours: the template with its values and what every page knows, under strict headers."""
    gateway = gateway_of(request)
    policy = gateway.policy.current.label
    html = (
        _templates()
        .get_template(template)
        .render(
            path=request.url.path,
            policy=policy,
            simulated=policy.partition("@")[0] == DEMO_POLICY,
            needs_key=not gateway.keys.open,
            base_url=str(request.base_url).rstrip("/"),
            route=next(iter(gateway.policy.current.routes), "auto"),
            policy_error=gateway.policy.error,
            policy_notes=gateway.policy.notes,
            shadow_file=gateway.policy.current.shadow,
            dropped=gateway.recorder.dropped,
            drift=getattr(request.state, "drift", None),
            signed_in=gateway.door.asks_for_key,
            version=__version__,
            **values,
        )
    )
    return HTMLResponse(html, status, headers=PAGE_HEADERS)


@functools.cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("router.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(own=own_files(), plotly_script=plotly_path())
    return environment
