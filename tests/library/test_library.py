# SPDX-License-Identifier: Apache-2.0
"""libvmlan as other programs meet it: installed below a folder of its own (DESTDIR), found by
pkg-config, linked as a shared and as a static library; and the two examples, in C with the library
and in Python without it, which exchange frames.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lib
import pytest

EXAMPLES = lib.TOP / "examples"
HERE = Path(__file__).resolve().parent
HEADER = lib.TOP / "include" / "vmlan.h"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]

needs_compiler = pytest.mark.needs("cc", "pkg-config", "meson")


class Installed:
    """What "make install" puts below a folder."""

    def __init__(self, root, build):
        self.root, self.build = root, build
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet"], check=True,
                       env={**os.environ, "DESTDIR": str(root)}, stdin=subprocess.DEVNULL)
        self.libraries = next(root.rglob("libvmlan.so")).parent

    def find(self, name):
        """The one file whose path ends so."""
        (path,) = self.root.rglob(name)
        return path

    def flags(self, *options):
        """What pkg-config says."""
        found = os.environ.get("PKG_CONFIG_PATH", "")
        env = {**os.environ, "PKG_CONFIG_PATH": f"{self.libraries}/pkgconfig:{found}",
               "PKG_CONFIG_SYSROOT_DIR": str(self.root)}
        return run("pkg-config", *options, "vmlan", env=env).split()

    def compile(self, output, *arguments):
        run("cc", "-g", *WARNINGS, "-o", output, *arguments)
        return output


def run(*command, **options):
    """The output of a command of the build."""
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True,
                          timeout=60, **{"input": "", **options})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(test_root):
    build = Path(os.environ.get("VMLAN_BIN", lib.TOP / "build/src/vmlan")).resolve().parents[1]
    if not (build / "build.ninja").exists():
        pytest.skip("the binary under test is not in a build directory")
    root = test_root / "installed"
    yield Installed(root, build)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def program(site, installed):
    """Makes the site's programs find the installed library and the broker under test."""
    site.env["LD_LIBRARY_PATH"] = str(installed.libraries)
    site.env["VMLAN_PROGRAM"] = str(site.bin)
    return site


# The library as files


@needs_compiler
@pytest.mark.needs("nm")
def test_symbols(installed):
    """Header, symbol map, shared and static library, and the package's list of symbols name the
    same functions and nothing else."""
    declared = set(re.findall(r"^(?!typedef)\w[\w ]*[ *](vmlan_\w+)\(", HEADER.read_text(), re.M))
    assert len(declared) > 10
    shared = run("nm", "-D", "--defined-only", installed.libraries / "libvmlan.so").splitlines()
    names = {line.split()[2].partition("@")[0] for line in shared if line.split()[1] != "A"}
    assert names == declared
    static = run("nm", "-g", "--defined-only", installed.libraries / "libvmlan.a").splitlines()
    assert {line.split()[2] for line in static if len(line.split()) == 3} == declared
    packaged = lib.TOP / "debian" / "libvmlan1.symbols"
    assert set(re.findall(r"^ (vmlan_\w+)@", packaged.read_text(), re.M)) == declared


@needs_compiler
def test_installed_files(installed):
    for name in ("bin/vmlan", "include/vmlan.h", "pkgconfig/vmlan.pc", "libvmlan.so.1",
                 "libvmlan.a"):
        assert installed.find(name)
    if not lib.missing_tool("scdoc"):
        assert "vmlan_attach" in installed.find("man3/libvmlan.3").read_text()
        for page in ("vmlan", "limactl-vmlan", "limactl-vmnet"):
            assert installed.find(f"man1/{page}.1")


@needs_compiler
@pytest.mark.parametrize("compiler, language", [("cc", "c99"), ("cc", "c17"), ("c++", "c++11"),
                                                ("c++", "c++20")])
def test_header_alone(compiler, language):
    if reason := lib.missing_tool(compiler):
        pytest.skip(reason)
    text = ("#include <vmlan.h>\n"
            "struct vmlan_options options = VMLAN_OPTIONS_INIT;\n"
            "struct vmlan_port *port;\n")
    run(compiler, f"-std={language}", *WARNINGS, f"-I{HEADER.parent}", "-fsyntax-only",
        *(["-x", "c"] if compiler == "cc" else ["-x", "c++"]), "-", input=text)


