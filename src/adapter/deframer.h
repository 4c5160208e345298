/* SPDX-License-Identifier: Apache-2.0 */
/* The stream wire: each frame behind 4 bytes with its length, big-endian. Used by QEMU (stream,
 * socket), libkrun (unixstream), socket_vmnet and passt alike. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef void deframer_fn(void *context, uint8_t *frame, size_t size);

/* Bytes of the frame that begins at data, its length included; 0: not known yet. */
size_t deframer_next(const uint8_t *data, size_t size);

/* Calls call, if there is one, for each frame that is whole, one of length 0 included. Returns how
 * many bytes were used: what is left is the beginning of a frame. -EBADMSG, after the frames before
 * it, if a length is beyond FRAME_MAX: whoever sends that is not sending frames. */
ssize_t deframer_run(uint8_t *data, size_t size, deframer_fn *call, void *context);
