/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tap devices: Documentation/networking/tuntap.rst, drivers/net/tun.c. /dev/net/tun must be opened
 * inside the namespace the tap is to be in; the fd then works in any process.
 */
#pragma once

#include "base/error.h"

#define TAP_QUEUES_MAX 16

/* Makes tap `name` with that many queues and opens it: ret_fds gets `queues` owned fds. Frames
 * carry a virtio-net header (IFF_VNET_HDR) whether the hypervisor uses offloads or not. More than
 * one queue needs IFF_MULTI_QUEUE, which costs 256 queue objects, so one queue does without. */
int tap_open(const char *name, unsigned queues, int *ret_fds, struct error *error);

/* Keeps a tap that has one queue after its last descriptor is closed, until it is deleted or its
 * namespace goes; it can then be opened by its name. Negative errno. */
int tap_persist(int fd);

/* Opens up to count /dev/vhost-net instances, one a queue. Returns how many: count, or 0 where the
 * device is missing or may not be opened. */
unsigned tap_open_vhost(unsigned count, int *ret_fds);

/* Makes TUN device `name` (IP packets, each behind a virtio-net header) with that interface index;
 * the caller owns the fd, and the device goes with its last copy. */
int tun_open(const char *name, unsigned index, int *ret_fd, struct error *error);
