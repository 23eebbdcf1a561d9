import subprocess
import sys
from pathlib import Path

import pytest

from spinconv.potential.memory import available_memory

GB = 10**9


def machine(root: Path, files: dict[str, object]) -> Path:
    """A root folder of a machine that has 8 GiB free."""
    for name, content in {"proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")
    return root


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 8 * 2**30),
        # version 2: a job of a queue, whose limit is that of a group above the process's own
        (
            {
                "proc/self/cgroup": "0::/slurm/job_7/step_0",
                f"{V2}/slurm/job_7/memory.max": 4 * GB,
                f"{V2}/slurm/job_7/memory.current": 3 * GB,
                f"{V2}/slurm/job_7/memory.stat": f"anon {2 * GB}\ninactive_file {GB // 2}",
                f"{V2}/slurm/job_7/step_0/memory.max": "max",
                f"{V2}/slurm/job_7/step_0/memory.current": GB,
            },
            3 * GB // 2,
        ),
        # within a container the group's own files are at the top
        ({"proc/self/cgroup": "0::/", f"{V2}/memory.max": 2 * GB, f"{V2}/memory.current": GB}, GB),
        # version 1; what a container sees of it is at the top too, its path is that of the host
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/",
                f"{V1}/memory.limit_in_bytes": 2 * GB,
                f"{V1}/memory.usage_in_bytes": GB,
                f"{V1}/memory.stat": f"inactive_file 5\ntotal_inactive_file {GB // 4}",
            },
            5 * GB // 4,
        ),
        # no limit, as version 1 writes it
        (
            {
                "proc/self/cgroup": "4:memory:/",
                f"{V1}/memory.limit_in_bytes": 9223372036854771712,
                f"{V1}/memory.usage_in_bytes": GB,
            },
            8 * 2**30,
        ),
        # more used than allowed, since the limit was lowered
        ({"proc/self/cgroup": "0::/", f"{V2}/memory.max": GB, f"{V2}/memory.current": 2 * GB}, 0),
    ],
    ids=["none", "a queue's job", "container", "version 1", "no limit", "none left"],
)
def test_free_is_what_the_machine_and_every_group_around_the_process_has(tmp_path, files, free):
    assert available_memory(machine(tmp_path, files)) == free


def test_this_machine_has_some():
    assert available_memory() > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's setting")
@pytest.mark.parametrize(("before", "kept"), [("", False), ("keep_freed_memory()", True)])
def test_freed_memory_is_found_again_where_it_is_kept(before: str, kept: bool) -> None:
    """64 MB a second time: without the setting, which holds for a process, the kernel clears every page anew."""
    script = f"""
import resource
import numpy as np
from spinconv.potential.memory import keep_freed_memory
{before}
for _ in range(2):
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(2**23).fill(1.0)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start
print(faults)
"""
    faults = int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)
    assert (faults < 10) == kept
