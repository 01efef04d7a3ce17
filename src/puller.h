/* SPDX-License-Identifier: MIT
 *
 * The download thread, seen from the main thread: one pull, which is started, looked
 * at, answered and stopped.
 *
 * What it has to say is one state, which it changes as it goes; puller_look() copies
 * it, and puller_fd() is readable while it has changed since the last look. A slow
 * screen thus sees fewer states, never older ones.
 */
#ifndef HADAL_PULLER_H
#define HADAL_PULLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

enum puller_phase {
    PULLER_ASKING,   /* the hub, what there is */
    PULLER_OFFERING, /* the plan is made: it waits for puller_go_on or puller_cancel */
    PULLER_FETCHING,
    PULLER_WAITING, /* another program fetches this file */
    PULLER_DONE,    /* path is set */
    PULLER_FAILED,  /* err is set; after puller_cancel its kind is ERR_CANCELLED */
};

/* The owner frees it with puller_state_release. Figures are those of pull.h. */
struct puller_state {
    enum puller_phase phase;
    size_t file, n_files; /* which one, from 0; n_files 0: the plan is not made yet */
    char *file_name;      /* or NULL */
    bool has_gguf;        /* among them is one to chat with */
    char *why;            /* why these files, or NULL */
    char *trouble;        /* what is being waited out, or NULL */
    int64_t done_bytes, all_bytes, fetched_bytes;
    int64_t to_come_bytes, disk_free_bytes; /* when the plan was made */
    uint64_t memory_need, memory_free;      /* UINT64_MAX: unknown */
    double tokens_per_s;                    /* pull_speed.h; 0: unknown */
    double read_share;
    char *path; /* what to open */
    struct err err;
};
void puller_state_release(struct puller_state *s); /* accepts zeroed storage */

struct puller;

/* line: a name and options as for `hadal pull`, see pull_request.h. threads: what an
 * answer would be made with, 0: as many as there may be. ERR_USAGE. */
struct puller *puller_start(const char *line, int threads, struct err *err) MUST_USE;
int puller_fd(const struct puller *p);
/* Replaces *out, zeroed at first, by the present state; false: it is the same as at the
 * last look, and *out stays. */
bool puller_look(struct puller *p, struct puller_state *out);
void puller_go_on(struct puller *p);  /* the plan is accepted */
void puller_cancel(struct puller *p); /* ends soon, FAILED; what has come is kept */
void puller_stop(struct puller *p);   /* cancels, joins, frees; accepts NULL */

#endif
