"""Asks a retriever for passages: one POST over a kept connection, with one time limit for all of it.

Never a reason to fail a request: whoever asks is told what was found, or why nothing was.
"""

from __future__ import annotations

import asyncio
import time

import orjson
from msgspec import Struct

from router.domain import RetrieverSpec
from router.errors import UpstreamBroken, UpstreamError, UpstreamRefusedKey, UpstreamTimeout, UpstreamUnreachable
from router.upstream.http1.connection import Connection
from router.upstream.http1.failures import BadAnswer, ConnectionLost, HttpFailure, TooLarge
from router.upstream.http1.pool import Pool
from router.upstream.http1.response import Response
from router.upstream.passages_told import Passage, read_passages
from router.upstream.target import address_of, request_lines

MOST_ANSWER_BYTES = 2 * 1024 * 1024
MOST_QUERY_CHARACTERS = 4000

_HEADERS = "accept: application/json\r\naccept-encoding: identity\r\ncontent-type: application/json\r\n"


class Retrieved(Struct, frozen=True):
    """What a retriever brought. status: its own, or that of `error` where it gave none. error: why there is nothing."""

    passages: tuple[Passage, ...]
    at_unix: float
    seconds: float
    status: int = 200
    error: UpstreamError | None = None


class Retrievers:
    """All retrievers of a gateway. Connections live on the loop of the first call."""

    def __init__(self) -> None:
        self._pool: Pool | None = None

    async def ask(self, retriever: RetrieverSpec, query: str, request_id: str) -> Retrieved:
        """The passages for a query, `retriever.top` at most. Raises nothing but a cancellation.

        POSTs `{"query": ..., "top_k": ...}`; redirects are not followed.
        """
        at_unix, started = time.time(), time.perf_counter()
        status = 0
        error: UpstreamError | None = None
        passages: tuple[Passage, ...] = ()
        try:
            async with asyncio.timeout(retriever.timeout):
                status, body = await self._asked(retriever, query[:MOST_QUERY_CHARACTERS], request_id)
            if status != 200:
                kind = UpstreamRefusedKey if status in (401, 403) else UpstreamBroken
                raise kind(f"The retriever `{retriever.name}` answered {status}.")
            if body is None:
                most = MOST_ANSWER_BYTES >> 20
                raise UpstreamBroken(f"The answer of the retriever `{retriever.name}` is larger than {most} MB.")
            passages = read_passages(body, retriever.top)
        except TimeoutError:
            error = UpstreamTimeout(f"The retriever `{retriever.name}` took longer than {retriever.timeout:g} s.")
        except ValueError as what:
            error = UpstreamBroken(f"The answer of the retriever `{retriever.name}` cannot be used: {what}.")
        except UpstreamError as failure:
            error = failure
        seconds = time.perf_counter() - started
        return Retrieved(passages, at_unix, seconds, status or (error.status if error else 200), error)

    async def aclose(self) -> None:
        """Closes every connection."""
        if (pool := self._pool) is not None:
            self._pool = None
            await pool.aclose()

    async def _asked(self, retriever: RetrieverSpec, query: str, request_id: str) -> tuple[int, bytes | None]:
        """Status and body, None where that is too large.

        A kept connection that was closed meanwhile is tried past once: nothing is changed by it.
        """
        try:
            return await self._exchange(retriever, query, request_id)
        except ConnectionLost as lost:
            if not lost.reused or lost.began:
                raise _failed(retriever, lost) from None
        except (HttpFailure, OSError) as failure:
            raise _failed(retriever, failure) from None
        try:
            return await self._exchange(retriever, query, request_id, anew=True)
        except (HttpFailure, OSError) as failure:
            raise _failed(retriever, failure) from None

    async def _exchange(
        self, retriever: RetrieverSpec, query: str, request_id: str, *, anew: bool = False
    ) -> tuple[int, bytes | None]:
        loop = asyncio.get_running_loop()
        if (pool := self._pool) is None:
            pool = self._pool = Pool(loop)
        try:
            url, origin = address_of(retriever.url)
        except ValueError:
            raise UpstreamBroken(f"The url of the retriever `{retriever.name}` cannot be used.") from None
        body = orjson.dumps({"query": query.encode("utf-8", "replace").decode(), "top_k": retriever.top})
        head = request_lines(url, url.path or "/", origin) + _HEADERS + _authorization(retriever)
        head += f"user-agent: signalbox\r\nx-request-id: {request_id}\r\ncontent-length: {len(body)}\r\n\r\n"
        connection: Connection | None = None if anew else pool.take(origin, loop.time())
        connection = connection or await pool.connect(origin)
        response: Response | None = None
        try:
            response = connection.begin(head.encode("latin-1"), body)
            await response.head()
            try:
                return response.status, await response.rest(MOST_ANSWER_BYTES)
            except TooLarge:  # answered all the same, and so paid for
                return response.status, None
        finally:
            if response is None:
                connection.abort()
            else:
                response.close()


def _authorization(retriever: RetrieverSpec) -> str:
    if not retriever.api_key:
        return ""
    key = retriever.api_key.strip()
    if not (key.isascii() and key.isprintable()):
        raise UpstreamRefusedKey(f"The api_key of the retriever `{retriever.name}` holds what no header may hold.")
    return f"authorization: Bearer {key}\r\n"


def _failed(retriever: RetrieverSpec, failure: HttpFailure | OSError) -> UpstreamError:
    name = retriever.name
    if isinstance(failure, TimeoutError):  # of the system, while connecting
        return UpstreamUnreachable(f"The retriever `{name}` cannot be reached (TimeoutError).")
    if isinstance(failure, OSError):
        return UpstreamUnreachable(f"The retriever `{name}` cannot be reached ({type(failure).__name__}).")
    if isinstance(failure, ConnectionLost) and not failure.began:
        return UpstreamUnreachable(f"The retriever `{name}` cannot be reached ({failure.cause}).")
    if isinstance(failure, BadAnswer) and not failure.began:
        return UpstreamBroken(f"The retriever `{name}` does not speak HTTP as it should.")
    return UpstreamBroken(f"The retriever `{name}` broke its answer off.")
