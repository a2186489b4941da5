"""The settings take effect, in a process of their own, for they last as long as it does."""

import subprocess
import sys

import pytest

DENORMAL = "print((torch.full((1_000_000,), 1e-40) * 0.5).count_nonzero().item())"
PAGES = """
def faults_of_ten_blocks():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.empty(64 << 20, dtype=torch.uint8).fill_(1)  # 64 MiB: 16,384 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults_of_ten_blocks()
print(faults_of_ten_blocks())
"""


def run(code, *, tuned):
    start = "import resource, torch; from mnist_cli.command.process import tune\n" + ("tune()\n" if tuned else "")
    process = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=True)
    return int(process.stdout)


def test_denormal_numbers_are_flushed_to_zero_in_every_thread():
    assert run(DENORMAL, tuned=True) == 0


@pytest.mark.slow
def test_denormal_numbers_are_kept_otherwise():
    assert run(DENORMAL, tuned=False) == 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc gives large blocks back at once")
@pytest.mark.slow
def test_freed_memory_is_used_again():
    assert run(PAGES, tuned=True) < 1_000
