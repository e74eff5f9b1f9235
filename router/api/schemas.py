"""What crosses the data plane, as schemas for `/openapi.json`; chat bodies are read by hand and only described here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """OpenAI's error object; all four members are always there."""

    message: str
    type: str = Field(examples=["invalid_request_error"])
    param: str | None
    code: str = Field(examples=["model_not_found"])


class ErrorBody(BaseModel):
    """Every error's body. The header `x-signalbox-fault` names whose fault it is."""

    error: Problem


class Message(BaseModel):
    """One message; further members are kept and passed on."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None


class StreamOptions(BaseModel):
    """Only with `stream: true`."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool | None = None


class ChatBody(BaseModel):
    """OpenAI's chat request. Members not named here are passed on as they are."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"example": {"model": "auto", "messages": [{"role": "user", "content": "Hello!"}]}},
    )

    model: str = Field(min_length=1, description="A route of the policy (such as `auto`), or one of its models.")
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    n: int | None = Field(None, ge=1)
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    user: str | None = None


class Completion(BaseModel):
    """The upstream's answer, byte for byte."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None = None


class AskFacts(BaseModel):
    """What the request needs, and what was found in it."""

    input_tokens: int
    turns: int
    task: str
    language: str
    tools: int
    json_schema: bool
    images: int
    housekeeping: bool
    private: list[str] = Field(description="Kinds found, never the text: email, phone, card, iban, key, national_id.")


class Unread(BaseModel):
    """Nothing: the request was refused before it was understood."""

    model_config = ConfigDict(extra="forbid")


class AssessmentFacts(BaseModel):
    """What the judge thinks; shares in 0..1."""

    complexity: float | None
    quality: dict[str, float]
    gain: float | None
    support: float | None
    task: str
    language: str
    classifier: str


class RuleFacts(BaseModel):
    """What became of one rule."""

    name: str
    matched: bool
    why: str


class DecisionFacts(BaseModel):
    """Who answers, and who stands in."""

    plan: str
    model: str | None
    rule: str
    fallback: list[str]
    expected_cost_usd: float | None
    probability: float | None
    cache: Literal["hit", "miss", "bypass"]
    options: list[str] = Field([], description="What a selector picked, the best first; absent where none did.")
    unproven: str | None = Field(
        None, description="The model that the rule would take, were its `max_risk` proven; absent where it need not be."
    )
    terms: dict[str, Any] | None = Field(None, description="How several calls make the answer; absent where one does.")


class Explanation(BaseModel):
    """A decision with everything that led to it."""

    model_config = ConfigDict(extra="allow")

    request_id: str
    route: str | None
    policy: str
    ask: AskFacts
    assessment: AssessmentFacts
    eligible: dict[str, bool | str]
    rules: list[RuleFacts]
    decision: DecisionFacts


class Story(Explanation):
    """An explanation with what came of it."""

    ask: AskFacts | Unread  # type: ignore[assignment]
    outcome: dict[str, Any]


class Model(BaseModel):
    """A name that callers may send as `model`: a route of the policy, or one of its models."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When the gateway started, in unix seconds.")
    owned_by: str = Field(description="`signalbox-route` or `signalbox-model`.")


class ModelList(BaseModel):
    """OpenAI's list of models."""

    object: Literal["list"] = "list"
    data: list[Model]
