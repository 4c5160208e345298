/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A doubly linked list whose links are embedded in the objects. A link that was initialised with
 * list_init() may be removed any number of times. The list owns nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/own.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_append(struct list *l, struct list *link)
{
    link->prev = l->prev;
    link->next = l;
    l->prev->next = link;
    l->prev = link;
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Moves all links of from to the end of l. */
static inline void list_splice(struct list *l, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = l->prev;
    l->prev->next = from->next;
    from->prev->next = l;
    l->prev = from->prev;
    list_init(from);
}

#define list_first(list, type, member) \
    (list_empty(list) ? NULL : container_of((list)->next, type, member))

/* The current item may be removed and freed inside the loop, others may not. */
#define list_each(item, list, member)                                       \
    for (__typeof__(item) next_##item =                                     \
             (item = container_of((list)->next, __typeof__(*item), member), \
             container_of(item->member.next, __typeof__(*item), member));   \
         &item->member != (list);                                           \
         item = next_##item, next_##item =                                  \
                                 container_of(item->member.next, __typeof__(*item), member))
