# SPDX-License-Identifier: Apache-2.0
"""An answer that nobody gets is no success, and who writes without end notices."""

import json
import signal

import pytest
from lib import wait_until

FULL = "cannot write to standard output: No space left on device\n"


@pytest.mark.sanitized
@pytest.mark.parametrize("words", ["--help", "--version", "check --json", "doctor"])
def test_full_disk(site, words):
    done = site.run("sh", "-c", 'exec "$@" >/dev/full', "sh", site.bin, *words.split(), check=False)
    assert done.returncode == 1 and done.stderr.endswith(FULL)


def test_closed(site):
    """Nor does the answer go to a file that got the number of standard output meanwhile."""
    done = site.run("sh", "-c", 'exec "$@" <&- >&-', "sh", site.bin, "check", check=False)
    assert done.returncode == 1
    assert done.stderr == "vmlan check: cannot write to standard output: Bad file descriptor\n"


@pytest.mark.engine
@pytest.mark.sanitized
def test_a_reader_that_goes(site):
    """events ends with its reader, though nothing happens: while it waits for a network, and after."""
    waiting = site.popen("events")
    waiting.stdout.close()
    assert waiting.wait(10) == -signal.SIGPIPE
    site.vmlan("up", "shared")
    watching = site.popen("events")
    wait_until(lambda: '"ready"' in watching.stdout.readline(), what="what there is")
    watching.stdout.close()
    assert watching.wait(10) == -signal.SIGPIPE


@pytest.mark.engine
@pytest.mark.parametrize("words", ["events", "top --interval 0.1"])
def test_output_without_end_to_a_full_disk(site, words):
    site.vmlan("up", "shared")
    done = site.run("sh", "-c", 'exec "$@" >/dev/full', "sh", site.bin, *words.split(), check=False)
    assert done.returncode == 1 and "cannot write to standard output: " in done.stderr


@pytest.mark.engine
def test_json_is_json(site):
    """Also of the verbs whose answer is a text otherwise."""
    site.vmlan("up", "shared")
    both = json.loads(site.vmlan("inspect", "shared", "--rules", "--services", "--json").stdout)
    assert both["rules"].startswith("table ") and "dhcp-range=" in both["services"]
    text = site.vmlan("inspect", "shared", "--services", "--rules").stdout
    assert text == both["rules"] + both["services"]
    [network] = json.loads(site.vmlan("metrics", "--json").stdout)
    assert network["network"] == "shared" and network["ports"] == []
