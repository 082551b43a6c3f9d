"""Results that are computed are kept, whatever becomes of the terminal, and nothing else is lost for them."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spiralage.cli import main
from spiralage.image_io import save_picture

FACE = np.indices((256, 256)).sum(axis=0).astype(np.uint8)[..., None].repeat(3, axis=2)
RUN = [sys.executable, "-c", "from spiralage.cli import entry_point; entry_point()"]
FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".JPEG": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a picture that is a face, to work in."""
    monkeypatch.chdir(tmp_path)
    save_picture(Path("a.png"), FACE)
    return tmp_path


def estimate(*arguments: str) -> int:
    return main(["estimate", "a.png", "--detector", "none", *arguments])


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_a_terminal_that_lacks_signs_gets_others(environment: dict[str, str]) -> None:
    command = [*RUN, "estimate", "a.png", "--detector", "none", "--at-least", "18", "--csv", "ages.csv"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"P(>= 18)" in done.stdout
    assert done.stderr == b""
    assert len(rows("ages.csv")) == 1


@pytest.mark.parametrize("arguments", [[], ["--json"]])
@pytest.mark.parametrize(
    ("stdout", "code", "said"), [(">/dev/full", 1, "No space left"), (">&-", 1, "closed"), ("| true", 141, "")]
)
def test_a_stdout_that_fails_costs_neither_csv_nor_report(
    arguments: list[str], stdout: str, code: int, said: str
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    line = f'"$@" {stdout}; exit ${{PIPESTATUS[0]}}'
    command = [
        *RUN,
        "estimate",
        "a.png",
        "a.png",
        "--detector",
        "none",
        "--csv",
        "ages.csv",
        "--report",
        "r",
        *arguments,
    ]
    done = subprocess.run(["bash", "-c", line, "bash", *command], capture_output=True, text=True, check=False)
    errors = done.stderr.splitlines()
    assert done.returncode == code
    assert len(errors) == bool(said)
    assert said in "".join(errors)
    assert len(rows("ages.csv")) == 2
    assert Path("r/index.html").read_text(encoding="utf-8").count("<section>") == 2


@pytest.mark.parametrize("command", [["--help"], ["models"]])
def test_whatever_is_printed_may_fail_to_be(command: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*RUN, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    (error,) = done.stderr.splitlines()
    assert "No space left" in error


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_batch_that_is_stopped_keeps_what_is_done(workers: str) -> None:
    total = 2000
    command = [*RUN, "estimate", *["a.png"] * total, "--detector", "none"]
    command += ["--csv", "ages.csv", "--report", "r", "--json", "--workers", workers]
    with Path("ages.json").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not (Path("ages.csv").exists() and len(rows("ages.csv")) > 3):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == ""
    done = rows("ages.csv")
    assert 3 < len(done) < total
    assert all(row["age"] for row in done)
    assert len(json.loads(Path("ages.json").read_text())) == len(done)
    page = Path("r/index.html").read_text(encoding="utf-8")
    assert page.count("<section>") == page.count("</section>") == len(done)
    assert page.endswith("</html>\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_batch_that_is_killed_keeps_its_rows(number: signal.Signals) -> None:
    command = [*RUN, "estimate", *["a.png"] * 2000, "--detector", "none", "--csv", "ages.csv"]
    process = subprocess.Popen(command)
    while process.poll() is None and not (Path("ages.csv").exists() and len(rows("ages.csv")) > 3):
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(timeout=60) == -number
    assert len(rows("ages.csv")) > 3


@pytest.mark.parametrize(
    "arguments", [["--csv", "."], ["--csv", "a.png/x.csv"], ["--report", "a.png"], ["--csv", "x" * 256]]
)
def test_what_can_not_be_written_is_said_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    from spiralage.cli import estimate as command

    monkeypatch.delattr(command, "AgePipeline")  # whoever works meets this
    assert estimate(*arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "can't be written" in line


def test_a_csv_that_fails_half_way_leaves_the_rest() -> None:
    line = 'ulimit -f 1; exec "$@"'  # no file over 1 KiB
    command = [*RUN, "estimate", *["a.png"] * 30, "--detector", "none", "--csv", "ages.csv", "--json"]
    done = subprocess.run(["bash", "-c", line, "bash", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (error,) = done.stderr.splitlines()
    assert "ages.csv: can't be written (File too large)" in error
    assert len(json.loads(done.stdout)) == 30
    assert len(rows("ages.csv")) > 3


def test_a_csv_that_fails_at_once_is_said_before_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    assert estimate("--csv", "/dev/full") == 1
    answer = capsys.readouterr()
    assert "/dev/full: can't be written (No space left" in answer.err
    assert answer.out == ""


COMMANDS = [
    ["estimate", "a.png", "--csv"],
    ["estimate", "b.png", "a.png", "--csv"],
    ["estimate", ".", "--csv"],
    ["occlude", "a.png", "--kind", "paper", "-o"],
    ["restore", "a.png", "-o"],
    ["restore", "a.png", "-o", "out.png", "--photo"],
    ["restore", "a.png", "-o", "out.png", "--strip"],
    ["restore", "b.png", "--occlusion", "a.png", "-o"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", ["a.png", "link.png", "hard.png"])
def test_no_output_takes_the_place_of_an_input(
    capsys: pytest.CaptureFixture[str], command: list[str], name: str
) -> None:
    save_picture(Path("b.png"), FACE)
    Path("link.png").symlink_to("a.png")
    Path("hard.png").hardlink_to("a.png")
    before = Path("a.png").read_bytes()
    assert main([*command, name, "--detector", "none"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name}: this is the input" in line
    assert "--overwrite" in line
    assert Path("a.png").read_bytes() == before
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", "b.png", "hard.png", "link.png"]


def test_a_turn_is_no_input_either(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a-turn-2.png").write_bytes(Path("a.png").read_bytes())
    assert main(["restore", "a-turn-2.png", "-o", "a.png", "--turns", "--detector", "none"]) == 1
    assert "a-turn-2.png: this is the input" in capsys.readouterr().err


def test_with_overwrite_the_user_has_asked_for_it() -> None:
    Path("face.jpg").write_bytes(Path("a.png").read_bytes())
    assert main(["occlude", "face.jpg", "--kind", "paper", "-o", "face.jpg", "--overwrite", "--detector", "none"]) == 0
    with Image.open("face.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (256, 256))


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_ending_decides_the_format(suffix: str) -> None:
    names = [f"{what}{suffix}" for what in ("out", "whole", "strip")]
    assert main(["occlude", "a.png", "--kind", "paper", "-o", f"occluded{suffix}", "--detector", "none"]) == 0
    command = ["restore", "a.png", "-o", names[0], "--photo", names[1], "--strip", names[2], "--restorer", "none"]
    assert main([*command, "--detector", "none"]) == 0
    for name in (f"occluded{suffix}", *names):
        with Image.open(name) as image:
            assert image.format == FORMATS[suffix]


@pytest.mark.parametrize("option", ["-o", "--photo", "--strip"])
@pytest.mark.parametrize("name", ["x.txt", "x", "x.jpgg", "x.pdf"])
def test_an_ending_that_is_no_pictures_is_said_before_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str, name: str
) -> None:
    from spiralage.cli import restoring

    monkeypatch.delattr(restoring, "make_restorer")
    outputs = ["-o", name] if option == "-o" else ["-o", "out.png", option, name]
    assert main(["restore", "a.png", *outputs, "--detector", "none"]) == 1
    assert f"{name}: no picture format is known by this ending; use one of .png, .jpg" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["a.png"]


def test_devices_and_links_stay() -> None:
    Path("old.csv").write_text("old")
    Path("link.csv").symlink_to("old.csv")
    assert estimate("--csv", "link.csv") == 0
    assert Path("link.csv").is_symlink()
    assert len(rows("old.csv")) == 1
    try:
        os.mknod("null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        Path("null").write_bytes(b"")
    except OSError:
        pytest.skip("this user may not make a device")
    assert estimate("--csv", "null") == 0
    assert main(["occlude", "a.png", "--kind", "paper", "-o", "null", "--detector", "none"]) == 0
    assert stat.S_ISCHR(Path("null").lstat().st_mode)


@pytest.mark.parametrize(
    "command", [["estimate", "a.png", "--csv"], ["occlude", "a.png", "-o"], ["restore", "a.png", "-o"]]
)
def test_a_pipe_needs_a_reader(command: list[str]) -> None:
    os.mkfifo("pipe.png")
    line = [*RUN, *command, "pipe.png", "--detector", "none"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "spiralage: pipe.png: nobody reads this pipe; start its reader first\n"
    with subprocess.Popen(["cat", "pipe.png"], stdout=subprocess.PIPE) as reader:
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
        got = reader.communicate(timeout=60)[0]
    assert got.startswith(b"image,face," if command[0] == "estimate" else b"\x89PNG")
    assert (b"\na.png,1," in got) == (command[0] == "estimate")


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_dash_is_no_csv_file(capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    assert estimate("--csv", "-", *more) == 1
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err == "spiralage: --csv -: name a file; for standard output give /dev/stdout\n"
    assert [path.name for path in Path().iterdir()] == ["a.png"]


def test_csv_to_stdout() -> None:
    if not Path("/dev/stdout").exists():
        pytest.skip("no /dev/stdout here")
    command = [*RUN, "estimate", "a.png", "--detector", "none", "--csv", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("image,face,")
    assert len(done.stdout.splitlines()) > 4  # and the table after it


def test_names_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    odd = "\x1b[31m\u202e\r\x07=x.png"
    Path(odd).write_bytes(Path("a.png").read_bytes())
    assert main(["estimate", odd, f"{odd}?", "--detector", "none", "--csv", "ages.csv"]) == 1
    shown = "".join(capsys.readouterr())
    assert not any(sign in shown for sign in "\x1b\u202e\r\x07")
    assert shown.count(r"\x1b[31m\u202e\r\x07=x.png") == 3  # two rows, one error
    assert [row["image"] for row in rows("ages.csv")] == [odd, f"{odd}?"]


@pytest.mark.parametrize(
    "arguments",
    [["--{}x"], ["{}"], ["estimate", "--{}x"], ["estimate", "a.png", "-{}"], ["estimate", "a.png", "--box{}", "1"]],
)
def test_nor_does_what_can_not_be_understood(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main([argument.format("\u202e\u2066\x1b[7m\x07") for argument in arguments]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert not any(sign in answer.err for sign in ("\u202e", "\u2066", "\x1b[7m", "\x07"))
    assert r"\u202e" in answer.err


@pytest.mark.parametrize("option", ["--threads"])
@pytest.mark.parametrize("command", [["estimate", "a.png"], ["restore", "a.png", "-o", "out.png"], ["demo"]])
def test_no_machine_has_so_many_cores(capsys: pytest.CaptureFixture[str], command: list[str], option: str) -> None:
    assert main([*command, option, "100000"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "--threads 100000: this machine has use for" in line


def test_nor_processes(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["train", "age", "x.toml", "--devices"], ["evaluate", "lopo", "x.toml", "--workers"]):
        assert main([*command, "100000"]) == 1
        assert f"{command[-1]} 100000: this machine has use for" in capsys.readouterr().err
