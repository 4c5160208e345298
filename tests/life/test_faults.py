# SPDX-License-Identifier: Apache-2.0
"""Each system call of a role may fail, here for want of a descriptor: who asked gets an answer or
is told why not, in one line; no role crashes, the next command works, and nothing is left.

VMLAN_FAULTS=1 fails every call (some minutes); otherwise it is one in VMLAN_FAULTS (11), other ones
for each role.
"""

import os
import re
import shutil
from pathlib import Path

import lib
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.needs("cc"), pytest.mark.limit(600)]

STEP = int(os.environ.get("VMLAN_FAULTS", 11))
CALLS_MAX = 1000
TOLD = re.compile(r"vmlan join: [ -~]+\n")


@pytest.fixture(scope="module")
def library(test_root):
    folder = test_root / "faults"
    folder.mkdir()
    yield lib.preloaded(Path(__file__).with_name("faults.c"), folder)
    shutil.rmtree(folder)


def fail_once(user, vmlan_bin, test_root, library, role, number):
    """What happened when that call of the role failed: False if there is none with that number."""
    with lib.Site(user, vmlan_bin, test_root) as site:
        site.config("vmnet:\n  lan: {subnet: 192.168.120.0/24, linger: 0}\n")
        happened = site.root / site.write("faults", "")
        usual = dict(site.env)
        site.env.update(LD_PRELOAD=str(library), FAULT_ROLE=role, FAULT_NUMBER=str(number),
                        FAULT_FILE=str(happened))
        join = ["join", "lan", "--", "echo", "ran"]
        done = [site.vmlan(*join, check=False) for _ in range(2)]
        told = happened.read_text()
        done.append(site.vmlan(*join, check=False))
        site.env = usual
        where = f"{role}, call {number} ({told.strip()}): {done}\n{site.log()}"
        assert "signal" not in told, where
        assert all(one.stdout == "ran\n" or TOLD.fullmatch(one.stderr) for one in done), where
        assert done[-1].stdout == "ran\n" or not told, where
    return bool(told)


@pytest.mark.parametrize("start, role", enumerate(["broker", "holder", "forwarder"], 1))
def test_calls_that_fail_once(vm_user, vmlan_bin, test_root, library, start, role):
    for number in range(start, CALLS_MAX, STEP):
        if not fail_once(vm_user, vmlan_bin, test_root, library, role, number):
            assert number > 50, "the role makes more calls than that"
            return
