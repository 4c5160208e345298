/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The holder: the process that is a network. One per network; it lives inside the network's user
 * and network namespace, owns the bridge, makes the ports, runs the services and decides when the
 * network ends. It moves no frame: the kernel does. A broker starts it and asks it (see
 * io.vmlan.Holder.varlink) and may come and go; when the holder itself dies, the guests' own ends
 * of the ports keep the namespace, and the broker starts a new holder that enters and takes over.
 */
#pragma once

/* Of io.vmlan.Holder. The version grows with it; the oldest only when a holder can no longer be
 * asked by brokers of before: they then refuse to. */
enum { HOLDER_VERSION = 3, HOLDER_OLDEST = 0 };

/* The role "holder": argv is [name of the network]. Its listening socket is fd 3. */
int holder_main(int argc, char **argv);
