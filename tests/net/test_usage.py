# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a command line is said in one line, and nothing is started for it."""

import lib
import pytest

RUN = "usage: vmlan run [options] [NET…] -- CMD …"
JOIN = "usage: vmlan join [options] NET -- CMD …"
TOP = "usage: vmlan VERB …; vmlan --help lists the verbs"
NAMES = "use 1 to 32 of a-z, 0-9, - and _, a letter or digit first and last"
BUILT_IN = "there are shared, host (built-in defaults)"
QUEUES = "not a number of queues; use 1 to 16"
MISSING = "the command to run is missing: write it behind --"

# Words of the command line, and what is said. Status 2: how the words stand.
USAGE = [
    ("", f"vmlan: no verb; {TOP}"),
    ("--bogus", f"vmlan: unknown option --bogus; {TOP}"),
    ("-x ls", f"vmlan: unknown option -x; {TOP}"),
    ("frob", f"vmlan: unknown verb frob; {TOP}"),
    ("insepct", "vmlan: unknown verb insepct; did you mean inspect? vmlan --help lists the verbs"),
    ("help frob", f"vmlan: unknown verb frob; {TOP}"),
    ("broker", f"vmlan: unknown verb broker; {TOP}"),
    ("holder shared", f"vmlan: unknown verb holder; {TOP}"),
    ("--config", f"vmlan: an argument is missing after --config; {TOP}"),
    ("--log-level", f"vmlan: an argument is missing after --log-level; {TOP}"),
    ("--log-level loud ls", "vmlan ls: unknown log level loud; use trace, debug, info, "
                            "warn or error"),
    ("ls --log-format xml", "vmlan ls: unknown log format xml; use text or json"),
    ("ls extra", "vmlan ls: unexpected argument extra; usage: vmlan ls"),
    ("ls -xh", "vmlan ls: unknown option -x; usage: vmlan ls"),
    ("ls --json=5", "vmlan ls: unknown option --json=5; usage: vmlan ls"),
    ("ls -- true", "vmlan ls: takes no command behind --; usage: vmlan ls"),
    ("inspect", "vmlan inspect: NET is missing; usage: vmlan inspect [options] NET"),
    ("inspect a b", "vmlan inspect: unexpected argument b; usage: vmlan inspect [options] NET"),
    ("leases shared -w",
     "vmlan leases: an argument is missing after -w; usage: vmlan leases [options] NET"),
    ("up", "vmlan up: NET is missing; usage: vmlan up [options] NET"),
    ("up a b", "vmlan up: unexpected argument b; usage: vmlan up [options] NET"),
    ("down", "vmlan down: NET is missing; usage: vmlan down NET…"),
    ("check a b", "vmlan check: unexpected argument b; usage: vmlan check [FILE]"),
    ("doctor x", "vmlan doctor: unexpected argument x; usage: vmlan doctor"),
    ("run", f"vmlan run: {MISSING}; {RUN}"),
    ("run shared", f"vmlan run: {MISSING}; {RUN}"),
    ("run shared --", f"vmlan run: {MISSING}; {RUN}"),
    ("run --network -- true", f"vmlan run: an argument is missing after --network; {RUN}"),
    ("join -- true", f"vmlan join: NET is missing; {JOIN}"),
    ("join shared", f"vmlan join: {MISSING}; {JOIN}"),
    ("join shared host -- true", f"vmlan join: unexpected argument host; {JOIN}"),
    ("exec -- true", "vmlan exec: NET is missing; usage: vmlan exec [options] NET -- CMD …"),
    ("exec shared", f"vmlan exec: {MISSING}; usage: vmlan exec [options] NET -- CMD …"),
]

