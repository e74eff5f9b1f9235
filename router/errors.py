"""Every error Signalbox raises, drawn as a tree. Classes carry the consequence, so the edge needs one handler.

SignalboxError
├── ConfigError                     start-up or reload: the old thing serves on; commands exit with 2
│   ├── SettingsError               an environment variable or flag
│   ├── PolicyError                 a policy file, with file:line:column
│   └── StoreError                  a database that is foreign, newer or out of reach
│       ├── StoreAway               out of reach, locked, full or starting: may succeed later
│       ├── RowsRefused             the database is well, but one of the rows does not fit it
│       └── StoreBusy               another does there what only one may do at a time
└── RequestError                    one request: status, type, code, param, fault, retry_after
    ├── CallerError (caller)
    │   ├── BadRequest         400  invalid_request / ours
    │   ├── ContextTooLong     400  context_length_exceeded
    │   ├── NotAuthenticated   401  invalid_api_key
    │   ├── Forbidden          403  forbidden
    │   ├── NotFound           404  not_found
    │   ├── ModelNotFound      404  model_not_found
    │   ├── MethodNotAllowed   405  method_not_allowed
    │   ├── RequestTooSlow     408  request_timeout
    │   ├── BodyTooLarge       413  body_too_large
    │   ├── HeadTooLarge       431  head_too_large
    │   └── RateLimited        429  rate_limit_exceeded   with retry_after
    │       └── BudgetSpent    429  insufficient_quota    OpenAI's word for money
    ├── PolicyRefusal (policy)
    │   ├── NoEligibleModel    400  no_eligible_model
    │   └── NothingHealthy     503  no_healthy_model, retry_after
    ├── UpstreamError (upstream)
    │   ├── UpstreamUnreachable 502 upstream_unreachable     try the same again, then the next
│   │   └── UpstreamClosed                               a kept connection was: says nothing of the model
    │   ├── UpstreamBroken      502 upstream_broken          5xx, malformed, truncated, HTML for SSE
    │   ├── UpstreamRefusedKey  502 upstream_auth            401/403 from upstream: ours to mend
    │   ├── UpstreamRateLimited 429 rate_limit_exceeded      with its retry-after
    │   ├── UpstreamTimeout     504 upstream_timeout
    │   └── RefusedLate         400 invalid_request          of a stream whose head is out; the caller's
    └── GatewayError (gateway)
        ├── InternalError      500  internal_error
        ├── LedgerAway         503  ledger_away
        └── Draining           503  draining
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Fault = Literal["caller", "policy", "upstream", "gateway"]


class SignalboxError(Exception):
    """The root: anything Signalbox raises on purpose."""


class ConfigError(SignalboxError):
    """Something an operator wrote cannot be used; what was in use before goes on serving."""


class SettingsError(ConfigError):
    """An environment variable or a flag makes no sense."""


class StoreError(ConfigError):
    """The database is out of reach, foreign, or of a newer schema than this program knows."""


class StoreAway(StoreError):
    """The database is out of reach, locked, full or starting: the same call may well succeed later."""


class RowsRefused(StoreError):
    """The database is well but will not take these rows; one of them is at fault, and none was written."""


class StoreBusy(StoreError):
    """Another process does there what only one may do at a time: a retraining, say."""


class PolicyError(ConfigError):
    """A policy file cannot be used. `line` and `column` count from 1; None where the file itself is the matter."""

    def __init__(self, message: str, *, file: str = "policy", line: int | None = None, column: int | None = None):
        self.message, self.file, self.line, self.column = message, file, line, column
        where = file if line is None else f"{file}:{line}:{column or 1}"
        super().__init__(f"{where}: {message}")


class RequestError(SignalboxError):
    """One request cannot be answered. Carries all that OpenAI's error body and our headers need."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    default_code: ClassVar[str] = "internal_error"
    fault: ClassVar[Fault] = "gateway"
    retry_same: ClassVar[bool] = False
    """May the same model be asked again at once?"""
    retry_next: ClassVar[bool] = False
    """May the next model of the fallback list be asked?"""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Further headers of its answer."""

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after: float | None = None
    ):
        super().__init__(message)
        self.message, self.param, self.retry_after = message, param, retry_after
        self.code = code or self.default_code

    def body(self) -> dict[str, Any]:
        """OpenAI's error object; `message`, `type`, `param` and `code` are always there."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class CallerError(RequestError):
    """The caller can mend it."""

    status, type, default_code, fault = 400, "invalid_request_error", "invalid_request", "caller"


