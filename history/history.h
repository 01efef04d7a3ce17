/* SPDX-License-Identifier: MIT
 *
 * History: every session and message, kept in one SQLite file, and found again.
 *
 * A struct history is one connection and belongs to the thread that opened it; any
 * number of processes may have the same file open. What a writing function has accepted
 * (returned true for) is on the disk: it survives kill -9 and power loss. No function
 * holds a lock when it returns: lists are copied out whole, so that a slow reader of a
 * list never keeps another process waiting.
 *
 * Text is stored as given, whatever its bytes. Token ids and settings are opaque facts
 * beside the text. Times are milliseconds since 1970, UTC; order is that of the message
 * ids, never of the clock, which may jump.
 *
 * Errors are of kind ERR_DB where nothing else is said.
 */
#ifndef HADAL_HISTORY_HISTORY_H
#define HADAL_HISTORY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/base/message.h"

struct history;
struct arena;

enum history_mode {
    HISTORY_WRITE, /* makes folder (0700) and file (0600) where missing; migrates */
    HISTORY_READ,  /* never makes or changes the file; a missing one is an empty history
                    */
};

/* NULL with err where the file is damaged, no database, of a newer program, or cannot
 * be opened; it is then as it was. */
struct history *history_open(const char *path, enum history_mode mode,
                             struct err *err) MUST_USE;
void history_close(struct history *h); /* accepts NULL */

/* Several changes as one: all of them or none, and one wait for the disk instead of
 * many. Nothing of it is on the disk before history_commit; others cannot write
 * meanwhile, so keep it short. After a failed change: history_rollback. */
bool history_begin(struct history *h, struct err *err) MUST_USE;
bool history_commit(struct history *h, struct err *err) MUST_USE;
void history_rollback(struct history *h);

/* --- sessions ------------------------------------------------------------------- */

/* Room for a session id: lower-case letters and digits, unique, and a NUL. */
#define HISTORY_ID_CAP 40

struct history_session {
    const char *id;
    const char *title; /* NULL: none yet */
    const char *model; /* of its newest message that names one; NULL: none */
    int64_t created_ms;
    int64_t updated_ms; /* of its newest message */
    int64_t n_messages;
};

/* An owned list: history_sessions_release(). */
struct history_sessions {
    struct history_session *row;
    size_t n;
    struct arena *arena; /* owns what the rows point to */
};

/* Begins a session and writes its id. model and title may be NULL; without a title the
 * first user message gives one (its first line, cut at a word). A session that never
 * gets a message is not listed. */
bool history_begin_session(struct history *h, const char *model, const char *title,
                           char id[HISTORY_ID_CAP], struct err *err) MUST_USE;

/* The id of the session whose id is `prefix` or, failing that, the only one whose id
 * begins with it. ERR_SESSION: none; ERR_USAGE: several, or the prefix is empty. */
bool history_resolve(struct history *h, const char *prefix, char id[HISTORY_ID_CAP],
                     struct err *err) MUST_USE;

/* The session of the newest message. ERR_SESSION: there is no message. */
bool history_newest_session(struct history *h, char id[HISTORY_ID_CAP],
                            struct err *err) MUST_USE;

/* The model of the newest message that names one, owned (free()); *model is NULL where
 * there is none. */
bool history_newest_model(struct history *h, char **model, struct err *err) MUST_USE;

/* The sessions that have a message, that of the newest message first; after `skip` of
 * them at most `limit` (0: all). */
bool history_list_sessions(struct history *h, size_t skip, size_t limit,
                           struct history_sessions *out, struct err *err) MUST_USE;

/* The one session with this id (a list of one row). ERR_SESSION: there is none. */
bool history_get_session(struct history *h, const char *id,
                         struct history_sessions *out, struct err *err) MUST_USE;
void history_sessions_release(struct history_sessions *list);

/* NULL takes the title away. ERR_SESSION: no such session (also below). */
bool history_set_title(struct history *h, const char *id, const char *title,
                       struct err *err) MUST_USE;

/* Deletes the session with its messages, and overwrites what they held. */
bool history_delete_session(struct history *h, const char *id,
                            struct err *err) MUST_USE;

/* --- messages ------------------------------------------------------------------- */

/* A message to store (borrowed) or that was read (lives with its list). */
struct history_message {
    int64_t id;      /* unique in the file, grows; ignored when stored */
    int64_t time_ms; /* when stored: 0 means now */
    enum role role;
    const char *text; /* UTF-8, may hold NUL; never NULL when read */
    size_t len;
    const char *thinking; /* NULL: none */
    size_t thinking_len;
    const char *model;       /* NULL: not told */
    const char *stop_reason; /* "eos", "length", ... ; NULL: not told */
    bool has_seed;
    uint64_t seed;
    const void *tokens; /* opaque: the token ids as the caller packs them; NULL: none */
    size_t tokens_len;  /* bytes */
    const char *settings; /* opaque: JSON of the sampling settings; NULL: none */
};

