"""The border where litellm's errors become ours: a table by class name, so that nothing here needs litellm.

Every class of `litellm.exceptions` stands in it on purpose; a test walks them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from router.domain import ModelSpec
from router.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefusedKey,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from router.upstream.refusals import PASSED_ON, refusal, retry_after

Meaning = Literal["caller", "key", "rate", "time", "unreachable", "broken", "status"]

MEANINGS: Mapping[str, Meaning] = {
    # The provider read the request and did not like it: the caller's to mend.
    "BadRequestError": "caller",
    "ContentPolicyViolationError": "caller",
    "ContextWindowExceededError": "caller",
    "ImageFetchError": "caller",
    "InvalidRequestError": "caller",
    "NotFoundError": "caller",
    "UnprocessableEntityError": "caller",
    "UnsupportedParamsError": "caller",
    # Our key or account.
    "AuthenticationError": "key",
    "PaymentRequiredError": "key",
    "PermissionDeniedError": "key",
    "RateLimitError": "rate",
    "Timeout": "time",
    "APIConnectionError": "unreachable",
    # Its status says which.
    "APIError": "status",
    "MockException": "status",
    "OpenAIError": "status",
    "BadGatewayError": "broken",
    "InternalServerError": "broken",
    "MidStreamFallbackError": "broken",
    "ServiceUnavailableError": "broken",
    # The answer is not what it should be.
    "APIResponseValidationError": "broken",
    "JSONSchemaValidationError": "broken",
    # The policy names a model or provider that litellm does not know: the operator's, never the caller's.
    "LiteLLMUnknownProvider": "broken",
    "ModelNotMappedError": "broken",
    # Parts of litellm that we do not use; should one speak up, another model may answer.
    "BlockedPiiEntityError": "broken",
    "BudgetExceededError": "broken",
    "GuardrailRaisedException": "broken",
    "ModifyResponseException": "broken",
    "RejectedRequestError": "broken",
    "SensitiveDataRouteException": "broken",
    "VectorStoreSearchError": "broken",
}

_STATUS = {"NotFoundError": 404, "UnprocessableEntityError": 422}


@dataclass(frozen=True, slots=True)
class PassThrough:
    """A refusal that the caller is to read. body: OpenAI's error body."""

    status: int
    body: bytes


def translate(model: ModelSpec, error: Exception) -> UpstreamError | PassThrough:
    """What an exception out of litellm means to us. Messages of ours hold nothing of the request, nor any key."""
    meaning = next((MEANINGS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in MEANINGS), "broken")
    name = type(error).__name__
    status = getattr(error, "status_code", None)
    if meaning == "status" and isinstance(status, int):
        meaning = "caller" if status in PASSED_ON else "broken" if status == 500 else meaning
        if meaning == "status":
            return refusal(model, status, _headers(error))
    match meaning:
        case "caller":
            return _passed_on(model, error)
        case "key":
            return UpstreamRefusedKey(
                f"The provider of model `{model.name}` does not accept the gateway's key ({name})."
            )
        case "rate":
            wait = retry_after(_headers(error))
            return UpstreamRateLimited(
                f"The provider of model `{model.name}`: its rate limit is reached.", retry_after=wait
            )
        case "time":
            return UpstreamTimeout(f"The provider of model `{model.name}` could not be reached in time.")
        case "unreachable":
            return UpstreamUnreachable(f"The provider of model `{model.name}` gave no usable answer ({name}).")
    return UpstreamBroken(f"The provider of model `{model.name}` failed ({name}).")


def _passed_on(model: ModelSpec, error: Exception) -> UpstreamError | PassThrough:
    text = str(getattr(error, "message", "") or error)
    if (
        "LLM Provider NOT provided" in text
    ):  # raised as a plain BadRequestError for a model id that litellm cannot place
        return UpstreamBroken(f"litellm knows no provider for model `{model.name}`.")
    kind = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in MEANINGS), "")
    stated = getattr(error, "status_code", None)
    status = _STATUS.get(kind) or (stated if stated in PASSED_ON else 400)
    code = "context_length_exceeded" if kind == "ContextWindowExceededError" else None
    message = _provider_message(text)
    if model.api_key:
        message = message.replace(model.api_key, "***")
    told = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return PassThrough(status, orjson.dumps({"error": told}))


def _provider_message(text: str) -> str:
    """The provider's own words out of litellm's wrapping, `litellm.X: Provider - {"error": {"message": ...}}`."""
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        try:
            told: Any = orjson.loads(text[start : end + 1])
        except orjson.JSONDecodeError:
            told = None
        error = told.get("error") if isinstance(told, dict) else None
        if isinstance(error, dict) and isinstance(message := error.get("message"), str):
            return message
    return text.partition(": ")[2] if text.startswith("litellm.") else text


def _headers(error: Exception) -> Mapping[str, str]:
    """The headers that came with an error, if any did."""
    for holder in (getattr(error, "response", None), error):
        for name in ("headers", "litellm_response_headers"):
            headers = getattr(holder, name, None)
            if isinstance(headers, Mapping) and headers:
                return headers
    return {}
