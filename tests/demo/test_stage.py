"""The demo's stage ends what it started, whatever happened, and says why a part did not come up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from router.demo.stage import Stage, StageError, free_port


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def environ() -> dict[str, str]:
    return {**os.environ, "SIGNALBOX_REDIS_URL": "redis://somewhere-real"}


def test_children_and_their_folder_are_gone_after_an_error_on_stage(environ):
    with pytest.raises(RuntimeError), Stage(environ) as stage:
        pid, folder = stage.start("server", "http.server", ["0", "--bind", "127.0.0.1"], {}), stage.folder
        assert alive(pid)
        raise RuntimeError
    assert not alive(pid)
    assert not folder.exists()


def test_a_server_is_waited_for_until_it_answers(environ):
    port = free_port()
    with Stage(environ) as stage:
        stage.start("server", "http.server", [str(port), "--bind", "127.0.0.1"], {})
        stage.wait_until_ready(f"http://127.0.0.1:{port}/")


def test_a_child_that_ends_early_is_named_with_its_last_words(environ):
    with Stage(environ) as stage:
        stage.start("gateway", "no_such_module", [], {})
        with pytest.raises(StageError, match=r"gateway ended with 1: .*no_such_module"):
            stage.wait_until_ready(f"http://127.0.0.1:{free_port()}/")


def test_a_command_that_fails_is_named_with_its_last_words(environ):
    with Stage(environ) as stage, pytest.raises(StageError, match="No module named"):
        stage.run("no_such_module", ["retrain"], {})


def test_children_see_none_of_our_own_settings_but_the_demos_data_folder(environ):
    with Stage(environ) as stage:
        seen = stage.environ({"EXTRA": "1"})
        assert Path(seen["SIGNALBOX_DATA_DIR"]) == stage.folder
        assert seen["EXTRA"] == "1"
        assert "SIGNALBOX_REDIS_URL" not in seen


def test_a_server_of_our_own_is_reached_past_a_proxy():
    port = free_port()
    script = (
        "from router.demo.stage import Stage, clean_environ\n"
        "with Stage(clean_environ()) as stage:\n"
        f"    stage.start('server', 'http.server', ['{port}', '--bind', '127.0.0.1'], {{}})\n"
        f"    stage.wait_until_ready('http://127.0.0.1:{port}/')\n"
    )
    proxied = {**os.environ, "http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", script], env=proxied, timeout=30, check=True)


def test_a_stop_in_the_moment_a_child_is_born_still_ends_the_child(tmp_path: Path) -> None:
    script = tmp_path / "stop_me.py"
    script.write_text(
        "import os, signal, subprocess, sys\n"
        "from router.demo import stage\n"
        "stage.stop_on_terminate()\n"
        "real = subprocess.Popen\n"
        "def born(*given, **named):\n"
        "    child = real(*given, **named)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print(child.pid, flush=True)\n"
        "    return child\n"
        "subprocess.Popen = born\n"
        "with stage.Stage(os.environ) as made:\n"
        "    made.start('sleeper', 'timeit', ['-n', '1', '-r', '1', 'import time; time.sleep(60)'], {})\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, timeout=30, check=False)
    assert done.returncode != 0 and b"KeyboardInterrupt" in done.stderr
    assert not alive(int(done.stdout))
