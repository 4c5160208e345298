/* SPDX-License-Identifier: Apache-2.0 */
/* What a frame is, in a few words; for eyes, not for programs: they read captures. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SUMMARY_SIZE 256

/* frame: an Ethernet frame, perhaps cut at its end; nothing in it is believed. Returns text. */
char *summary_text(const uint8_t *frame, size_t size, char text[SUMMARY_SIZE]);
