# SPDX-License-Identifier: GPL-2.0
"""The command line: what is refused is refused in one sentence, with nothing changed."""
import re
import subprocess

import pytest
from harness import paths

MANUAL = paths.ROOT / "Documentation" / "criu-lazy.adoc"


def run(*args, env=None, cwd=None):
    return subprocess.run([paths.BINARY, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=20, env=env, cwd=cwd)


def test_version_is_one_that_clients_parse():
    out = run("--version").stdout.splitlines()
    assert out[0] == "Version: 4.2"
    assert out[1].startswith("criu-lazy: ")
    assert run("-V").stdout.splitlines() == out


def test_help_names_every_command():
    done = run("--help")
    assert done.returncode == 0 and not done.stderr
    for command in "dump restore lazy-pages check".split():
        assert f"\n  {command} " in done.stdout, command


def test_no_command_prints_usage():
    done = run()
    assert done.returncode == 1 and done.stderr.startswith("Usage:")


@pytest.mark.parametrize("args, text", [
    (["nosuch"], "unknown command: nosuch"),
    (["dump", "--nosuch"], "unknown option --nosuch"),
    (["dump", "-Z"], "unknown option -Z"),
    (["dump"], "-t"),
    (["dump", "-t"], "--tree needs an argument"),
    (["dump", "-t", "abc"], "--tree: bad value abc"),
    (["dump", "-t", "0"], "--tree: bad value 0"),
    (["dump", "-t", "99999999999"], "--tree: bad value"),
    (["dump", "-t", "1", "-D", "/nonexistent"], "images directory /nonexistent"),
    (["dump", "-t", "1", "-W", "/nonexistent"], "work directory /nonexistent"),
    (["dump", "-t", "1", "-o", "/nonexistent/log"], "log file /nonexistent/log"),
    (["restore", "--stream"], "--stream is not supported yet"),
    (["restore", "-v4x"], "--verbosity: bad value 4x"),
    (["restore", "--ghost-limit", "1X"], "--ghost-limit: bad value 1X"),
    (["restore", "--lazy-pages=yes"], "--lazy-pages takes no argument"),
    (["restore", "--on-daemon-loss", "zeros"], "--on-daemon-loss: bad value zeros"),
    (["restore", "--config", "/nonexistent"], "config file /nonexistent"),
    (["pre-dump", "-t", "1"], "pre-dump is not supported yet"),
    (["check", "--feature", "nosuch"], "Unknown feature nosuch"),
])
def test_refusals(args, text, tmp_path):
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if "Error" in line]
    assert len(errors) == 1 and text in errors[0], done.stderr
    assert not list(tmp_path.iterdir())


