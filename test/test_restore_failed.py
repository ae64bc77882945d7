# SPDX-License-Identifier: GPL-2.0
"""A restore that fails late leaves everything that the next try needs."""


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
