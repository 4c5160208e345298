# SPDX-License-Identifier: Apache-2.0
"""A real "systemd --user" for the acting user of the tests, in control groups and a mount namespace
of its own, which lets it run also where the machine was not started by systemd. Only root can make
these: others skip.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from lib import wait_gone, wait_until

SYSTEMD = "/lib/systemd/systemd"
HIERARCHIES = [Path("/sys/fs/cgroup") / name for name in ("systemd", "unified", "")]

# systemd asks whether the machine runs it, and looks at /run/systemd/system. Then: into the control
# groups, become the user, be the manager.
START = """
mount -t tmpfs none /run && mkdir -p /run/systemd/system
for group in $GROUPS_MADE; do echo $$ >$group/cgroup.procs || exit 1; done
unset GROUPS_MADE
exec "$@"
"""


class Manager:
    """The manager of a site's user; close() ends it and all it started."""

    def __init__(self, site):
        self.site = site
        runtime = site.root / "xdg"
        runtime.mkdir(mode=0o700)
        site.env["XDG_RUNTIME_DIR"] = str(site.user.own(runtime))
        self.groups = list(self._groups())
        self.log = open(site.root / "manager.log", "wb")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", START, "sh",
             *site.user.prefix, SYSTEMD, "--user", "--log-target=console", "--unit=basic.target"],
            env={**site.env, "GROUPS_MADE": " ".join(map(str, self.groups))}, cwd=site.root,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            wait_until(lambda: self.systemctl("is-active", "basic.target", check=False)
                       .stdout == "active\n", what="the service manager")
        except BaseException:
            self.close()
            raise

    def _groups(self):
        for base in HIERARCHIES:
            if (base / "cgroup.procs").exists():
                group = base / f"vmlan-test-{os.getpid()}-{self.site.root.name}"
                group.mkdir()
                for path in (group, *group.iterdir()):
                    self.site.user.own(path)
                yield group

    def systemctl(self, *words, **options):
        return self.site.run("systemctl", "--user", *words, **options)

    def main_pid(self):
        """The pid of the broker's service, 0 when it does not run."""
        done = self.systemctl("show", "--property=MainPID", "--value", "vmlan.service")
        return int(done.stdout)

    def state(self, unit="vmlan.service"):
        return self.systemctl("is-active", unit, check=False).stdout.strip()

    def close(self):
        if self.process.poll() is None:
            self.systemctl("exit", check=False)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        for group in self.groups:
            pids = [int(pid) for path in group.rglob("cgroup.procs")
                    for pid in path.read_text().split()]
            wait_gone(pids, 5)
            for folder, _, _ in os.walk(group, topdown=False):
                os.rmdir(folder)


def missing_manager(site):
    """Why no manager can run here, or None."""
    if os.geteuid() != 0:
        return "only root can make control groups for a systemd of its own"
    if not os.path.exists(SYSTEMD) or not shutil.which("systemctl"):
        return "systemd is not installed"
    with contextlib.suppress(OSError, StopIteration):
        base = next(base for base in HIERARCHIES if (base / "cgroup.procs").exists())
        probe = base / f"vmlan-probe-{os.getpid()}"
        probe.mkdir()
        probe.rmdir()
        return None
    return "no control group can be made here"
