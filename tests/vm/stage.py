# SPDX-License-Identifier: Apache-2.0
"""What the VM tests, the demo and the benchmarks share: the guest image where the acting user can
read it, guests put on the networks of a lib.Site, and /dev/net/tun as distributions have it.
"""

import contextlib
import os
import shutil
import stat
import subprocess

import lib
from guest import Guest

IMAGE = lib.TOP / "build" / "guest"
CANNOT = 77  # the image script's status for "not on this machine"


class NoImage(Exception):
    """The guest image cannot be made here; the text says why."""


def guest_image(user, root):
    """Makes the guest image unless it is there; a folder with it that the user can read."""
    done = subprocess.run([lib.TOP / "tests/vm/guest/build", IMAGE], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300)
    if done.returncode == CANNOT:
        raise NoImage(done.stderr.strip())
    assert done.returncode == 0, f"guest/build: status {done.returncode}: {done.stderr}"
    files = [IMAGE / name for name in ("vmlinuz", "initrd.gz")]
    if all(user.can("test", "-r", file) for file in files):
        return IMAGE
    copy = root / "guest"
    copy.mkdir(exist_ok=True)
    for file in files:
        shutil.copy(file, copy)
    return copy


def workdir(site):
    """The folder of the site's guests."""
    folder = site.root / "vm"
    if not folder.exists():
        folder.mkdir()
        site.user.own(folder)
    return folder


def guest(site, image, name, networks=("shared",), **options):
    """A guest of that name on these networks (each what -n of vmlan run takes), or on none."""
    vmlan = [str(site.bin), "run"]
    for network in networks:
        vmlan += ["-n", f"{network},name={name}"]
    prefix = [*site.user.prefix, *([*vmlan, "--"] if networks else [])]
    return Guest(name, image, workdir(site), prefix=prefix, env=site.env, **options)


@contextlib.contextmanager
def open_tun():
    """/dev/net/tun for everybody, as distributions have it, where root runs this.

    Bare machine images let only root open it. Yields the mode it had if that was another one.
    """
    if os.geteuid() != 0 or not os.path.exists(lib.TUN):
        yield None
        return
    mode = stat.S_IMODE(os.stat(lib.TUN).st_mode)
    if mode == 0o666:
        yield None
        return
    os.chmod(lib.TUN, 0o666)
    try:
        yield mode
    finally:
        os.chmod(lib.TUN, mode)
