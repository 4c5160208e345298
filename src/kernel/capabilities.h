/* SPDX-License-Identifier: Apache-2.0 */
/* What this process may do of what only root may otherwise: capabilities(7). */
#pragma once

#include <stdbool.h>

/* Whether it has one (CAP_…) in effect. */
bool capabilities_have(unsigned capability);

/* Gives all of them up for good, in the user namespace it is in. What this process may do inside a
 * network is not touched: it comes from owning the namespace. Negative errno. */
int capabilities_drop(void);
