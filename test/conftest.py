# SPDX-License-Identifier: GPL-2.0
"""Fixtures of all tests: a program in a directory of its own, a clock, and a look around afterwards."""
import ctypes
import os
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import leftovers, paths  # noqa: E402
from harness.program import Program  # noqa: E402
from harness.victim import Victim  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
DEFAULT_TIMEOUT = 90
counts = {"passed": 0, "failed": 0, "skipped": 0}


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    """Restored processes outlive the command that made them; then they are ours to wait for."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.geteuid() != 0:
        pytest.exit("run as root: sudo scripts/test", returncode=2)
    made = subprocess.run(["make", "-s", "-C", paths.ROOT, "all", "victims"], check=False)
    if made.returncode:
        pytest.exit("make failed", returncode=2)


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        if not (report.when == "teardown" and report.outcome == "passed"):
            counts[report.outcome] += 1


def pytest_sessionfinish(session):
    directory = paths.ROOT / "build" / "test"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "counts").write_text(
        f"{counts['passed']} {counts['failed']} {counts['skipped']}\n")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    report.sections.append(("rerun", f"sudo scripts/test -k '{item.name}'"))
    program = item.funcargs.get("program") if hasattr(item, "funcargs") else None
    if program:
        report.sections.append(("commands", "\n".join(program.commands)))
        report.sections.append(("logs", "\n".join(program.log_tails())))


@pytest.fixture(autouse=True)
def clock(request):
    """Each test ends in time: @pytest.mark.timeout_s(N)."""
    marker = request.node.get_closest_marker("timeout_s")
    seconds = marker.args[0] if marker else DEFAULT_TIMEOUT

    def too_late(number, frame):
        raise TimeoutError(f"test took more than {seconds} s")
    old = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture(autouse=True)
def nothing_left(clock):
    before = leftovers.state()
    yield
    left = leftovers.check(before)
    assert not left, "left behind: " + "; ".join(left)


def pytest_configure(config):
    config.addinivalue_line("markers", "timeout_s(seconds): how long the test may take")


@pytest.fixture
def program(tmp_path, nothing_left):
    """criu-lazy with an image directory of its own."""
    made = Program(tmp_path)
    yield made
    for process in (made.daemon, made.source):
        if process and process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def victim(tmp_path, nothing_left):
    """victim(name): a started victim that is ready. Skips the test if it cannot run here."""
    made = []

    def start(name):
        one = Victim(name, tmp_path)
        made.append(one)
        one.start()
        if one.skipped():
            one.wait(10)
            pytest.skip(one.skipped())
        return one
    yield start
    for one in made:
        if one.process and one.process.returncode is None:
            leftovers.kill_children([one.pid])
            one.process.returncode = -signal.SIGKILL
