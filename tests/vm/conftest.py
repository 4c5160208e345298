# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the VM tests."""

import shutil

import pytest
import stage


@pytest.fixture(scope="session")
def image(vm_user, test_root):
    try:
        yield stage.guest_image(vm_user, test_root)
    except stage.NoImage as reason:
        pytest.skip(str(reason))
    shutil.rmtree(test_root / "guest", ignore_errors=True)
