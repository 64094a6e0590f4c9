"""A program for the kill test: for every call to the disk, a copy of a vault in which the job dies at that call.

It is a process of its own, without threads, so that it can fork.
"""

import os
import shutil
import sys
from pathlib import Path

from tests.retention.faulty import FaultyDisk, killed
from tests.retention.running import run_all
from tests.retention.vaults import Mixed


def main(template: Path, out: Path, suffix: str) -> None:
    """Make out/1, out/2, ... until the job lives through it."""
    at = 0
    while True:
        at += 1
        copy = out / str(at)
        shutil.copytree(template, copy)
        child = os.fork()
        if child == 0:
            try:
                run_all(Mixed(copy, suffix), FaultyDisk(at, killed))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
