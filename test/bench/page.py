# SPDX-License-Identifier: GPL-2.0
"""Write the performance page and its plot (plain SVG bars: ours as a share of the peer's)."""

import datetime
import os
import platform

BAR, GAP, LEFT, WIDTH = 18, 10, 220, 420

INTRO = """# Performance

Written by `make bench PEER=/path/to/criu` on {date}: Linux {kernel}, {cpus} CPUs. Both tools did the same work in
one run, {rounds} rounds, alternating; figures are medians. Read the ratios: such machines are noisy, the
milliseconds belong to that hour. "first reply" counts from the start of `restore --lazy-pages` to the first right
answer; "all pages" to the end of the lazy-pages daemon; get p50/p99 are single-key requests while pages arrive;
"fault" is a touch of a page that was not there yet; "wrong" counts wrong bytes seen and must be 0.

"""


def plot(rows, goals):
    """rows: (label, ratio, goal). Returns SVG text."""
    top = max([1.0] + [ratio for _, ratio, _ in rows])
    height = len(rows) * (BAR + GAP) + 40
    scale = WIDTH / top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 80}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="16">time as a share of the peer (less is better; | is the goal)</text>',
    ]
    for i, (label, ratio, goal) in enumerate(rows):
        y = 28 + i * (BAR + GAP)
        parts.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{label}</text>')
        colour = "#2a7" if goal is None or ratio <= goal else "#c63"
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{ratio * scale:.1f}" height="{BAR}" fill="{colour}"/>'
        )
        parts.append(f'<text x="{LEFT + ratio * scale + 4:.1f}" y="{y + 13}">{ratio:.2f}</text>')
        if goal:
            x = LEFT + goal * scale
            parts.append(
                f'<line x1="{x:.1f}" y1="{y - 3}" x2="{x:.1f}" y2="{y + BAR + 3}" stroke="black"/>'
            )
    parts.append(
        f'<line x1="{LEFT + scale:.1f}" y1="24" x2="{LEFT + scale:.1f}" y2="{height - 8}" '
        'stroke="#888" stroke-dasharray="4"/></svg>'
    )
    return "\n".join(parts) + "\n"


def ratios(results, median_of, goals):
    rows = []
    for bench, per_tool in results.items():
        ours, peer = median_of(per_tool.get("ours", [])), median_of(per_tool.get("peer", []))
        for key, value in ours.items():
            if key.endswith(("_s", "_us")) and peer.get(key):
                rows.append((f"{bench} {key.rsplit('_', 1)[0]}", value / peer[key],
                             goals.get((bench, key))))  # fmt: skip
    return rows


def write(folder, results, text, args, median_of, goals):
    intro = INTRO.format(
        date=datetime.date.today(),
        kernel=platform.release().split("-")[0],
        cpus=os.cpu_count(),
        rounds=args.rounds,
    )
    rows = ratios(results, median_of, goals)
    picture = ""
    if rows:
        (folder / "performance.svg").write_text(plot(rows, goals))
        picture = "\n![time as a share of the peer](performance.svg)\n"
    (folder / "performance.md").write_text(intro + text + "\n" + picture)
