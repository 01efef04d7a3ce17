/* SPDX-License-Identifier: MIT
 *
 * What the tests of the history share: see history_files.h.
 */
#include "config.h"

#include "tests/history_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"

void files_make(struct files *f)
{
    snprintf(f->folder, sizeof(f->folder), "%s", "/tmp/hadal-history-XXXXXX");
    if (mkdtemp(f->folder) == NULL) {
        perror(f->folder);
        exit(99);
    }
    snprintf(f->db, sizeof(f->db), "%s/history.db", f->folder);
}

void files_remove(struct files *f)
{
    DIR *dir = opendir(f->folder);
    struct dirent *entry;
    char path[512];

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", f->folder, entry->d_name);
        if (entry->d_name[0] != '.')
            remove(path);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(f->folder);
}

struct history *files_open(const char *path, enum history_mode mode)
{
    struct err err;
    struct history *h = history_open(path, mode, &err);

    if (h == NULL)
        FAIL("history_open: %s", err.text);
    return h;
}

int64_t files_say(struct history *h, char id[HISTORY_ID_CAP], enum role role,
                  const char *text)
{
    struct history_message msg = {.role = role, .text = text, .len = strlen(text)};
    struct err err;
    int64_t message = 0;

    if ((id[0] == '\0' && !history_begin_session(h, "tiny", NULL, id, &err)) ||
        !history_add(h, id, &msg, &message, &err)) {
        FAIL("cannot store: %s", err.text);
        return 0;
    }
    return message;
}

int files_hits(struct history *h, const char *query)
{
    struct history_query q = {.text = query};
    struct history_hits hits;
    struct err err;
    int n;

    if (!history_search(h, &q, &hits, &err)) {
        FAIL("search '%s': %s", query, err.text);
        return -1;
    }
    n = (int)hits.n;
    history_hits_release(&hits);
    return n;
}

uint32_t files_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}
