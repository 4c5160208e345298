# SPDX-License-Identifier: Apache-2.0
"""The tests of a vmlan's life use what the network tests and the protocol's tests are made of."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "net"))
