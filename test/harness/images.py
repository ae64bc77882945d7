# SPDX-License-Identifier: GPL-2.0
"""The distribution's crit as judge of our images."""
import shutil
import subprocess
import sys

from .victim import Failure

# Not messages: raw pages, logs, sockets, figures of ours. See Documentation/image-extensions.md.
RAW = ("pages-", "parent", "task-ext-", "lazy-source")


def image_files(directory):
    return sorted(path for path in directory.glob("*.img") if not path.name.startswith(RAW))


def decode_in_process(path):
    """The code behind crit, without starting it for each file."""
    from pycriu import images
    with open(path, "rb") as file:
        return images.load(file, True)


def decode_by_command(path):
    done = subprocess.run(["crit", "decode", "-i", path], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failure(f"crit decode {path}: {done.stdout[-300:]}")


def decoder():
    """A function that decodes one file or raises; None without a crit."""
    try:
        import pycriu  # noqa: F401
        return decode_in_process
    except ImportError:
        return decode_by_command if shutil.which("crit") else None


def check_all(directory):
    decode = decoder()
    if not decode:
        print("crit is not installed: images are not decoded", file=sys.stderr)
        return
    for path in image_files(directory):
        try:
            decode(path)
        except Failure:
            raise
        except Exception as error:  # whatever the tool dies of is our image's fault
            raise Failure(f"crit cannot decode {path.name}: {error!r}") from error
