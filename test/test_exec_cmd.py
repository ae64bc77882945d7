# SPDX-License-Identifier: GPL-2.0
"""restore --exec-cmd: a program takes the restorer's place and is the parent of the restored tree."""
import os
import subprocess

import pytest
from harness import paths

SCRIPT = """
echo "me $$"
echo "children $(cat /proc/$$/task/$$/children)"
echo "descriptors $(ls /proc/self/fd | tr '\\n' ' ')"
grep '^SigBlk' /proc/self/status
"""


def restore(images, *args):
    return subprocess.run([paths.BINARY, "restore", "-D", images, *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)


@pytest.mark.parametrize("options", [(), ("-d",), ("--lazy-pages",), ("-o", "restore.log")])
def test_command_is_the_parent(options, victim, program):
    subject = victim("mem_private")
    program.dump(subject.pid)
    subject.reap_killed()
    done = restore(program.images, "--exec-cmd", *options, "--", "sh", "-c", SCRIPT)
    assert done.returncode == 0, done.stderr
    said = dict(line.replace(":", "").split(None, 1) for line in done.stdout.splitlines())
    assert str(subject.pid) in said["children"].split()
    # 3 is the one that ls reads.
    assert set(said["descriptors"].split()) <= {"0", "1", "2", "3"}
    assert int(said["SigBlk"], 16) == 0
    os.kill(subject.pid, 0)
    subject.finish()


@pytest.mark.parametrize("args", [["--exec-cmd"], ["--exec-cmd", "--"],
                                  ["--exec-cmd", "--", "/nonexistent"],
                                  ["--exec-cmd", "--", "nonexistent"],
                                  ["--exec-cmd", "-S", "-d", "--", "true"]])
def test_what_cannot_be_executed_is_said_before(args, victim, program):
    subject = victim("mem_private")
    program.dump(subject.pid)
    subject.reap_killed()
    done = restore(program.images, *args)
    assert done.returncode == 1
    assert "--exec-cmd" in done.stderr
    assert not os.path.exists(f"/proc/{subject.pid}")
