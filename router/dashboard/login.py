"""Signing in with the admin key in a browser, and out again. What a key or a session is worth, `router.access` says."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from router.access.admin import COOKIE, SESSION_SECONDS
from router.dashboard.rendering import gateway_of, page

routes = APIRouter(include_in_schema=False)

HOME = "/dashboard"
LONGEST_FORM = 8 * 1024


@routes.get("/login")
async def ask_for_key(request: Request, next: str = HOME) -> Response:
    """The form; where no key is set there is nothing to ask for."""
    if not gateway_of(request).door.asks_for_key:
        return RedirectResponse(HOME, 303)
    return page(request, "login.html", next=own_path(next), problem=None)


@routes.post("/login")
async def check_key(request: Request) -> Response:
    """Opens a session for the right key, then goes where the visitor wanted to."""
    if not is_from_here(request):
        return _form(request, HOME, "This form was sent from another site. Please sign in here.", 403)
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdecimal() and len(length) < 10 and int(length) <= LONGEST_FORM):
        return _form(request, HOME, "This form is too large.", 413)
    async with request.form(max_files=0, max_fields=4) as form:
        key, wanted = str(form.get("key", "")).strip(), own_path(str(form.get("next", HOME)))
    door = gateway_of(request).door
    if (refusal := await door.try_key(key, request.client.host if request.client else "")) is not None:
        return _form(request, wanted, refusal.message, refusal.status)
    response = RedirectResponse(wanted, 303, headers={"cache-control": "no-store"})
    response.set_cookie(
        COOKIE,
        door.new_session(),
        max_age=SESSION_SECONDS,
        path="/",
        secure=_came_encrypted(request),
        httponly=True,
        samesite="strict",
    )
    return response


@routes.post("/logout")
async def leave(request: Request) -> Response:
    """Forgets the session's cookie."""
    response = RedirectResponse("/login", 303, headers={"cache-control": "no-store"})
    if is_from_here(request):
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def is_from_here(request: Request) -> bool:
    """Was this form sent by a page of ours? Browsers say so with every POST; what says nothing is no browser."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


def _came_encrypted(request: Request) -> bool:
    """By TLS here, or at a proxy in front. That header is not proof; but who lies in it only harms their own cookie."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").strip().lower())


def own_path(wanted: str) -> str:
    """Where to go after signing in: only to pages of ours, whatever the address said."""
    pages = (HOME, "/docs")
    if any(wanted == own or wanted.startswith((own + "/", own + "?")) for own in pages) and "\\" not in wanted:
        return wanted
    return HOME


def _form(request: Request, wanted: str, problem: str, status: int) -> Response:
    return page(request, "login.html", status=status, next=wanted, problem=problem)
