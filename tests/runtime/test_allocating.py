"""Memory is given back, and threads share it, where the C library lets itself be told."""

import platform
import subprocess
import sys

import pytest

POOL_KIB = 64 << 10
"""Of addresses that a pool sets aside."""
THREADS = 12
PROGRAM = """
import sys, threading
from l2_exporter.runtime import allocating

def addresses_kib():
    rows = open("/proc/self/status").read().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmSize"))

if sys.argv[1] == "shared":
    assert allocating.tune()
threading.stack_size(256 << 10)
before, gate = addresses_kib(), threading.Barrier({threads} + 1)

def work():
    kept = [bytes(1000) for _ in range(100)]
    gate.wait()
    gate.wait()

for _ in range({threads}):
    threading.Thread(target=work).start()
gate.wait()
print(addresses_kib() - before)
gate.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the C library of GNU has such pools")
def test_threads_have_no_pools_of_their_own() -> None:
    def grown(how: str) -> int:
        command = [sys.executable, "-c", PROGRAM.format(threads=THREADS), how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert grown("shared") < 3 * POOL_KIB < 6 * POOL_KIB < grown("usual")


FREED = """
import sys
from l2_exporter.runtime import allocating

def resident_kib():
    rows = open("/proc/self/status").read().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS"))

if sys.argv[1] == "tuned":
    assert allocating.tune()
del sys
kept = bytearray(24 << 20)
del kept
before = resident_kib()
large, small = [], []
for _ in range(20):
    large.append(bytearray(1 << 20))
    small.append(bytearray(1000))
del large
print(resident_kib() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the C library of GNU raises that size by itself")
def test_large_blocks_are_given_back_though_small_ones_came_behind_them() -> None:
    def left_kib(how: str) -> int:
        command = [sys.executable, "-c", FREED, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert left_kib("tuned") < 2 << 10 < 10 << 10 < left_kib("usual")
