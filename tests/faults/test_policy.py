"""A policy file that is half-written, gone or put back while chats run changes nothing until it is good again."""

from __future__ import annotations

from pathlib import Path

from tests.faults.models import Heard
from tests.faults.scene import scene, until
from tests.faults.traffic import POLICY, steady_chats


async def test_chats_go_on_while_the_policy_is_half_written_deleted_changed_and_put_back(tmp_path: Path) -> None:
    model = Heard("m")
    async with model.serve() as url, scene(tmp_path, POLICY.format(url=url), model) as built:
        policy, file = built.gateway.gateway.policy, tmp_path / "policy.yaml"
        first, text = policy.current.label, file.read_text()
        async with steady_chats(built):
            for half in (text[:40], "", text[:-20], text.replace("small", "smal", 1), "\0"):
                before = policy.error
                file.write_text(half)
                await until(lambda before=before: policy.error is not None and policy.error is not before, "a refusal")
                assert policy.current.label == first
            assert (await built.gateway.get("/readyz"))["status"] == "degraded"
            file.unlink()
            await until(lambda: "cannot be read" in str(policy.error), "the file to be missed")
            file.write_text(text + "# as it was\n")
            await until(lambda: policy.error is None, "the policy to be good again")
            second = policy.current.label
            file.write_text(text)
            await until(lambda: policy.current.label == first, "the policy to be put back")
        assert (await built.gateway.get("/readyz"))["status"] == "ok"
        await until(lambda: not built.gateway.gateway.recorder.waiting, "the last row")
        assert {row["policy"] for row in await built.rows()} <= {first, second}
        assert all(row["outcome"] == "ok" for row in await built.rows())
