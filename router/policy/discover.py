"""Builds a policy from what is found on this machine: Ollama on localhost, and keys of OpenAI and Anthropic.

It writes text that a person can save, read and change; secrets stay in the environment, as `${NAME}`. It asks only
places that the environment names (and Ollama's usual one), briefly, and never a model.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson

from router.errors import SettingsError
from router.prices import lookup

Probe = Callable[[str, Mapping[str, str]], Any]
"""Fetches JSON from a URL with some headers; None where nothing useful answers."""

PROBE_SECONDS = 0.5

OPENAI_URL = "https://api.openai.com/v1"
_OPENAI = (("gpt-4.1-mini", "gpt-4o-mini", "gpt-5.4-mini"), ("gpt-4.1", "gpt-4o", "gpt-5.4"))
_ANTHROPIC = (("claude-haiku-4-5", "claude-haiku-5-5"), ("claude-sonnet-4-6", "claude-sonnet-5", "claude-opus-5"))
"""Ids of a small and a large model, best first. Those that take every parameter of chat clients (`temperature`,
`max_tokens`) come before newer ones that do not. Ids that the price map does not know, or that retire soon, are
passed by."""

_RETIRES_SOON = timedelta(days=30)
_GUESSED_CONTEXT = ", context: 4096"
_SMALL_ENOUGH = 15.0
"""Billions of parameters: a local model up to this serves as the small one beside a remote large one."""

NOTHING_FOUND = """Nothing was found to build a policy from. Any one of these will do:
  - start Ollama and pull a model:      ollama pull qwen2.5:3b        (looked for at {ollama})
  - or give a key of OpenAI:            export OPENAI_API_KEY=...     (and OPENAI_BASE_URL for a server like it)
  - or give a key of Anthropic:         export ANTHROPIC_API_KEY=...
  - or write a policy and pass it:      signalbox serve --policy policy.yaml
To see it work without any of them:     signalbox demo"""


@dataclass(frozen=True, slots=True)
class Discovered:
    """text: a policy file. found: what it was built from and where, a line each."""

    text: str
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """One model to put into the policy. keys: its lines, in YAML's flow style, without tier."""

    place: str
    tier: str
    model: str
    keys: str
    private: bool = False


def get_json(url: str, headers: Mapping[str, str]) -> Any:
    """The JSON at a URL, within half a second, past any proxy; None for everything that goes wrong."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(url, headers=dict(headers))
        with opener.open(request, timeout=PROBE_SECONDS) as answer:
            return orjson.loads(answer.read(1_000_000))
    except (OSError, ValueError):
        return None


def discover(env: Mapping[str, str], probe: Probe = get_json) -> Discovered:
    """A policy from what is found. Raises SettingsError, saying what to do, where there is nothing."""
    ollama_url = _ollama_url(env)
    openai_url = env.get("OPENAI_BASE_URL") or OPENAI_URL
    local, models, found = _ollama(ollama_url, env, probe), [], []
    if env.get("OPENAI_API_KEY"):
        models += _openai(openai_url, env["OPENAI_API_KEY"], probe)
        found.append(f"OPENAI_API_KEY is set: {_names(models, 'OpenAI')} at {_without_user(openai_url)}")
    if env.get("ANTHROPIC_API_KEY"):
        models += _anthropic()
        found.append(f"ANTHROPIC_API_KEY is set: {_names(models, 'Anthropic')} through litellm")
    if local:
        models = [*_ollama_pair(local, ollama_url, env, has_remote=bool(models)), *models]
        found.insert(0, f"Ollama at {ollama_url}: {_names(models, 'Ollama')} of {len(local)} models")
    if not models:
        raise SettingsError(NOTHING_FOUND.format(ollama=ollama_url))
    return Discovered(_written(models, found), tuple(found))


def _names(models: Iterable[_Found], place: str) -> str:
    return ", ".join(model.model for model in models if model.place == place)


def _without_user(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


# --- Ollama ---------------------------------------------------------------------------------------------------------


def _ollama_url(env: Mapping[str, str]) -> str:
    """Where Ollama listens, as its own `OLLAMA_HOST` says; an address to listen on everywhere is asked on loopback."""
    host = env.get("OLLAMA_HOST") or "127.0.0.1:11434"
    url = urlsplit(host if "://" in host else f"http://{host}")
    name = url.hostname or "127.0.0.1"
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(name, f"[{name}]" if ":" in name else name)  # noqa: S104
    port = url.port or (443 if url.scheme == "https" else 11434)
    return f"{url.scheme if url.scheme in ('http', 'https') else 'http'}://{name}:{port}"


def _ollama(url: str, env: Mapping[str, str], probe: Probe) -> list[tuple[float, str]]:
    """Chat models of Ollama as (billions of parameters, name), smallest first."""
    answer = probe(f"{url}/api/tags", {})
    listed = answer.get("models") if isinstance(answer, dict) else None
    models = []
    for entry in listed if isinstance(listed, list) else ():
        name = entry.get("name") if isinstance(entry, dict) else None
        if (
            isinstance(name, str)
            and re.fullmatch(r"[\w./:-]{1,100}", name)
            and "embed" not in name
            and "bert" not in name
        ):
            details = entry.get("details")
            stated = details.get("parameter_size") if isinstance(details, dict) else None
            models.append((_billions(str(stated or "")) or _billions(name) or 7.0, name))
    return sorted(models)


def _billions(text: str) -> float | None:
    match = re.search(r"(\d+(?:\.\d+)?)\s*([bm])\b", text.lower())
    return None if match is None else float(match[1]) / (1000 if match[2] == "m" else 1)


def _ollama_pair(local: list[tuple[float, str]], url: str, env: Mapping[str, str], *, has_remote: bool) -> list[_Found]:
    """One or two of the local models: beside a remote large one the best that is quick, else the ends of the list."""
    private = re.match(r"https?://(127\.|localhost|\[::1\])", url) is not None
    length = env.get("OLLAMA_CONTEXT_LENGTH", "")
    context = f", context: {int(length)}" if length.isdecimal() and int(length) else ""
    if has_remote:
        quick = [name for billions, name in local if billions <= _SMALL_ENOUGH]
        chosen = [("small", quick[-1] if quick else local[0][1])]
        context = context or _GUESSED_CONTEXT
    elif local[0] == local[-1]:
        chosen = [("small", local[0][1])]
    else:
        chosen = [("small", local[0][1]), ("large", local[-1][1])]
    keys = f'base_url: "{url}/v1"{context}{", private: true" if private else ""}, price: {{input: 0, output: 0}}'
    return [_Found("Ollama", tier, name, f'model: "{name}", {keys}', private) for tier, name in chosen]


# --- providers with keys --------------------------------------------------------------------------------------------


def _openai(url: str, key: str, probe: Probe) -> list[_Found]:
    """OpenAI's models; behind `OPENAI_BASE_URL`, those that the server there lists, where it lists any."""
    small, large = _pick(_OPENAI[0]), _pick(_OPENAI[1])
    if url.rstrip("/") != OPENAI_URL and _is_http(url):
        listed = _listed(probe(f"{url.rstrip('/')}/models", {"authorization": f"Bearer {key}"}))
        if listed and not {small, large} <= set(listed):
            sized = sorted(listed, key=lambda name: (_billions(name) or _dollars(name), name))
            small, large = sized[0], sized[-1]
    keys = f'base_url: "${{OPENAI_BASE_URL:-{OPENAI_URL}}}", api_key: "${{OPENAI_API_KEY}}"'
    pair = [("small", small), ("large", large)] if small != large else [("small", small)]
    return [_Found("OpenAI", tier, name, f'model: "{name}", {keys}') for tier, name in pair]


