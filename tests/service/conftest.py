# SPDX-License-Identifier: Apache-2.0
"""The tests of the service use the guests of the network tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "net"))
