# SPDX-License-Identifier: Apache-2.0
"""The plugins of limactl, found and called as limactl does it (pkg/plugins of Lima 2): executable
regular files named limactl-NAME on PATH, with a description in scripts.
"""

import os
import re
import shutil
import stat

import lib
import pytest

SHARE = lib.TOP / "share/lima"


@pytest.fixture
def lima(site):
    """The plugins where they are installed: beside vmlan, on PATH."""
    folder = site.root / "bin"
    folder.mkdir()
    for path in SHARE.glob("limactl-*"):
        shutil.copy(path, folder)
    site.env["PATH"] = f"{folder}:{site.env['PATH']}"
    return site


def plugins(site):
    """name -> description, as limactl discovers them."""
    found = {}
    for folder in site.env["PATH"].split(":"):
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            name = entry.name.removeprefix("limactl-")
            mode = entry.stat().st_mode
            if name == entry.name or name in found or not stat.S_ISREG(mode) or not mode & 0o111:
                continue
            text = open(entry.path, encoding="utf-8").read()
            match = re.search(r"<limactl-desc>(.*?)</limactl-desc>", text)
            found[name] = match[1] if text.startswith("#!") and match else ""
    return found


def limactl(site, *words, **options):
    """What limactl runs: the plugin named by the first word that is not a flag of its own."""
    name, *rest = words
    return site.run(shutil.which(f"limactl-{name}", path=site.env["PATH"]), *rest, **options)


def test_found_by_name(lima):
    assert plugins(lima) == {"vmlan": "Named local networks for VMs, without root (vmlan)",
                             "vmnet": "Run vmnet"}


def test_vmnet_help(lima):
    for words in ((), ("--help",), ("-h",), ("--debug",), ("--log-level", "debug", "-y")):
        done = limactl(lima, "vmnet", *words)
        assert done.stdout.startswith("Run vmnet\n") and done.stderr == ""
        for flag in ("--unregister-mach-service", "-h, --help", "--debug", "--log-format string",
                     "--log-level string", "--tty", "-y, --yes"):
            assert flag in done.stdout


def test_vmnet_unregister(lima):
    for flags in ((), ("--debug",), ("--tty=false", "--log-format=json"), ("-y",),
                  ("--log-level", "fatal")):
        done = limactl(lima, "vmnet", *flags, "--unregister-mach-service")
        assert (done.stdout, done.stderr) == ("not registered: there is nothing to remove\n", "")


def test_vmnet_unregisters_what_was_registered(lima):
    lima.write("systemctl", "#!/bin/sh\n").chmod(0o755)
    lima.env["VMLAN_SYSTEMCTL"] = str(lima.root / "systemctl")
    limactl(lima, "vmlan", "service", "register")
    folder = lima.root / "config/systemd/user"
    assert (folder / "vmlan.socket").exists()
    limactl(lima, "vmnet", "--unregister-mach-service")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("words, reason", [
    (["--frob"], "unknown flag: --frob"),
    (["frob"], 'unknown command "frob"'),
    (["--log-level"], "flag needs an argument: --log-level"),
    (["--mach-service", "io.lima-vm.vmnet"],
     "there are no Mach services on Linux: vmlan service register has systemd start vmlan")])
def test_vmnet_refuses(lima, words, reason):
    done = limactl(lima, "vmnet", *words, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"limactl vmnet: {reason}; limactl vmnet --help\n"


def test_vmlan_has_all_of_vmlan(lima):
    assert limactl(lima, "vmlan", "--tty", "-y", "--debug", "ls", "--json").stdout == "[]\n"
    assert limactl(lima, "vmlan").stdout == lima.vmlan("--help").stdout
    done = limactl(lima, "vmlan", "--log-level", "warning", "check", "/nonexistent", check=False)
    assert done.returncode == 1 and done.stderr.startswith("/nonexistent: can't be read")
    done = limactl(lima, "vmlan", "--log-level=panic", "run", "--", "echo", check=False)
    assert done.stderr.startswith("vmlan run: no network is named")


@pytest.mark.engine
def test_vmlan_leaves_commands_alone(lima):
    done = limactl(lima, "vmlan", "-y", "join", "shared", "--", "printf", "%s.", "-y", "--tty", "",
                   "a b")
    assert done.stdout == "-y.--tty..a b."


def test_networks_of_lima(lima):
    """The section vmnet of Lima's networks.yaml, with keys of Lima's beside it."""
    lima.write("lima/_config/networks.yaml",
               "paths:\n  socketVMNet: /opt/socket_vmnet\ngroup: everyone\n"
               "networks:\n  user-v2: {mode: user-v2}\n"
               "vmnet:\n  shared: {mode: shared, subnet: 192.168.105.0/24}\n  debug: {}\n")
    done = limactl(lima, "vmlan", "check", "--json")
    assert '"shared"' in done.stdout and '"debug"' in done.stdout and "user-v2" not in done.stdout
