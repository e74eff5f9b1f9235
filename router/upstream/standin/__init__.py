"""A real little server in place of models: OpenAI's protocol and Anthropic's, scripted, with faults and a journal.

Demo and tests use the same one, so that no paid call is ever patched. What it says is given to it by its user.
"""

from router.upstream.standin.script import Fault, Received, Reply, ToolCall
from router.upstream.standin.server import StandIn

__all__ = ["Fault", "Received", "Reply", "StandIn", "ToolCall"]