/* An owned list: history_messages_release(). */
struct history_messages {
    struct history_message *row;
    size_t n;
    struct arena *arena; /* owns what the rows point to */
};

/* Appends a message to the session; *id (may be NULL) is its number. */
bool history_add(struct history *h, const char *session_id,
                 const struct history_message *msg, int64_t *id,
                 struct err *err) MUST_USE;

/* An answer that is still being made. It is stored with stop reason "interrupt" until
 * it is finished, so that one cut short by a crash reads so by itself. Extending takes
 * the whole text so far, thinking too: a failed call is made good by the next one. Call
 * it at most once a second. Finishing takes every field of msg but id, role and time.
 */
bool history_begin_answer(struct history *h, const char *session_id,
                          const struct history_message *msg, int64_t *id,
                          struct err *err) MUST_USE;
bool history_extend_answer(struct history *h, int64_t id, const char *text, size_t len,
                           const char *thinking, size_t thinking_len,
                           struct err *err) MUST_USE;
bool history_finish_answer(struct history *h, int64_t id,
                           const struct history_message *msg, struct err *err) MUST_USE;

/* Every message of the session, oldest first. ERR_SESSION: no such session. */
bool history_list_messages(struct history *h, const char *session_id,
                           struct history_messages *out, struct err *err) MUST_USE;
void history_messages_release(struct history_messages *list);

/* --- search --------------------------------------------------------------------- */

struct history_query {
    const char
        *text;    /* words, all required; "a phrase"; prefix*; nothing is syntax else */
    size_t limit; /* hits at most; 0: all */
    const char *model; /* its name, or what follows a '/' in it; NULL: any */
    int64_t since_ms;  /* 0: from the beginning */
    bool has_role;
    enum role role;
    bool best; /* most relevant first (of the newest 20,000 hits), else newest */
};

struct history_hit {
    const char *session_id;
    int64_t message_id;
    enum role role;
    const char *title; /* NULL: none */
    int64_t time_ms;
    const char *snippet;   /* one line of about 160 characters, without control bytes */
    size_t mark, mark_len; /* the hit: bytes of the snippet */
    double rank;           /* higher is more relevant */
};

/* An owned list: history_hits_release(). */
struct history_hits {
    struct history_hit *row;
    size_t n;
    struct arena *arena; /* owns what the rows point to */
};

/* A query without a word has no hits; no query is an error. */
bool history_search(struct history *h, const struct history_query *query,
                    struct history_hits *out, struct err *err) MUST_USE;
void history_hits_release(struct history_hits *list);

/* "2026-11-24" (midnight UTC), "7d", "24h" to a time; ERR_USAGE where it is none. */
bool history_parse_since(const char *text, int64_t now_ms, int64_t *since_ms,
                         struct err *err) MUST_USE;

/* --- import --------------------------------------------------------------------- */

struct history_imported {
    int64_t n_sessions, n_messages;
    int64_t n_known; /* sessions left alone: their id is here already */
};

/* All sessions of a file, or none: an export of hadal (json, jsonl), llm's logs.db,
 * ChatGPT's conversations.json, or OpenAI-style messages. ERR_IO: the file cannot be
 * read; ERR_USAGE: it is nothing of these. */
bool history_import(struct history *h, const char *path, struct history_imported *out,
                    struct err *err) MUST_USE;

/* --- health --------------------------------------------------------------------- */

struct history_health {
    bool ok;            /* quick_check, foreign keys and the search index agree */
    char problem[800];  /* the first fault found; "" when ok */
    int schema_version; /* of the file */
    int schema_newest;  /* of this program */
    char journal_mode[16];
    const char *journal_why;    /* why this mode (static) */
    const char *sqlite_version; /* static */
    int64_t size_bytes;
    int64_t n_sessions, n_messages;
};

bool history_check(struct history *h, struct history_health *out,
                   struct err *err) MUST_USE;

struct history_repaired {
    char *path; /* of the copy; owned */
    int64_t n_sessions, n_messages;
    int64_t n_lost; /* rows known to be missing; pages may have held more */
};

/* Writes what can be read of the file at path, which nobody should have open, to a new
 * one, PATH.repaired. The file itself stays as it is. ERR_DB where nothing can be read,
 * ERR_IO where the copy cannot be written. */
bool history_repair(const char *path, struct history_repaired *out,
                    struct err *err) MUST_USE;
void history_repaired_release(struct history_repaired *r); /* accepts zeroed storage */

#endif
