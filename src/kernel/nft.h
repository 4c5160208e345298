/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies nftables rules, given as text, in the network namespace this process is in. libnftables
 * may end the process on its own fatal errors, so it runs in a child of the moment.
 */
#pragma once

#include "base/error.h"

/* What "list table …" prints, counters included; *ret is the caller's to free(). */
int nft_list(const char *command, char **ret, struct error *error);

/* All of the text or nothing of it is applied. The message carries nft's own words. */
int nft_apply(const char *rules, struct error *error);