# Status 1: what the words mean.
MEANING = [
    ("run -- true", "vmlan run: no network is named; write vmlan run NET -- CMD …"),
    ("run nosuch -- true", f'vmlan run: no network "nosuch" is configured; {BUILT_IN}'),
    ("join nosuch -- true", f'vmlan join: no network "nosuch" is configured; {BUILT_IN}'),
    ("exec nosuch -- true", f'vmlan exec: no network "nosuch" is configured; {BUILT_IN}'),
    ("up nosuch", f'vmlan up: no network "nosuch" is configured; {BUILT_IN}'),
    ("run bad! -- true",
     f'vmlan run: bad!: "bad!" can\'t be the name of a network; {NAMES}'),
    ("run -n shared,foo=1 -- true", "vmlan run: shared,foo=1: unknown field foo; the fields are "
                                    "backend, mac, ip, name, queues, tso and checksumOffload"),
    ("run -n shared,tso=yes -- true",
     "vmlan run: shared,tso=yes: tso=yes: not a switch; use on or off"),
    ("run -n shared,tso=on -- qemu-kvm", "vmlan run: Attach.tso: only a socket has this switch; "
     "leave it out: on a tap the guest's kernel and ours agree by themselves"),
    ("run -n shared,backend=stream,tso=on -- qemu-kvm",
     "vmlan run: shared: qemu-kvm has no offloads on a socket; leave tso and checksumOffload out, "
     "or use a tap, where it has its own"),
    ("run -n shared,backend=stream,tso=on -- krunkit",
     "vmlan run: shared: krunkit has one switch for all offloads; use tso=on,checksumOffload=on, "
     "or neither"),
    ("run -n shared,backend=stream -- crosvm run",
     "vmlan run: shared: crosvm can't be given the backend stream; it can be given: tap"),
    ("run -n shared,backend=tap -- krunkit",
     "vmlan run: shared: krunkit can't be given the backend tap; it can be given: stream datagram "
     "datagram_next"),
    ("connect-fd shared,queues=2 true", "vmlan connect-fd: shared,queues=2: connect-fd has no "
     "backend or queues; leave them out, or use vmlan run"),
    ("connect-fd --name x ./x.sock -- true",
     "vmlan connect-fd: --name is for a network, not for a path; leave it out, or name the network"),
    ("connect-fd /nonexistent/x.sock -- true",
     "vmlan connect-fd: cannot connect to /nonexistent/x.sock: No such file or directory; a "
     "network that runs listens at stream.sock in its directory: vmlan up NET"),
    ("run -n shared,mac -- true",
     'vmlan run: shared,mac: "mac" is not of the form field=value'),
    ("run -n shared,mac= -- true",
     'vmlan run: shared,mac=: "mac=" is not of the form field=value'),
    ("run shared,backend=tab -- true",
     'vmlan run: shared,backend=tab: there is no backend "tab"; use tap, tap_next, stream, '
     "socket, dgram, dgram_next, datagram or datagram_next"),
    ("run -n shared,queues=0 -- true", f"vmlan run: shared,queues=0: queues=0: {QUEUES}"),
    ("run -n shared,queues=17 -- true", f"vmlan run: shared,queues=17: queues=17: {QUEUES}"),
    ("run -n shared,queues=2x -- true", f"vmlan run: shared,queues=2x: queues=2x: {QUEUES}"),
    ("run --instance /nonexistent -- true",
     "vmlan run: /nonexistent: can't be read: No such file or directory; check the path"),
    ("join shared,queues=2 -- true", "vmlan join: shared,queues=2: join has no "
                                     "backend or queues; leave them out, or use vmlan run"),
    ("join shared,backend=tap -- true",
     "vmlan join: shared,backend=tap: join has no backend or queues; leave them "
     "out, or use vmlan run"),
    ("down shared", "vmlan down: network shared is not running"),
    ("leases --timeout x --wait y shared",
     "vmlan leases: --timeout x: not a number of seconds up to 86400"),
    ("--config /nonexistent up shared",
     "vmlan up: /nonexistent: can't be read: No such file or directory; check the path"),
    ("check /nonexistent",
     "/nonexistent: can't be read: No such file or directory; check the path"),
]

