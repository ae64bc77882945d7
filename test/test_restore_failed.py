# SPDX-License-Identifier: GPL-2.0
"""A restore that fails leaves everything that the next try needs, and what is others'."""
import os
import socket
import stat
import time

from harness import leftovers, proc

WALL = 0x40000000  # __WALL: a sibling's end sends no signal


def test_keeps_remapped_names(victim, program, tmp_path):
    subject = victim("ghost_link")
    program.dump(subject.pid, "--link-remap")
    subject.reap_killed()
    before = sorted(path.name for path in tmp_path.iterdir())
    no = tmp_path / "no.sh"
    for stage in ("post-restore", "pre-resume"):
        no.write_text(f'#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != {stage} ]\n')
        no.chmod(0o755)
        done = program.restore("eager", "--action-script", no, check=False)
        assert done.returncode == 1
        no.unlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == before
    program.restore("eager")
    subject.finish()


def test_says_that_the_image_was_cut(victim, program, tmp_path):
    """After it was checked, before its memory is filled; what is not there is never zeros."""
    subject = victim("mem_large")
    program.dump(subject.pid)
    subject.reap_killed()
    path = max(program.images.glob("pages-*.img"), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    cut = tmp_path / "cut.sh"
    cut.write_text('#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != pre-restore ] || '
                   f'truncate -s {len(whole) // 2 // 4096 * 4096} {path}\n')
    cut.chmod(0o755)
    done = program.restore("eager", "--action-script", cut, check=False)
    assert done.returncode == 1
    assert "Input/output error" in program.errors(done.log)
    path.write_bytes(whole)
    program.restore("eager")
    subject.finish()


def test_leaves_the_sockets_of_others(victim, program, tmp_path):
    """Somebody new listens at the path where the dumped one did."""
    subject = victim("sk_unix_listen")
    program.dump(subject.pid)
    subject.reap_killed()
    paths = [path for path in tmp_path.iterdir() if stat.S_ISSOCK(path.lstat().st_mode)]
    assert paths
    others = []
    for path in paths:
        path.unlink()
        other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        other.bind(str(path))
        others.append((path, path.stat().st_ino, other))
    done = program.restore("eager", check=False)
    assert done.returncode == 1
    assert "in use" in program.errors(done.log)
    for path, inode, other in others:
        assert path.stat().st_ino == inode
        other.close()
    program.restore("eager")
    subject.finish()


def test_sibling_is_left_to_the_parent(victim, program, tmp_path):
    """The root is ours to wait for: the restore must not wait for us to do it."""
    subject = victim("sig_actions")
    program.dump(subject.pid)
    subject.reap_killed()
    no = tmp_path / "no.sh"
    no.write_text('#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != post-restore ]\n')
    no.chmod(0o755)
    start = time.monotonic()
    done = program.restore("eager", "--restore-sibling", "--action-script", no, check=False)
    assert done.returncode == 1
    assert time.monotonic() - start < 5
    assert os.waitpid(subject.pid, WALL)[0] == subject.pid
    no.unlink()


def test_ends_its_daemon_and_nothing_else(victim, program, tmp_path):
    """A script's own background process is left alone; the daemon is gone when the command is."""
    subject = victim("mem_private")
    program.dump(subject.pid)
    subject.reap_killed()
    script = tmp_path / "script.sh"
    script.write_text('#!/bin/sh\ncase $CRTOOLS_SCRIPT_ACTION in\n'
                      f'pre-restore) sleep 60 </dev/null >/dev/null 2>&1 & echo $! >{tmp_path}/pid ;;\n'
                      'post-restore) exit 1 ;;\nesac\n')
    script.chmod(0o755)
    done = program.restore("lazy", "--action-script", script, check=False)
    assert done.returncode == 1
    assert not (program.images / "lazy-pages.socket").exists()
    background = int((tmp_path / "pid").read_text())
    assert "sleep" in proc.read(f"/proc/{background}/cmdline")
    leftovers.kill_children([background])
    script.unlink()
    program.restore("lazy")
    subject.finish()
