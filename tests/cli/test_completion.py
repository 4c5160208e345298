# SPDX-License-Identifier: Apache-2.0
"""Completion: what vmlan offers, and that bash, zsh and fish offer it."""

import os
import pty
import select
import shutil
import time

import lib
import pytest

SHARE = lib.TOP / "share/completions"

# What is typed, and what can follow: the words alone.
OFFERS = [
    (["r"], ["run"]),
    (["no-such"], []),
    (["do"], ["down", "doctor"]),
    (["run", ""], ["alpha", "beta"]),
    (["run", "alpha", "b"], ["beta"]),
    (["run", "-n", "a"], ["alpha"]),
    (["run", "--network", ""], ["alpha", "beta"]),
    (["run", "--inst"], ["--instance"]),
    (["run", "--instance", ""], [":files"]),
    (["--debug", "up", ""], ["alpha", "beta"]),
    (["--log-level", ""], ["trace", "debug", "info", "warn", "error"]),
    (["--log-format", "j", ], ["json"]),
    (["--log-format", "json", "up", "a"], ["alpha"]),
    (["up", "alpha", ""], []),
    (["down", "alpha", "b"], ["beta"]),
    (["forward", "alpha", ""], ["add", "rm", "ls"]),
    (["forward", "alpha", "r"], ["rm"]),
    (["forward", "alpha", "add", ""], []),
    (["service", "un"], ["unregister"]),
    (["check", ""], [":files"]),
    (["leases", "--wait", "x", "b"], ["beta"]),
    (["leases", "--wait", ""], []),
    (["run", "alpha", "--", ""], [":command 3"]),
    (["run", "--", "qemu", "--he"], [":command 2"]),
    (["frob", ""], None),  # not a verb: a verb may still follow
]


@pytest.fixture
def shell_site(site):
    """Also with the shells' scripts where its user can read them."""
    shutil.copytree(SHARE, site.root / "completions")
    site.config("vmnet:\n  alpha: {}\n  beta: {mode: host}\n")
    return site


@pytest.mark.sanitized
def test_offers(shell_site):
    for typed, wanted in OFFERS:
        lines = shell_site.vmlan("--complete", "--", *typed).stdout.splitlines()
        words = [line.partition("\t")[0] for line in lines]
        if wanted is None:
            assert "run" in words and "doctor" in words
        else:
            assert words == wanted, typed
    assert shell_site.processes() == []


@pytest.mark.sanitized
def test_offers_help_texts(shell_site):
    assert shell_site.vmlan("--complete", "--", "le").stdout == (
        "leases\tlist the addresses that were given out\n")
    assert shell_site.vmlan("--complete", "--").stdout.startswith("run\trun a VM on networks\n")


def test_every_verb_is_offered(shell_site):
    offered = shell_site.vmlan("--complete", "--", "").stdout.splitlines()
    for line in offered:
        verb, _, summary = line.partition("\t")
        assert shell_site.vmlan(verb, "--help").stdout.splitlines()[2] == summary
    assert len(offered) > 10


def test_running_network_that_is_not_configured(shell_site):
    if reason := lib.missing_engine(shell_site.user):
        pytest.skip(reason)
    other = shell_site.write("other.yaml", "vmnet:\n  gamma: {}\n")
    shell_site.vmlan("--config", other, "up", "gamma")
    assert shell_site.vmlan("--complete", "--", "down", "").stdout == "alpha\nbeta\ngamma\n"


def bash(site, *typed):
    """What bash would offer, as its completion machinery calls the function."""
    script = (f"source {site.root}/completions/vmlan.bash; COMP_WORDS=(\"$@\"); "
              "COMP_CWORD=$(($# - 1)); _vmlan; printf '%s\\n' \"${COMPREPLY[@]}\"")
    return site.run("bash", "--norc", "-c", script, "bash", "vmlan", *typed).stdout.split()


def test_bash(shell_site):
    assert bash(shell_site, "do") == ["down", "doctor"]
    assert bash(shell_site, "up", "") == ["alpha", "beta"]
    shell_site.write("some.yaml", "")
    assert "some.yaml" in bash(shell_site, "check", "some")
    assert "sleep" in bash(shell_site, "run", "alpha", "--", "sle")
    assert bash(shell_site, "up", "alpha", "") == []


def typed_at(command, keys, wanted, env):
    """What a shell on a terminal prints when keys are typed, until it has wanted in it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, env)
    seen = b""
    try:
        deadline = time.monotonic() + 20
        while wanted not in seen and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    seen += os.read(terminal, 65536)
                except OSError:
                    break
            if keys and b"@READY@" in seen:
                os.write(terminal, keys)
                keys, seen = b"", b""
    finally:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    return seen


def test_bash_on_a_terminal(shell_site):
    """Really typed: the word is completed behind the cursor, and the command runs."""
    script = shell_site.root / "completions/vmlan.bash"
    rc = shell_site.write("rc", f"PS1='@READY@ '\nsource {script}\n")
    command = [*shell_site.user.prefix, "bash", "--noprofile", "--rcfile", str(rc), "-i"]
    seen = typed_at(command, b"echo vmlan; vmlan insp\talp\t--hel\t\n", b"all that is known",
                    {**shell_site.env, "TERM": "dumb"})
    assert b"vmlan inspect alpha --help" in seen and b"all that is known of a network" in seen


@pytest.mark.needs("zsh")
def test_zsh_reads_it(shell_site):
    shell_site.run("zsh", "-fn", shell_site.root / "completions/_vmlan")


@pytest.mark.needs("zsh")
def test_zsh_on_a_terminal(shell_site):
    scripts = shell_site.root / "completions"
    shell_site.write("home/.zshrc", f"autoload -Uz compinit; fpath=({scripts} $fpath); "
                     "compinit -u -D; PS1='@READY@ '; unsetopt zle_bracketed_paste\n")
    command = [*shell_site.user.prefix, "zsh", "-i"]
    seen = typed_at(command, b"vmlan insp\talp\t--hel\t\n", b"all that is known",
                    {**shell_site.env, "TERM": "dumb"})
    assert b"all that is known of a network" in seen


@pytest.mark.needs("fish")
def test_fish(shell_site):
    script = shell_site.root / "completions/vmlan.fish"
    shell_site.run("fish", "--no-execute", script)
    done = shell_site.run("fish", "--private", "-c", f"source {script}; "
                          "complete -C 'vmlan up '; complete -C 'vmlan le'")
    assert done.stdout.splitlines() == ["alpha", "beta",
                                        "leases\tlist the addresses that were given out"]
