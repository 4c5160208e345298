/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of NFLOG: linux/netfilter/nfnetlink_log.h, net/netfilter/nfnetlink_log.c. They come from
 * the kernel, but what they carry comes from a guest.
 */
#pragma once

#include <stddef.h>

/* Calls packet() with the bytes (from the IP header on, cut at the rule's snaplen) of each packet
 * that the size bytes at data report. What is not a whole, right message is passed over. */
void nflog_each(const void *data, size_t size,
                void (*packet)(void *context, const void *bytes, size_t size), void *context);
