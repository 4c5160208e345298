# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the VM tests."""

import shutil
import sys
from pathlib import Path

import lib
import pytest
import stage

for folder in ("net", "life"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / folder))


@pytest.fixture(scope="session")
def image(vm_user, test_root):
    try:
        yield stage.guest_image(vm_user, test_root)
    except stage.NoImage as reason:
        pytest.skip(str(reason))
    shutil.rmtree(test_root / "guest", ignore_errors=True)


@pytest.fixture(scope="session")
def transfer(image, vm_user, test_root):
    """The guests' program of that name, for the host."""
    return lib.reachable(vm_user, test_root, stage.IMAGE / "transfer")
