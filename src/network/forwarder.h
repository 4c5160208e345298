/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forwarder: the process that moves a network's bytes where the kernel alone does not. One per
 * network, in the host's namespaces, without capabilities and sandboxed; it works on sockets that
 * the holder made inside. It may die: ports on the bridge go on, and the broker starts another.
 */
#pragma once

/* The role "forwarder": argv is [name of the network]. */
int forwarder_main(int argc, char **argv);