def test_dump_of_a_pid_that_is_not_there(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    done = run("dump", "-t", str(gone.pid), "-D", str(tmp_path))
    assert done.returncode == 1 and str(gone.pid) in done.stderr
    assert not list(tmp_path.glob("inventory.img"))


def test_restore_of_an_empty_directory(tmp_path):
    done = run("restore", "-d", "-D", str(tmp_path))
    assert done.returncode == 1 and "inventory" in done.stderr


def test_log_goes_to_the_work_directory(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "images").mkdir()
    run("restore", "-D", tmp_path / "images", "-W", tmp_path / "work", "-o", "my.log")
    assert "Error" in (tmp_path / "work" / "my.log").read_text()


def test_config_files_come_before_the_command_line(tmp_path):
    (tmp_path / ".criu").mkdir()
    (tmp_path / ".criu" / "default.conf").write_text("# ours\nverbosity 3\n")
    env = {"HOME": str(tmp_path)}
    assert "Version:" in run("check", env=env).stderr
    assert "Version:" not in run("check", "--no-default-config", env=env).stderr
    assert "Version:" not in run("check", "-v2", env=env).stderr
    (tmp_path / ".criu" / "default.conf").write_text("nosuch 1\n")
    done = run("check", env=env)
    assert done.returncode == 1 and "default.conf:1: unknown option nosuch" in done.stderr


def test_check_looks_good_and_every_listed_feature_has_an_answer():
    assert run("check").stdout.strip() == "Looks good."
    names = run("check", "--feature", "list").stdout.split()
    assert "uffd-noncoop" in names and len(names) > 40
    for name in names:
        done = run("check", "--feature", name)
        assert (done.returncode == 0) == (done.stdout.strip() == f"{name} is supported"), name


def test_accepted_options_are_mentioned():
    done = run("check", "-v3", "--ghost-fiemap")
    assert "--ghost-fiemap has no effect" in done.stderr


def options_in_help():
    """name -> (letter, takes: no, yes or maybe, the text)."""
    found = {}
    text = re.sub(r"\n {20,}", "  ", run("--help").stdout)  # of an option with a long value
    for line in text.splitlines():
        match = re.match(r"  (?:-(\w)\||   )--([\w-]+)(\[=\S+)?( [^ ]+)? +(.*)", line)
        if match:
            letter, name, maybe, value, text = match.groups()
            found[name] = (letter, "maybe" if maybe else "yes" if value else "no", text)
    return found


def options_in_manual():
    """The same from the manual; options that follow one another at once share a text."""
    found, names, text = {}, [], ""
    for line in MANUAL.read_text().partition("== OPTIONS")[2].splitlines():
        match = re.match(r"(?:\*-(\w)\*(?:\[__\w+__\])?, )?\*--([\w-]+)\*(\[=)?(.*)::$", line)
        if match:
            letter, name, maybe, value = match.groups()
            names, text = (names if not text else []) + [name], ""
            found[name] = (letter, "maybe" if maybe else "yes" if value.strip() else "no", "")
        else:
            text += line.lower()
            found.update({name: (*found[name][:2], text) for name in names})
    return found


def test_manual_and_help_have_the_same_options():
    told, written = options_in_help(), options_in_manual()
    assert len(told) > 70
    assert set(told) == set(written)
    for name, (letter, takes, text) in told.items():
        assert (letter, takes) == written[name][:2], name
        for word in "no effect", "not supported yet":
            assert (word in text) == (word in written[name][2]), (name, word)


def test_manual_and_help_have_the_same_commands():
    lines = run("--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    told = {line.split()[0] for line in lines}
    text = MANUAL.read_text()
    assert told == set(re.findall(r"^=== \*([a-z-]+)\*", text, re.MULTILINE))
    for name in told:
        if (MANUAL.parent / f"criu-lazy-{name}.adoc").exists():
            assert f"*criu-lazy-{name}*(8)" in text, name


def test_no_manual_names_an_option_that_is_not_there():
    known = options_in_help()
    for path in MANUAL.parent.glob("*.adoc"):
        for name in re.findall(r"\*--([\w-]+)", path.read_text()):
            assert name in known or name.removeprefix("no-") in {*known, "NAME"}, \
                f"{path.name}: --{name}"


def test_action_scripts_see_every_stage(tmp_path, victim, program):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho $CRTOOLS_SCRIPT_ACTION $CRTOOLS_INIT_PID "
                      f"$(basename $CRTOOLS_IMAGE_DIR) >>{tmp_path}/stages\n")
    script.chmod(0o755)
    subject = victim("mem_stack")
    program.dump(subject.pid, "--action-script", "script")
    subject.reap_killed()
    program.restore("eager", "--action-script", script)
    subject.finish()
    assert (tmp_path / "stages").read_text().splitlines() == [
        f"pre-dump {subject.pid} images", f"post-dump {subject.pid} images",
        "pre-restore images", *(f"{stage} {subject.pid} images" for stage in (
            "setup-namespaces", "post-setup-namespaces", "post-restore", "pre-resume", "post-resume"))]


def test_a_failing_script_stops_the_dump(tmp_path, victim, program):
    (tmp_path / "script").write_text('#!/bin/sh\n[ $CRTOOLS_SCRIPT_ACTION != post-dump ]\n')
    (tmp_path / "script").chmod(0o755)
    subject = victim("mem_stack")
    done = program.dump(subject.pid, "--action-script", "script", check=False)
    assert done.returncode == 1 and "script" in program.errors(done.log)
    assert not (program.images / "inventory.img").exists()
    subject.finish()
