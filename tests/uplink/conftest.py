# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the uplink's tests: the world (world.py), a vmlan on its host, and guests there."""

import contextlib
import sys
from pathlib import Path

import lib
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "net"))
from world import OTHER, SERVER, Guest, Place, World, make_site, missing_world  # noqa: E402


@contextlib.contextmanager
def new_world(user, root):
    reason = lib.missing_engine(user) or missing_world(user)
    if reason:
        pytest.skip(reason)
    one = World(user, root)
    try:
        one.start()
        yield one
    finally:
        one.close()


@pytest.fixture(scope="session")
def world(vm_user, test_root):
    """The host and the internet with its servers; a test that changes something puts it back."""
    with new_world(vm_user, test_root) as one:
        one.allow_ping()
        one.serve("tcp", ",".join(SERVER.values()))
        one.serve("udp", ",".join([*SERVER.values(), *OTHER.values()]))
        yield one


@pytest.fixture
def world_without_ping(vm_user, test_root):
    """Another one, whose host allows no ping sockets."""
    with new_world(vm_user, test_root) as one:
        yield one


@pytest.fixture
def site(world, vmlan_bin, test_root):
    one = make_site(world, vmlan_bin, test_root)
    yield one
    one.close()


@pytest.fixture
def guest(world, site):
    """Makes guests: guest(), guest("lan", name="alice")."""
    def make(*words, **options):
        return Guest(world, site, *words, **options)
    return make


@pytest.fixture
def host(world):
    """A process on the host: what it sees is what a guest is to see."""
    return Place(world, "the host", lambda command, timeout: world.host(
        "sh", "-c", command, timeout=timeout).stdout)
