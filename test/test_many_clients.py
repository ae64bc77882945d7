# SPDX-License-Identifier: GPL-2.0
"""One source, many destinations at once; who does not read harms nobody else."""
import concurrent.futures
import contextlib
import os
import shutil
import subprocess

import pytest

from harness import paths, thin, wire
from harness.victim import wait_for

CLIENTS = 64

# A destination of its own: pids, and the directory where the victim says how it went.
DESTINATION = """
mount --bind "$HERE" "$LIVE" && cd "$HERE" || exit 9
"$CL" lazy-pages -D "$IMAGES" -W "$HERE" --page-server --port "$PORT" -v4 -o lazy.log &
n=0; while [ ! -e lazy-pages.socket ] && [ $n -lt 3000 ]; do sleep 0.01; n=$((n+1)); done
"$CL" restore -D "$IMAGES" -W "$HERE" --lazy-pages -d -v4 -o restore.log || exit 8
touch v.go
wait $! || exit 7
n=0; while [ ! -e v.result ] && [ $n -lt 3000 ]; do sleep 0.01; n=$((n+1)); done
"""


@pytest.fixture
def source(victim, program):
    """A page server of the images of a victim; the images' token, and their pages."""
    subject = victim("mem_events")
    program.dump(subject.pid)
    subject.reap_killed()
    thin.copy(program.images, program.images.with_name("thin"))
    program.port = program.start_source("page-server", "--keep-serving")
    program.token = (program.images / "lazy-source.img").read_bytes()[-32:]
    yield program
    program.source.terminate()
    program.source.wait(10)
    program.source = None


def client(program, expected):
    """All pages pushed, some of them asked for as well."""
    demand = wire.Channel(program.port, wire.DEMAND, program.token)
    with contextlib.closing(demand):
        assert demand.status == 0
        for at in list(expected)[:: max(1, len(expected) // 50)]:
            assert wire.fetch(demand, *at)[at] == expected[at]
    return wire.fetch_all(program.port, program.token) == expected


@pytest.mark.timeout_s(180)
def test_64_clients_get_the_same_pages(source):
    expected = wire.fetch_all(source.port, source.token)
    assert expected
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        assert all(pool.map(lambda _: client(source, expected), range(CLIENTS)))


@pytest.mark.timeout_s(180)
def test_slow_readers_harm_nobody(source):
    """They ask for everything, again and again, and read nothing."""
    expected = wire.fetch_all(source.port, source.token)
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            bulk = wire.Channel(source.port, wire.BULK, source.token)
            demand = wire.Channel(source.port, wire.DEMAND, source.token)
            stack.callback(bulk.close)
            stack.callback(demand.close)
            bulk.say(wire.OWED, wire.ALL)
            bulk.say(wire.START)
            demand.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for at in list(expected) * 10:
                    demand.say(wire.GET, number=at[0], vaddr=at[1], pages=1)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: client(source, expected), range(8)))


@pytest.mark.timeout_s(240)
def test_64_restores_of_one_image(tmp_path, victim, program):
    live, lean = tmp_path / "live", tmp_path / "thin"
    live.mkdir()
    process = subprocess.Popen(
        [paths.VICTIM_BINARIES / "mem_events", live / "v"], cwd=live, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: (live / "v.ready").exists(), 30, "sign of life")
    program.dump(process.pid)
    process.wait(10)
    thin.copy(program.images, lean)
    port = program.start_source("page-server", "--keep-serving")
    running = []
    for i in range(CLIENTS):
        here = tmp_path / f"copy{i}"
        shutil.copytree(live, here)
        environment = dict(os.environ, HERE=str(here), LIVE=str(live), IMAGES=str(lean),
                           PORT=str(port), CL=str(paths.BINARY))
        running.append(subprocess.Popen(
            ["unshare", "-pfm", "--kill-child", "--mount-proc", "sh", "-c", DESTINATION],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
    try:
        results = [process.wait(200) for process in running]
        said = [(tmp_path / f"copy{i}" / "v.result").read_text().strip() for i in range(CLIENTS)]
    finally:
        for process in running:
            process.kill()
            process.wait()
        program.source.terminate()
        program.source.wait(10)
        program.source = None
    assert results == [0] * CLIENTS
    assert said == ["ok"] * CLIENTS
