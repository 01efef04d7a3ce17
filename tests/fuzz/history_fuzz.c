/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: the history. Any bytes are a query without an error, an import without a
 * crash, and a text that finds itself: as a phrase, and every word of it alone.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "history/history.h"
#include "history/import.h"
#include "history/room.h"
#include "history/words.h"
#include "src/base/mem.h"
#include "tests/fuzz/fuzz.h"

#define MAX_BYTES ((size_t)1 << 14)

static void demand(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "history_fuzz: %s\n", what);
    abort();
}

/* One history for the whole run; every input is rolled back. */
static struct history *get_history(void)
{
    static struct history *h;
    struct err err = {.text = ""};
    char path[64];

    if (h != NULL)
        return h;
    snprintf(path, sizeof(path), "/tmp/hadal-history-fuzz-%ld.db", (long)getpid());
    h = history_open(path, HISTORY_WRITE, &err);
    demand(h != NULL, err.text);
    demand(db_exec(&h->db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY", &err),
           err.text);
    unlink(path);
    return h;
}

static size_t count(struct history *h, const char *text)
{
    struct history_query query = {.text = text};
    struct history_hits hits;
    struct err err = {.text = ""};
    size_t n;

    demand(history_search(h, &query, &hits, &err), err.text);
    n = hits.n;
    history_hits_release(&hits);
    return n;
}

static void find_itself(struct history *h, const char *text, size_t len)
{
    struct history_message msg = {.role = ROLE_USER, .text = text, .len = len};
    struct err err = {.text = ""};
    char id[HISTORY_ID_CAP];
    char *quoted = mem_alloc(len + 3);

    demand(history_begin_session(h, NULL, NULL, id, &err), err.text);
    demand(history_add(h, id, &msg, NULL, &err), err.text);
    (void)count(h, text);
    snprintf(quoted, len + 3, "\"%s\"", text);
    for (size_t i = 1; i <= len; i++)
        if (quoted[i] == '"')
            quoted[i] = ' ';
    if (words_of_phrase(text, (int)len).n_words > 0) {
        demand(count(h, quoted) == 1, "a text does not find itself as a phrase");
        quoted[0] = quoted[len + 1] = ' ';
        demand(count(h, quoted) == 1, "a text does not find itself by its words");
    }
    free(quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct history *h = get_history();
    struct import im = {.h = h, .path = "fuzz.json"};
    struct err err = {.text = ""};
    char *text;

    if (size > MAX_BYTES)
        return 0;
    text = mem_dup_n((const char *)data, size);
    demand(history_begin(h, &err), err.text);
    if (!import_json(&im, text, size, &err))
        demand(err.kind == ERR_USAGE, err.text);
    history_rollback(h);
    demand(history_begin(h, &err), err.text);
    find_itself(h, text, strlen(text));
    history_rollback(h);
    free(text);
    return 0;
}
