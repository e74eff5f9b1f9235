"""No library at all: a body that nobody's encoder would write, and the answer as it is."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from telling import KEY, TOOL, Task, tell

_BODY = """ {{ "messages" :[\t{{"content": {prompt},"role" : "user"}} ],
  "temperature":0.70, "model":\t"{model}" , "x_vendor": {{"n": 1.50e+2, "big": 12345678901234567890, "s": "\\u00e9\\/"}}
  , "tools": {tools}{stream} }}
"""
_STREAM = {
    "plain": "",
    "stream": ',"stream" : true',
    "stream-usage": ', "stream_options":{ "include_usage" : true } ,"stream":true',
}


def ask(task: Task) -> Any:
    """What was said, and the body whole. An error in the middle of a stream raises, as clients do."""
    body = _BODY.format(
        prompt=json.dumps(task.prompt, ensure_ascii=False),
        model=task.model,
        tools=json.dumps([TOOL], indent=1) if task.kind == "tools" else "[ ]",
        stream=_STREAM[task.mode],
    )
    request = urllib.request.Request(
        f"{task.base_url}/chat/completions",
        body.encode(),
        {"content-type": "application/json", "authorization": f"Bearer {KEY}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            whole = answer.read().decode()
    except urllib.error.HTTPError as refused:
        raise ValueError(refused.code, refused.read().decode()) from None
    if not task.streams:
        return {"parsed": json.loads(whole), "pieces": whole}
    lines = [line[5:].strip() for line in whole.split("\n") if line.startswith("data:")]
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    if failed := [event["error"] for event in events if "error" in event]:
        raise ValueError(failed)
    said = [choice["delta"] for event in events for choice in event["choices"]]
    words = ["".join(delta.get(name) or "" for delta in said) for name in ("content", "reasoning_content", "refusal")]
    return {"parsed": words, "pieces": whole}


if __name__ == "__main__":
    tell(ask)
