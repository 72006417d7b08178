"""The streams of a worker of many jobs: who printed what."""

from __future__ import annotations

import contextvars
import os
import subprocess
import sys
from typing import Any

from jobctl.worker.printed import Ends
from jobctl.worker.streams import JobStream, current


def stream_to_pipe() -> tuple[JobStream, int]:
    read, write = os.pipe2(os.O_CLOEXEC)
    return JobStream(write, "<stdout>"), read


def test_a_line_goes_to_the_job_in_whose_context_it_is_written() -> None:
    stream, read = stream_to_pipe()
    first, second = Ends(), Ends()
    contexts = []
    for ends in (first, second):
        context = contextvars.copy_context()
        context.run(current.set, ends)
        contexts.append(context)
    for number in range(3):
        for context in contexts:
            context.run(print, number, file=stream, flush=True)
    contexts[0].run(stream.buffer.write, b"bytes")
    assert first.take() == (b"0\n1\n2\nbytes", 11)
    assert second.take() == (b"0\n1\n2\n", 6)
    os.close(stream.fileno())
    assert os.read(read, 10) == b""
    os.close(read)


def test_outside_of_jobs_a_line_goes_to_the_descriptor_and_fails_for_nobody() -> None:
    stream, read = stream_to_pipe()
    print("nobody's", file=stream)
    assert os.read(read, 100) == b"nobody's\n"
    os.close(read)
    assert stream.write("not read any more") == 17
    os.close(stream.fileno())
    assert stream.write("closed") == 6


def test_a_job_cannot_close_the_stream_of_the_others_nor_fail_at_a_text() -> None:
    stream, read = stream_to_pipe()
    stream.close()
    assert stream.write("\ud800") == 1
    assert os.read(read, 100) == b"\\ud800"
    child: Any = stream
    subprocess.run([sys.executable, "-c", "print('child')"], stdout=child, check=True)
    assert os.read(read, 100) == b"child\n"
    os.close(read)
    os.close(stream.fileno())
