"""``spiralage serve`` as a process: it starts, answers, ends gently, and refuses what isn't safe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from benches import bench_named

from spiralage.cli import main


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    with bench_named("serve") as module:
        yield module


def test_it_starts_answers_and_ends_gently(bench: ModuleType, tmp_path: Path) -> None:
    port = bench.free_port()
    command = [sys.executable, "-m", "spiralage", "serve", "--port", str(port), "--threads", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path
    ) as process:
        try:
            bench.wait_until_ready(f"http://127.0.0.1:{port}", process)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                answer = client.post("/v1/estimate", files=[("photos", ("secret.jpg", b"no picture"))])
                assert answer.status_code == 200
                assert "not a picture" in answer.json()["photos"][0]["error"]
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert f"http://127.0.0.1:{port}" in said
    assert "secret" not in said
    assert process.returncode in (0, -signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_other_machines_want_a_token(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIRALAGE_TOKEN", raising=False)
    assert main(["serve", "--host", "0.0.0.0"]) == 1
    assert "give --token-file" in capsys.readouterr().err


def test_a_token_has_a_length_and_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(os.environ, "SPIRALAGE_TOKEN", "short")
    assert main(["serve"]) == 1
    assert "shorter than 16" in capsys.readouterr().err
    assert main(["serve", "--token-file", str(tmp_path / "none")]) == 1
    assert "check the path" in capsys.readouterr().err
