"""Every name that traces and OTLP metrics use, in one place, since OpenTelemetry's GenAI convention is still moving.

Source: the GenAI semantic conventions (spans, metrics) and those of HTTP, as of November 2026. Ours begin with
`signalbox.`. There is no name here for any text of a prompt or an answer, nor for a key or a conversation.
"""

from __future__ import annotations

SCOPE = "signalbox"

# Spans, GenAI
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"

# Spans, HTTP
METHOD = "http.request.method"
ROUTE_PATH = "http.route"
STATUS = "http.response.status_code"
URL_PATH = "url.path"
ERROR = "error.type"

# Spans, ours
REQUEST_ID = "signalbox.request_id"
TENANT = "signalbox.tenant"
ROUTE = "signalbox.route"
RULE = "signalbox.rule"
PLAN = "signalbox.plan"
POLICY = "signalbox.policy"
CLASSIFIER = "signalbox.classifier"
COMPLEXITY = "signalbox.complexity"
MODEL = "signalbox.model"
TIER = "signalbox.tier"
DECIDED_MODEL = "signalbox.decided_model"
CACHE = "signalbox.cache"
OUTCOME = "signalbox.outcome"
FAULT = "signalbox.fault"
ATTEMPTS = "signalbox.attempts"
OVERHEAD = "signalbox.overhead"
"""Seconds that the gateway added."""
COST = "signalbox.cost_usd"
BASELINE_COST = "signalbox.baseline_cost_usd"
ESTIMATED = "signalbox.usage_estimated"

# Metrics, GenAI
DURATION_METRIC = "gen_ai.client.operation.duration"
TOKENS_METRIC = "gen_ai.client.token.usage"
FIRST_CHUNK_METRIC = "gen_ai.client.operation.time_to_first_chunk"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105

DURATION_BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_CHUNK_BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0)
TOKENS_BOUNDS = tuple(float(4**power) for power in range(14))

CHAT = "chat"
"""The one operation there is so far."""

PATH = "/v1/chat/completions"

FINISHED = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
"""What a model's end is called; anything else it may say is not passed on."""

PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "openai": "openai",
    "perplexity": "perplexity",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""What the convention calls a provider, by what litellm puts before a model's name."""


def provider_of(provider: str | None, upstream_model: str | None) -> str:
    """The convention's name of who serves a model; one it has no name for keeps litellm's.

    OpenAI-compatible servers count as `openai`, as the convention wants where it is not known who they really are.
    """
    if provider != "litellm" or not upstream_model:
        return "openai"
    prefix, slash, _ = upstream_model.partition("/")
    return PROVIDERS.get(prefix, prefix) if slash else "openai"
