/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the uplink works on, made by the holder inside the network and handed to the forwarder: the
 * sockets of struct uplink_fds, and the TUN device with the default routes. All of it goes when the
 * forwarder closes it, so a network without a forwarder has no way out and says so (ICMP).
 */
#pragma once

#include "config/spec.h"
#include "kernel/rtnl.h"
#include "uplink/uplink.h"

#define UPLINK_DEVICE "up0"

/* Routes that exist always: which packets go to the transparent sockets and which to the device. */
int uplink_fds_policy(const struct spec *spec, struct rtnl *rtnl, struct error *error);

int uplink_fds_open(const struct spec *spec, struct rtnl *rtnl, struct uplink_fds *ret,
                    struct error *error);
void uplink_fds_close(struct uplink_fds *fds);

/* The fields of struct uplink_fds by name, in one order for both ends of the wire. */
enum { UPLINK_FDS = 10 };
const char *uplink_fds_name(size_t index);
int *uplink_fds_field(struct uplink_fds *fds, size_t index);

/* A non-blocking socket made inside, as a forward needs to reach a guest. */
int uplink_fds_socket(int family, int type);