class BadRequest(CallerError):
    """The body is not a request we can act on."""


class ContextTooLong(CallerError):
    """No model that may serve has room for the prompt and the output asked for."""

    default_code = "context_length_exceeded"


class NotAuthenticated(CallerError):
    """No key, or one that we do not know."""

    status, type, default_code = 401, "authentication_error", "invalid_api_key"


class Forbidden(CallerError):
    """A known caller asks for what is not theirs."""

    status, type, default_code = 403, "permission_error", "forbidden"


class NotFound(CallerError):
    """No such path, request or artefact (or not the caller's)."""

    status, type, default_code = 404, "not_found_error", "not_found"


class ModelNotFound(CallerError):
    """`model` names neither a route nor a model of the policy."""

    status, type, default_code = 404, "invalid_request_error", "model_not_found"


class MethodNotAllowed(CallerError):
    """The path exists, the method does not."""

    status, default_code = 405, "method_not_allowed"


class BodyTooLarge(CallerError):
    """More than the 10 MB that a request body may have."""

    status, default_code = 413, "body_too_large"


class RequestTooSlow(CallerError):
    """The request did not come in whole within the time that the wire allows."""

    status, default_code = 408, "request_timeout"


class HeadTooLarge(CallerError):
    """More, or more bytes of, headers than a request may have."""

    status, default_code = 431, "head_too_large"


class RateLimited(CallerError):
    """A limit of the gateway's own."""

    status, type, default_code = 429, "rate_limit_error", "rate_limit_exceeded"


class BudgetSpent(RateLimited):
    """The money of a day or a month is spent, or what is left of it is less than the request may cost."""

    type, default_code = "insufficient_quota", "insufficient_quota"


class PolicyRefusal(RequestError):
    """The policy leaves nobody who may serve."""

    status, type, default_code, fault = 400, "invalid_request_error", "no_eligible_model", "policy"


class NoEligibleModel(PolicyRefusal):
    """Privacy, tools, schema or images rule every model out."""


class NothingHealthy(PolicyRefusal):
    """Every model that may serve is out of order just now."""

    status, type, default_code = 503, "service_unavailable_error", "no_healthy_model"


class UpstreamError(RequestError):
    """An upstream failed before the first content byte, so another may be asked."""

    status, type, default_code, fault = 502, "upstream_error", "upstream_broken", "upstream"
    retry_next = True
    written_tokens: int | None = None
    """Of an answer that had begun and broke off, how much had come of it by estimate: it was likely billed."""


class UpstreamUnreachable(UpstreamError):
    """Refused, reset or unresolvable before an answer began."""

    default_code, retry_same = "upstream_unreachable", True


class UpstreamClosed(UpstreamUnreachable):
    """A connection kept from earlier was closed as the call went out, and no byte came back: it may not have been read.

    That is no sign of trouble, so the same model may be asked once more without that being one of its retries.
    """


class UpstreamBroken(UpstreamError):
    """A 5xx, a malformed or truncated body, or HTML where a stream was promised."""

    retry_same = True


class UpstreamRefusedKey(UpstreamError):
    """401 or 403 from upstream: our key is wrong, not the caller's."""

    default_code = "upstream_auth"


class UpstreamRateLimited(UpstreamError):
    """429 from upstream; `retry_after` is what it said, in seconds."""

    status, type, default_code = 429, "rate_limit_error", "rate_limit_exceeded"


class UpstreamTimeout(UpstreamError):
    """Connect, first-token, idle or total time ran out."""

    status, default_code = 504, "upstream_timeout"


class RefusedLate(UpstreamError):
    """An upstream's 400, 404 or 422 to a stream whose head is out: it comes as an event, and is the caller's to read.

    told: the upstream's own error body, which is passed on unchanged.
    """

    status, type, default_code, fault = 400, "invalid_request_error", "invalid_request", "caller"  # type: ignore[assignment]
    retry_next = False

    def __init__(self, message: str, *, told: dict[str, Any] | None = None):
        super().__init__(message)
        self._told = told

    def body(self) -> dict[str, Any]:
        return self._told or super().body()


class GatewayError(RequestError):
    """Our own fault."""


class InternalError(GatewayError):
    """Something unforeseen; the log has it, the answer does not."""


class LedgerAway(GatewayError):
    """The ledger's database is out of reach, for a request that is about nothing else."""

    status, type, default_code = 503, "service_unavailable_error", "ledger_away"


class Draining(GatewayError):
    """The gateway is stopping and takes no new requests."""

    status, type, default_code = 503, "service_unavailable_error", "draining"
