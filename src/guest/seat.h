/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seat is a place on a network for a process of the host: it sees the host's files, and the names
 * of the network. The files that say how names are looked up are replaced for it alone, in a mount
 * namespace of its own (mount_namespaces(7)).
 */
#pragma once

#include "base/error.h"

/* Moves this (single-threaded) process, which must be root of its user namespace, into a new mount
 * namespace where /etc/resolv.conf holds text and services that would look up names elsewhere
 * (nscd(8), nss-resolve(8)) can't be reached. -ENOENT when there is no /etc/resolv.conf to cover.
 */
int seat_resolver(const char *text, struct error *error);