# Status 1: what the broker says. A broker starts for these.
ASKED = [
    ("inspect nosuch", "vmlan inspect: network nosuch is not running; vmlan ls shows which are; "
                       "vmlan up nosuch starts it"),
    ("inspect A!",
     f'vmlan inspect: Inspect.network: "A!" can\'t be the name of a network; {NAMES}'),
    ("leases shard", f'vmlan leases: no network "shard" is configured; {BUILT_IN}'),
    ("leases A!", f'vmlan leases: Leases.network: "A!" can\'t be the name of a network; {NAMES}'),
    ("run -n shared,mac=zz -- true", 'vmlan run: Attach.mac: "zz" is not a MAC address; write '
                                     "six bytes such as 52:54:00:12:34:56"),
    ("run -n shared,mac=01:00:00:00:00:01 -- true",
     "vmlan run: Attach.mac: 01:00:00:00:00:01 is no single guest's; the first byte must be even, "
     "and not all may be zero"),
    ("run -n shared,name=-a -- true",
     'vmlan run: Attach.name: "-a" can\'t be the name of a guest; use 1 to 63 of a-z, A-Z, 0-9 '
     "and -, a letter or digit first and last"),
    ("join shared --name a.b -- true",
     'vmlan join: Attach.name: "a.b" can\'t be the name of a guest; use 1 to 63 of a-z, A-Z, 0-9 '
     "and -, a letter or digit first and last"),
    ("run -n shared,ip=192.168.107.1 -- true",
     "vmlan run: Attach.ip: 192.168.107.1 can't be a guest's address on this network; use one of "
     "192.168.107.0/24, but not the gateway's or the broadcast address"),
    ("run -n shared,ip=192.168.107.255 -- true",
     "vmlan run: Attach.ip: 192.168.107.255 can't be a guest's address on this network; use one "
     "of 192.168.107.0/24, but not the gateway's or the broadcast address"),
]


def said(site, words):
    done = site.vmlan(*words.split(), check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.sanitized
@pytest.mark.parametrize("words, line", USAGE)
def test_usage(site, words, line):
    assert said(site, words) == (2, line + "\n")
    assert site.processes() == []


@pytest.mark.sanitized
@pytest.mark.parametrize("words, line", MEANING)
def test_meaning(site, words, line):
    assert said(site, words) == (1, line + "\n")
    # Some of these ask a broker, which ends when there is nothing for it to do.
    lib.wait_until(lambda: site.processes() == [], 5, "the end of a broker without networks")


@pytest.mark.engine
@pytest.mark.parametrize("words, line", ASKED)
def test_refused_by_the_broker(site, words, line):
    assert said(site, words) == (1, line + "\n")
    assert [port for one in site.json("ls") for port in one["ports"]] == []


VERBS = ["run", "join", "connect-fd", "exec", "ls", "inspect", "leases", "events", "top", "capture",
         "metrics", "up", "forward", "down", "check", "doctor", "service"]


def test_help_lists_the_verbs(site):
    for words in (["--help"], ["-h"], ["help"]):
        text = site.vmlan(*words).stdout
        assert set(VERBS) <= {line.split()[0] for line in text.splitlines() if line.strip()}


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(site, verb):
    text = site.vmlan(verb, "--help").stdout
    assert text.startswith(f"usage: vmlan {verb}") and "--log-level" in text
    assert max(map(len, text.splitlines())) <= 80
    assert site.vmlan("help", verb).stdout == text


def test_version(site):
    assert site.vmlan("--version").stdout.split()[0] == "vmlan"


def test_options_of_the_command_are_the_commands(site):
    done = site.vmlan("run", "nosuch", "--", "sh", "--help", "-n", check=False)
    assert done.stderr == f'vmlan run: no network "nosuch" is configured; {BUILT_IN}\n'
