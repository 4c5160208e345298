/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON pointer (RFC 6901) that grows and shrinks while a document is walked. The buffer is the
 * walker's.
 */
#pragma once

#include "base/buf.h"

/* Both return what pointer_pop() needs to go back. */
size_t pointer_push(struct buf *pointer, const char *token);
size_t pointer_push_index(struct buf *pointer, size_t index);
void pointer_pop(struct buf *pointer, size_t mark);

/* "/reservations/0/mac" as people write it, appended to text: "reservations[0].mac". */
void pointer_field(const char *pointer, struct buf *text);