# Programs


def calls(program, executable, *prefix):
    """Runs the program of calls.c; it kills the broker once."""
    shutil.copy(HERE / "kill_broker.py", program.root)
    stop = f"{sys.executable} {program.root / 'kill_broker.py'} {program.runtime}"
    done = program.run(*prefix, executable, stop, timeout=60)
    assert re.search(r"^vm\d and vm\d attached\n", done.stdout)
    assert "strict: network shared runs with another configuration" in done.stdout
    assert done.stdout.endswith("done\n")
    return done


@needs_compiler
@pytest.mark.engine
def test_calls(program, installed):
    executable = installed.compile(program.root / "calls", HERE / "calls.c", "-pthread",
                                   *installed.flags("--cflags", "--libs"))
    calls(program, executable)


@needs_compiler
@pytest.mark.needs("valgrind")
@pytest.mark.engine
def test_calls_leak_nothing(program, installed):
    executable = installed.compile(program.root / "calls", HERE / "calls.c", "-pthread",
                                   *installed.flags("--cflags", "--libs"))
    calls(program, executable, "valgrind", "-q", "--leak-check=full", "--show-leak-kinds=all",
          "--error-exitcode=9", "--trace-children=no", "--child-silent-after-fork=yes")


@needs_compiler
@pytest.mark.needs("valgrind")
@pytest.mark.parametrize("name", ["test-client", "test-vmlan"])
def test_unit_tests_leak_nothing(installed, name):
    run("valgrind", "-q", "--leak-check=full", "--error-exitcode=9", "--child-silent-after-fork=yes",
        installed.build / "src" / name)


@needs_compiler
@pytest.mark.needs("nm")
@pytest.mark.engine
def test_static_library_collides_with_nothing(program, installed):
    """A program that has functions of the same names as the library's own ones."""
    names = set()
    for layer in ("base", "wire", "lib"):
        found = run("nm", "-g", "--defined-only", installed.build / f"src/libvmlan-{layer}.a")
        names |= set(re.findall(r" T (\w+)$", found, re.M))
    source = program.root / "same.c"
    source.write_text("#include <stdlib.h>\n" + "".join(
        f"void {name}(void);\nvoid {name}(void)\n{{\n    abort();\n}}\n"
        for name in sorted(names) if not name.startswith("vmlan_")))
    flags = [flag.replace("-lvmlan", str(installed.libraries / "libvmlan.a"))
             for flag in installed.flags("--static", "--cflags", "--libs")]
    executable = installed.compile(program.root / "static", HERE / "calls.c", source, "-pthread",
                                   *flags)
    program.env["LD_LIBRARY_PATH"] = "/nonexistent"
    calls(program, executable)


@needs_compiler
@pytest.mark.engine
def test_examples_exchange_frames(program, installed):
    executable = installed.compile(program.root / "frames", EXAMPLES / "frames.c",
                                   *installed.flags("--cflags", "--libs"))
    frames = subprocess.Popen([*program.user.prefix, executable, "shared", "alpha"],
                              env=program.env, cwd=program.root, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    program.children.append(frames)
    attached = frames.stdout.readline()
    mac = re.fullmatch(r"vm0 on shared, mac ([0-9a-f:]+), gateway 192.168.107.1\n", attached)[1]
    (port,) = json.loads(program.vmlan("ls", "--json").stdout)[0]["ports"]
    assert (port["name"], port["mac"]) == ("alpha", mac)
    script = program.root / "frames.py"
    shutil.copy(EXAMPLES / "frames.py", script)
    answers = program.run(sys.executable, script, "shared", 3).stdout.splitlines()
    own = re.fullmatch(r"vm1 on shared, mac ([0-9a-f:]+)", answers[0])[1]
    assert answers[1:] == [f"{mac} answers: frame {number}" for number in range(3)]
    wanted = f"{own} > ff:ff:ff:ff:ff:ff type 0x88b5, 21 bytes\n"
    for _ in range(3):
        while frames.stdout.readline() != wanted:
            pass


def test_python_example_without_a_broker(site):
    script = site.root / "frames.py"
    shutil.copy(EXAMPLES / "frames.py", script)
    failed = site.run(sys.executable, script, check=False)
    assert failed.stderr == ("no broker: No such file or directory; start one: "
                             "vmlan up shared\n")
