"""Finds keys, tokens and passwords in text: by the prefixes that issuers give them, and by the words people put before.

One part of `router.privacy`, apart because the list of issuers has its own reasons to change.
"""

from __future__ import annotations

import re
from typing import Final

_ISSUED: Final = {
    # A sign that the text must hold at all: (what else it must hold, the pattern), ...
    # Each pattern starts at a word border and has bounded repeats.
    "-": (
        ("sk-", r"sk-(?:[a-z]{2,8}-){0,2}(?:(?=[A-Za-z_-]{0,60}\d)[A-Za-z0-9_-]{16,250}|[A-Za-z0-9]{20,250})"),
        ("glpat-", r"glpat-[A-Za-z0-9_-]{20,64}"),
        ("xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
        ("xai-", r"xai-[A-Za-z0-9]{40,128}"),
        ("pypi-", r"pypi-AgE[A-Za-z0-9_-]{40,250}"),
        ("AGE-SECRET", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
        ("sb-", r"sb-[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
    ),
    "_": (
        ("gh", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
        ("github_pat_", r"github_pat_[A-Za-z0-9_]{22,255}"),
        ("_live_", r"[rsp]k_live_[A-Za-z0-9]{16,128}"),
        ("_test_", r"[rs]k_test_[A-Za-z0-9]{16,128}"),
        ("hf_", r"hf_[A-Za-z0-9]{30,64}"),
        ("gsk_", r"gsk_[A-Za-z0-9]{40,64}"),
        ("npm_", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
        ("shp", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
        ("dop_v1_", r"dop_v1_[a-f0-9]{64}"),
    ),
    "A": (
        ("AKIA", r"AKIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("ASIA", r"ASIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("AIza", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ),
    ".": (
        ("eyJ", r"eyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{8,4000}"),
        ("ya29.", r"ya29\.[A-Za-z0-9_-]{20,250}"),
        ("SG.", r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}"),
    ),
}
_ISSUED_PATTERNS: Final = {
    sign: tuple((needle, re.compile(r"(?<![\w-])" + pattern)) for needle, pattern in patterns)
    for sign, patterns in _ISSUED.items()
}

_PRIVATE_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_URL_PASSWORD: Final = re.compile(r"://[^\s/:@]{1,64}:([^\s/:@]{3,128})@[\w.-]")
_BEARER: Final = re.compile(r"\b(?:bearer|basic)\s{1,3}(?=[a-z._~+/-]{0,80}\d)[a-z0-9._~+/-]{16,2000}={0,2}")

_WORDS: Final = (
    # (a gate, words for a password, words for what else may be a secret), all lower case
    ("pass", ("password", "passwort", "passwd", "passphrase", "mot de passe"), ()),
    ("pwd", ("pwd",), ()),
    ("senha", ("senha",), ()),
    ("secret", (), ("secret",)),
    ("token", (), ("token",)),
    ("key", (), ("api_key", "api-key", "api key", "apikey", "access_key", "access key")),
)
_FOREIGN_WORDS: Final = (
    ("contraseña", ("contraseña",), ()),
    ("пароль", ("пароль",), ()),
    ("密码", ("密码",), ()),
    ("パスワード", ("パスワード",), ()),
    ("비밀번호", ("비밀번호",), ()),
    ("كلمة", ("كلمة المرور",), ()),
    ("पासवर्ड", ("पासवर्ड",), ()),
)
_ASSIGNED: Final = re.compile(
    r"[a-z0-9_-]{0,24}(?: key| access key)?[\"'`*]{0,2}\s{0,3}"
    r"(?::=|=>|[:=：＝]|\bis\b|は|是|हैं|है)\s{0,3}"
    r"(?P<quote>[\"'`]?)(?P<value>[^\s\"'`,;]{4,256})(?P<end>[\"'`]?)"
)
"""What follows a telling word, in lower case: the rest of the name, a sign of assignment, a value."""

_PLACEHOLDERS: Final = re.compile(
    r"(?:your|my|the|some|example|placeholder|changeme|change_me|redacted|hidden|password|secret|token|none|null|true|false"
    r"|required|optional|string|undefined|test|todo|xxx|\*{3}|\.{3}|os\.|process\.|env|self\.|settings|config|getpass|input)"
)


_SHORTEST_ISSUED: Final = 15
"""Characters of the shortest key that an issuer's pattern takes; there is no white space in any of them."""
_MARKED: Final = bytes(ord(" ") if chr(code).isspace() else ord("x") for code in range(256))
_LONG_WORD: Final = b"x" * _SHORTEST_ISSUED


def holds_secret(text: str, *, has_digits: bool = True) -> bool:
    """Whether a key, a token, a private key or a password stands in the text. Never says which or where.

    has_digits: False where the text is known to hold none, as no bearer token does.
    """
    if words := _long_words(text):
        for sign, patterns in _ISSUED_PATTERNS.items():
            if sign in words and any(needle in words and pattern.search(words) for needle, pattern in patterns):
                return True
    if "PRIVATE KEY" in text and _PRIVATE_KEY.search(text):
        return True
    if "://" in text and "@" in text and _has_url_password(text):
        return True
    lowered = text.lower()
    if has_digits and ("bearer " in lowered or "basic " in lowered) and _BEARER.search(lowered):
        return True
    for gate, strong, others in _WORDS if text.isascii() else (*_WORDS, *_FOREIGN_WORDS):
        if gate in lowered and (
            any(_is_assigned(lowered, word, weak=False) for word in strong)
            or any(_is_assigned(lowered, word, weak=True) for word in others)
        ):
            return True
    return False


def _long_words(text: str) -> str:
    """The words that are long enough for an issued key: searching those for twenty prefixes is quick."""
    marks = text.encode("ascii", "replace").translate(_MARKED)
    at = marks.find(_LONG_WORD)
    words = []
    while at != -1:
        end = marks.find(b" ", at)
        if end == -1:
            end = len(text)
        words.append(text[at:end])
        at = marks.find(_LONG_WORD, end)
    return " ".join(words)


def _is_assigned(lowered: str, word: str, *, weak: bool) -> bool:
    """Whether a secret is assigned to the word somewhere. Looks only behind the word, so that prose costs little."""
    at = lowered.find(word)
    while at != -1:
        match = _ASSIGNED.match(lowered, at + len(word))
        if match and _is_secret(match, weak=weak):
            return True
        at = lowered.find(word, at + len(word))
    return False


def _has_url_password(text: str) -> bool:
    return any(not _is_placeholder(match[1].lower()) for match in _URL_PASSWORD.finditer(text))


def _is_secret(match: re.Match[str], *, weak: bool) -> bool:
    """Whether what is assigned looks like a secret and not like code, a type or a stand-in.

    A password in quotes counts from four characters on; else letters and digits (or signs) must be mixed. A "token" or
    "key" must be longer, since much else is called so.
    """
    value = match["value"].rstrip(".!?)")
    if len(value) < (12 if weak else 4) or _is_placeholder(value):
        return False
    if weak and "." in value:
        return False
    has_letter = any(char.isalpha() for char in value)
    has_digit = any(char.isdigit() for char in value)
    has_sign = any(char in "!@#%^&*+~?" for char in value)
    quoted = bool(match["quote"]) and match["quote"] == match["end"]
    if weak:
        return has_letter and has_digit
    return (has_letter and (has_digit or has_sign)) or (quoted and has_letter) or (has_digit and len(value) >= 6)


def _is_placeholder(value: str) -> bool:
    return bool(_PLACEHOLDERS.match(value)) or any(char in value for char in "(){}[]<>$")
