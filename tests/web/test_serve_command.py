"""``spiralage serve`` as a process: it starts, answers, ends gently, and refuses what isn't safe."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from spiralage.cli import main


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_it_starts_answers_and_ends_gently(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "spiralage", "serve", "--port", str(port), "--threads", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path
    ) as process:
        try:
            _wait_until_ready(port, process)
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


def _wait_until_ready(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("not ready after 90 s")


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
