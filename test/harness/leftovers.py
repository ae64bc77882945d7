# SPDX-License-Identifier: GPL-2.0
"""What a test must not leave behind: processes, mounts, descriptors, files outside its directory."""
import glob
import os
import signal
import time

from . import proc

# Where criu-lazy may ever put something of its own.
PLACES = ("/run/criu-lazy*", "/tmp/criu-lazy*", "/dev/shm/criu-lazy*", "/tmp/.criu*")


# ip(8) makes it with the first network namespace, and keeps it.
NETNS_DIRECTORY = "/run/netns"


def mounts():
    """What is mounted where; numbers and peer groups of a mount may change."""
    fields = [line.split() for line in proc.read("/proc/self/mountinfo").splitlines()]
    return {f"{field[2]} {field[3]} on {field[4]}" for field in fields
            if field[4] != NETNS_DIRECTORY}


def state():
    return {
        "children": set(proc.children()),
        "mounts": mounts(),
        "descriptors": set(os.listdir("/proc/self/fd")),
        "files": {path for place in PLACES for path in glob.glob(place)},
    }


def kill_children(pids):
    """Ends what a failed test left, by pid; they are our own descendants."""
    for pid in pids:
        for victim in reversed(proc.tree(pid)):
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


def _describe(pid):
    return f"{pid} ({proc.read(f'/proc/{pid}/cmdline')[:80].replace(chr(0), ' ').strip()})"


def reap_orphans():
    """Zombies that init would have reaped: we stand in for it."""
    for pid in proc.children():
        if proc.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] == ["Z"]:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def check(before, seconds=15):
    """Lines about what is left. Daemons get some time to end by themselves."""
    end = time.monotonic() + seconds
    while True:
        reap_orphans()
        after = state()
        left = after["children"] - before["children"]
        if not left or time.monotonic() > end:
            break
        time.sleep(0.02)
    lines = [f"process {_describe(pid)}" for pid in left]
    kill_children(left)
    for what in ("mounts", "descriptors", "files"):
        lines += [f"{what[:-1]} {item}" for item in after[what] - before[what]]
    return lines
