"""Functions that write in all the ways in which programs write."""

# ruff: noqa: T201 -- what is tested

from __future__ import annotations

import faulthandler
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

logging.basicConfig()


def streams() -> dict[str, Any]:
    return {
        "encoding": sys.stdout.encoding,
        "fileno": [sys.stdout.fileno(), sys.stderr.fileno()],
        "isatty": sys.stdout.isatty(),
        "writable": sys.stdout.writable(),
        "readable": sys.stdout.readable(),
        "buffer": sys.stdout.buffer.write(b"abc"),
        "closed": sys.stdout.closed,
        "name": sys.stdout.name,
    }


def lines() -> None:
    sys.stdout.writelines(["a\n", "b\n"])
    print("c", flush=True)


def bytes_and_text() -> None:
    print("text", flush=True)
    sys.stdout.buffer.write(b"bytes\n")
    sys.stdout.buffer.flush()
    print("err", file=sys.stderr)


def raw() -> None:
    os.write(1, b"one\n")
    os.write(2, b"two\n")


def child() -> None:
    subprocess.run(["echo", "from a child"], check=True)
    subprocess.run(["/bin/sh", "-c", "echo its error >&2"], check=True)


def both() -> None:
    print("first", flush=True)
    subprocess.run(["echo", "second"], check=True, stdout=sys.stdout)
    print("third")


def order() -> None:
    for number in range(1, 5):
        if number % 2:
            print(number, flush=True)
        else:
            os.system(f"echo {number}")


def reopen() -> None:
    print("one", flush=True)
    subprocess.run(["/bin/sh", "-c", "echo two >/dev/stderr"], check=True)
    print("three")


def flood_child(size: str) -> None:
    print("begin", flush=True)
    subprocess.run(["/bin/sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x"], check=True)
    print("end")


def leave_writing(began: str, go: str) -> int:
    """Leave a process that writes more than a pipe holds when it may, and says when it has."""
    line = (
        f"until [ -e {go} ]; do sleep 0.01; done; head -c 300000 /dev/zero; : >{began}; sleep 3600"
    )
    return subprocess.Popen(["/bin/sh", "-c", line], start_new_session=True).pid


def close_stream() -> None:
    print("before")
    sys.stdout.close()


def detach_stream() -> None:
    print("before")
    sys.stdout.detach()  # type: ignore[union-attr]


def nonblocking() -> None:
    os.set_blocking(1, False)
    os.write(1, b"x\n")


def silent() -> None:
    print(end="")


def fork_and_print() -> None:
    if os.fork() == 0:
        print("fork", flush=True)
        os._exit(0)
    os.wait()
    print("parent")


def shut_output() -> None:
    os.close(1)
    os.close(2)
    os.open("/dev/null", os.O_RDWR)
    time.sleep(0.001)


def logs() -> None:
    logging.getLogger().warning("careful")


def unlikely() -> None:
    faulthandler.enable(file=2)
    os.abort()


def hang(began: str) -> None:
    """Say what it does, and never get done."""
    print("opening the door")
    os.system("echo knocking")
    print("waiting", file=sys.stderr)
    Path(began).write_text(f"{os.getpid()}\n")
    time.sleep(3600)


def vanish() -> None:
    print("leaving")
    os._exit(3)


def print_later(began: str, go: str) -> None:
    Path(began).write_text(f"{os.getppid()}\n")
    while not Path(go).exists():
        time.sleep(0.01)
    for _ in range(3):
        print("late")