def _anthropic() -> list[_Found]:
    keys = 'api_key: "${ANTHROPIC_API_KEY}"'
    pair = (("small", _pick(_ANTHROPIC[0])), ("large", _pick(_ANTHROPIC[1])))
    return [
        _Found("Anthropic", tier, name, f'provider: litellm, model: "anthropic/{name}", {keys}') for tier, name in pair
    ]


def _pick(names: tuple[str, ...]) -> str:
    """The first id that the price map knows and that does not retire soon; else the first."""
    horizon = datetime.now(UTC).date() + _RETIRES_SOON
    for name in names:
        facts = lookup(name)
        if facts is not None and facts.price is not None and (facts.retires is None or facts.retires > horizon):
            return name
    return names[0]


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _listed(answer: Any) -> list[str]:
    entries = answer.get("data") if isinstance(answer, dict) else None
    names = [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    usable = (name for name in names if isinstance(name, str) and re.fullmatch(r"[\w./:@-]{1,200}", name))
    return [name for name in usable if not re.search(r"embed|whisper|tts|image|audio|moderation|rerank", name)]


def _dollars(name: str) -> float:
    facts = lookup(name)
    return facts.price.output if facts is not None and facts.price is not None else 7.0


# --- the text -------------------------------------------------------------------------------------------------------


def _written(models: list[_Found], found: list[str]) -> str:
    named = _named(models)
    smalls = [name for name, model in named.items() if model.tier == "small"]
    larges = sorted((name for name, model in named.items() if model.tier == "large"), key=lambda name: name != "large")
    lines = ["# Built from what was found; keys stay in the environment.", *(f"#   - {line}" for line in found)]
    lines += ["version: 1", "models:"]
    if any(_GUESSED_CONTEXT in model.keys for model in models):
        lines.append(
            "  # Ollama cuts off what is longer than its setting OLLAMA_CONTEXT_LENGTH, here taken as its usual 4096."
        )
    lines += [f"  {name}: {{tier: {model.tier}, {model.keys}}}" for name, model in named.items()]
    lines += [f"default: {smalls[0]}", "routes:", "  auto:"]
    private = [name for name, model in named.items() if model.private]
    if not private:
        lines.append("    privacy: observe  # no model here is private: private asks are noted, not kept back")
    if larges:
        lines += [f"    baseline: {larges[0]}", "    rules:"]
        if private:
            lines.append(_rule("private stays local", "size(ask.private) > 0", private[0], private[1:]))
        lines.append(_rule("housekeeping", "ask.housekeeping", smalls[0], [*smalls[1:], *larges]))
        lines.append(_rule("easy", "complexity < 0.35", smalls[0], [*smalls[1:], *larges]))
        among = ", ".join([*smalls, *larges])
        lines.append(f"      - {{name: keep the promise, choose: cheapest, among: [{among}], keep_quality: 0.95}}")
    lines.append("    cache: {exact: {ttl: 1h}}")
    return "\n".join(lines) + "\n"


def _named(models: list[_Found]) -> dict[str, _Found]:
    """The first small one is `small`, the dearest provider's large one `large`; others carry their place's name."""
    large = next((model for model in reversed(models) if model.tier == "large"), None)
    named: dict[str, _Found] = {}
    for model in models:
        first = model is large or (model.tier == "small" and "small" not in named)
        named[model.tier if first else f"{model.place.lower()}-{model.tier}"] = model
    return named


def _rule(name: str, when: str, use: str, fallback: list[str]) -> str:
    return f'      - {{name: {name}, when: "{when}", use: {use}, fallback: [{", ".join(fallback)}]}}'
