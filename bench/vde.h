/* SPDX-License-Identifier: Apache-2.0 */
/* A reference: vde_switch (package vde2), a switch in user space that QEMU can be plugged into. */
#pragma once

/* Starts one that ends with this process, in a folder of its own below the current one. */
void vde_start(void);
/* A port of it: a connected socket, a frame a datagram. Negative errno. */
int vde_open(int number);
