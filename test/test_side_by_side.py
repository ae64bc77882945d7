# SPDX-License-Identifier: GPL-2.0
"""One set of images restored many times at once, each in a pid namespace of its own."""
import os
import subprocess

from harness import paths
from harness.victim import Failure, wait_for

COPIES = 8

DUMP = """
echo 3000 > /proc/sys/kernel/ns_last_pid
setsid "$BIN/$VICTIM" "$DIR/v" </dev/null >/dev/null 2>&1 &
n=0; while [ ! -e "$DIR/v.ready" ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n+1)); done
"$CL" dump -t $! -D "$DIR/images" -v4 -o dump.log
"""

RESTORE = """
read -r line < "$DIR/start"
"$CL" restore -D "$DIR/images" -W "$DIR" -v4 -o "restore.$COPY.log"
"""


def start(directory, script, **words):
    environment = dict(os.environ, DIR=str(directory), CL=str(paths.BINARY),
                       BIN=str(paths.VICTIM_BINARIES), **words)
    return subprocess.Popen(["unshare", "-pf", "--kill-child", "--mount-proc", "sh", "-c", script],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, env=environment)


def test_ghosts_in_one_directory(tmp_path, nothing_left):
    """The files exist for a moment, at names that no other restore may take."""
    (tmp_path / "images").mkdir()
    assert start(tmp_path, DUMP, VICTIM="ghost_file").wait(30) == 0
    os.mkfifo(tmp_path / "start")
    (tmp_path / "v.go").touch()
    copies = [start(tmp_path, RESTORE, COPY=str(i)) for i in range(COPIES)]
    try:
        gate = os.open(tmp_path / "start", os.O_RDWR)
        os.write(gate, b"go\n" * COPIES)
        statuses = [copy.wait(60) for copy in copies]
        os.close(gate)
    finally:
        for copy in copies:
            copy.kill()
            copy.wait()
    wait_for((tmp_path / "v.result").exists, 10, "a result")
    if any(statuses):
        raise Failure(f"{statuses}\n" + "\n".join(
            log.read_text() for log in tmp_path.glob("restore.*.log") if "Error" in
            log.read_text())[-2000:])
    assert (tmp_path / "v.result").read_text() == "ok\n"
    assert not list(tmp_path.glob("*ghost*"))
