"""What the daemon's process takes, under the names that Prometheus' own clients use.

prometheus-client's collector wants /proc/stat, which the unit in deploy/ hides (ProcSubset=pid), and then tells nothing.

Rules of this file: what this system does not tell is left out.
"""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric

from livebot.ops.metrics.shapes import counter, gauge

PROC = Path("/proc/self")


def process_families(proc: Path = PROC) -> Iterator[Metric]:
    """Processor, memory and files, as of now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield counter("process_cpu_seconds", "Processor time of the process.", used.ru_utime + used.ru_stime)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield gauge("process_max_fds", "How many files it may have open.", soft)
    try:
        virtual, resident = (proc / "statm").read_text().split()[:2]
        open_files = len(os.listdir(proc / "fd"))  # noqa: PTH208 - names are enough
    except (OSError, ValueError):
        return
    page = os.sysconf("SC_PAGE_SIZE")
    yield gauge("process_resident_memory_bytes", "Memory that is really there.", int(resident) * page)
    yield gauge("process_virtual_memory_bytes", "Memory that is addressed.", int(virtual) * page)
    yield gauge("process_open_fds", "Files it has open.", open_files)
