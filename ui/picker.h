/* SPDX-License-Identifier: MIT
 *
 * A line to type into above a list to choose from: what the lists of sessions and of
 * models and the search have in common.
 */
#ifndef HADAL_UI_PICKER_H
#define HADAL_UI_PICKER_H

#include <stdbool.h>
#include <stddef.h>

#include "ui/action.h"
#include "ui/canvas.h"
#include "ui/editor.h"

struct picker {
    struct editor query;
    size_t *match; /* [n_match] entries that pass, where the query filters a list */
    size_t n_match, match_cap;
    size_t selected;
    size_t first; /* the entry on the first row */
};

void picker_init(struct picker *p);
void picker_release(struct picker *p);

/* Moves among n entries of which `page` are seen at once. False where the action does
 * not move. */
bool picker_act(struct picker *p, enum action action, size_t n, size_t page);

/* Text goes into the query, up to the end of its first line. */
void picker_typed(struct picker *p, const char *text, size_t len);

/* Filtering: begin, then offer every entry. Entry i passes where every word of the
 * query is somewhere in its text; letters of ASCII match in either case. */
void picker_begin_filter(struct picker *p);
void picker_offer(struct picker *p, size_t i, const char *text);

/* Keeps the selected entry among the `page` that are seen. */
void picker_fit(struct picker *p, size_t n, size_t page);

struct picker_entry {
    const char *text, *note; /* safe; note, at the right: NULL for none */
    bool is_current, is_selected;
};
/* An entry of one row, with a bar at the current one. */
void picker_draw_entry(const struct picker_entry *e, struct canvas *c, int row,
                       struct rect area);

/* The query line, with the cursor in it. */
void picker_draw_query(struct picker *p, struct canvas *c, int row, int col,
                       int col_end, const char *prompt);

#endif
