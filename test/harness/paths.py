# SPDX-License-Identifier: GPL-2.0
"""Where things are."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("CRIU_LAZY", ROOT / "criu-lazy" / "criu-lazy"))
VICTIM_SOURCES = ROOT / "test" / "victims"
VICTIM_BINARIES = ROOT / "build" / "victims"
