# SPDX-License-Identifier: Apache-2.0
"""docs/protocol.md keeps its word: it has the interface as it is, and its example works."""

import re
import subprocess

import lib
import pytest

PAGE = lib.TOP / "docs" / "protocol.md"


def test_page_has_the_interface_as_it_is():
    done = subprocess.run([lib.TOP / "tools" / "protocol-doc", "--check"], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.engine
def test_the_example_works(site):
    (program,) = re.findall(r"^```python\n(.*?)^```\n", PAGE.read_text(), re.M | re.S)
    site.vmlan("up", "shared")
    lines = site.run("/usr/bin/python3", "-", input=program).stdout.splitlines()
    assert re.fullmatch(r"vm0 52:55:57(:[0-9a-f]{2}){3} on shared", lines[0])
    assert re.fullmatch(r"192\.168\.107\.1 is at 52:55:56(:[0-9a-f]{2}){3}", lines[1])
