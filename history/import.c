/* SPDX-License-Identifier: MIT
 *
 * Import: see history_import in history.h and import.h. One transaction: all or
 * nothing.
 */
#include "config.h"

#include "history/import.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "history/room.h"
#include "src/base/clock.h"
#include "src/base/file.h"

#define FILE_MAX_BYTES ((size_t)2 << 30)

static const char sqlite_magic[] = "SQLite format 3"; /* its NUL belongs to it */

bool import_role(const char *name, enum role *role)
{
    static const struct {
        const char *name;
        enum role role;
    } known[] = {
        {"system", ROLE_SYSTEM}, {"developer", ROLE_SYSTEM},    {"user", ROLE_USER},
        {"human", ROLE_USER},    {"assistant", ROLE_ASSISTANT},
    };

    for (size_t i = 0; name != NULL && i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].name, name) == 0) {
            *role = known[i].role;
            return true;
        }
    return false;
}

int64_t import_time(const cJSON *item)
{
    char text[32];
    int64_t ms;

    if (cJSON_IsNumber(item) && fabs(item->valuedouble) < 1e11)
        return (int64_t)(item->valuedouble * 1000.0);
    if (!cJSON_IsString(item) || strlen(item->valuestring) < 19)
        return 0;
    snprintf(text, sizeof(text), "%.19sZ", item->valuestring);
    return history_parse_since(text, 0, &ms, NULL) ? ms : 0;
}

char *import_text(const cJSON *content)
{
    struct buf text;
    const cJSON *part;

    buf_init(&text, FILE_MAX_BYTES);
    if (cJSON_IsString(content))
        buf_add_text(&text, content->valuestring);
    else if (!cJSON_IsArray(content))
        return NULL;
    for (part = cJSON_IsArray(content) ? content->child : NULL; part != NULL;
         part = part->next) {
        const cJSON *inner = cJSON_IsObject(part) ? json_get(part, "text") : part;

        if (!cJSON_IsString(inner))
            continue;
        if (text.len > 0)
            buf_add_char(&text, '\n');
        buf_add_text(&text, inner->valuestring);
    }
    return buf_take(&text, NULL);
}

/* Takes over an id that is fit to be typed; "" otherwise. */
static void adopt_id(const char *theirs, char id[HISTORY_ID_CAP])
{
    size_t n = theirs == NULL ? 0 : strlen(theirs);

    id[0] = '\0';
    if (n == 0 || n >= HISTORY_ID_CAP)
        return;
    for (size_t i = 0; i < n; i++) {
        char c = theirs[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') {
            id[0] = '\0';
            return;
        }
        id[i] = c;
        id[i + 1] = '\0';
    }
}

bool import_session(struct import *im, const struct history_session *session,
                    char id[HISTORY_ID_CAP], bool *known, struct err *err)
{
    struct history_session put = *session;
    struct stmt q;
    bool failed;

    *known = false;
    adopt_id(session->id, id);
    if (id[0] != '\0') {
        if (!stmt_open(&q, &im->h->db, "SELECT 1 FROM sessions WHERE name = ?1", err))
            return false;
        stmt_bind_text(&q, id);
        *known = stmt_row(&q, &failed, err);
        stmt_close(&q);
        if (failed)
            return false;
    }
    if (*known) {
        im->count.n_known++;
        return true;
    }
    if (put.created_ms == 0)
        put.created_ms = clock_utc_ms();
    im->count.n_sessions++;
    return room_put_session(&im->h->db, &put, id, err);
}

bool import_message(struct import *im, const char *id,
                    const struct history_message *msg, struct err *err)
{
    im->count.n_messages++;
    return history_add(im->h, id, msg, NULL, err);
}

/* Whether the file is an SQLite database. */
static bool look_at(const char *path, bool *is_database, struct err *err)
{
    char head[sizeof(sqlite_magic)] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return err_set_errno(err, ERR_IO, errno, "cannot open '%s'", path);
    n = read(fd, head, sizeof(head));
    close(fd);
    if (n < 0)
        return err_set_errno(err, ERR_IO, errno, "cannot read '%s'", path);
    *is_database =
        n == (ssize_t)sizeof(head) && memcmp(head, sqlite_magic, sizeof(head)) == 0;
    return true;
}

/* A NUL in a string, which the JSON layer refuses, becomes U+FFFD: what hadal exported
 * itself may hold one, since a model can say it, and the rest must come in. */
static void replace_nul_escapes(struct buf *text)
{
    static const char nul[] = "\\u0000";
    static const char instead[] = "\\ufffd";
    const size_t len = sizeof(nul) - 1;

    for (size_t at = 0; at + len <= text->len; at++) {
        if (text->data[at] != '\\')
            continue;
        if (memcmp(text->data + at, nul, len) == 0)
            memcpy(text->data + at, instead, len);
        at++; /* over what is escaped */
    }
}

static bool import_text_file(struct import *im, struct err *err)
{
    struct buf text;
    bool ok;

    buf_init(&text, FILE_MAX_BYTES);
    ok = file_read(im->path, ERR_IO, &text, err);
    if (ok) {
        replace_nul_escapes(&text);
        ok = import_json(im, buf_text(&text), text.len, err);
    }
    buf_release(&text);
    return ok;
}

bool history_import(struct history *h, const char *path, struct history_imported *out,
                    struct err *err)
{
    struct import im = {.h = h, .path = path};
    bool is_database = false;

    if (!look_at(path, &is_database, err) || !history_begin(h, err))
        return false;
    if (is_database ? import_llm(&im, err) : import_text_file(&im, err)) {
        *out = im.count;
        return history_commit(h, err);
    }
    history_rollback(h);
    return false;
}
