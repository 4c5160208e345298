# SPDX-License-Identifier: Apache-2.0
"""kill_broker.py RUNTIME: kills the broker of that directory and waits until it is gone; calls.c
runs it between two steps. (The socket does not tell who it is: a client made it.)"""

import os
import select
import signal
import sys
from pathlib import Path

mark = f"VMLAN_RUNTIME_DIR={sys.argv[1]}".encode()
for folder in Path("/proc").glob("[0-9]*"):
    try:
        if (folder / "comm").read_text() != "vmlan-broker\n":
            continue
        pidfd = os.pidfd_open(int(folder.name))
        if mark in (folder / "environ").read_bytes().split(b"\0"):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            sys.exit(0 if select.select([pidfd], [], [], 10)[0] else "it does not end")
    except OSError:
        continue  # ended meanwhile, or somebody else's
sys.exit("there is no broker")
