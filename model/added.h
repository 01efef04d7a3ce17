/* SPDX-License-Identifier: MIT
 *
 * Added tokens in text: leftmost, longest first.
 */
#ifndef HADAL_MODEL_ADDED_H
#define HADAL_MODEL_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct added_token {
    const char *text; /* borrowed */
    size_t len;       /* > 0 */
    int32_t id;
};

/* A set of them, sorted once it is complete. */
struct added {
    struct added_token *token;
    size_t n, cap;
    bool begins[256]; /* bytes that one of them begins with */
};

void added_put(struct added *a, const char *text, size_t len, int32_t id);
void added_sort(struct added *a); /* of equal texts, the lowest id stays */
void added_release(struct added *a);

/* The first added token in text[from..len); NULL when there is none. *at: where. */
const struct added_token *added_find(const struct added *a, const char *text,
                                     size_t len, size_t from, size_t *at);

/* The one that is exactly this text, or NULL. */
const struct added_token *added_get(const struct added *a, const char *text,
                                    size_t len);

#endif
