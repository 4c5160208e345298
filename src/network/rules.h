/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nftables rules inside a network, as text: which frames of guests go where. Pure; the holder
 * applies the text, `vmlan inspect` shows it.
 */
#pragma once

#include "config/spec.h"
#include "network/address.h"

/* Marks of packets, and the device out, whose number is fixed because a rule may have to name it
 * before it is there. Routes by mark: uplink-fds.c. */
enum {
    RULES_MARK_LOCAL = 1,       /* to the transparent sockets */
    RULES_MARK_OUT = 2,         /* out by the TUN device, although the address is ours */
    RULES_DEVICE_OUT = 1000000, /* beyond what ports will ever have */
};

/* The whole ruleset; applying it replaces an earlier one in one step. With the short way for
 * datagrams, if the network has one: that needs the bridge, and a kernel with
 * CONFIG_NFT_FWD_NETDEV. The caller frees it. */
char *rules_text(const struct spec *spec, const struct plan *plan, bool short_way);
