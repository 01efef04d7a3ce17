/* SPDX-License-Identifier: MIT
 *
 * A hub with Hugging Face's HTTP interface: what a repository holds at a revision, and
 * where the bytes of a file are.
 *
 * $HF_ENDPOINT names the hub. The token ($HF_TOKEN, the file $HF_TOKEN_PATH, else
 * $HF_HOME/token) goes to the endpoint's scheme, host and port alone; while it is held
 * the process writes no core. Everything that the hub says is checked before it is
 * believed: names of files that are no plain relative paths are left out, digests are
 * 64 or 40 hexadecimal digits, answers are bounded.
 */
#ifndef HADAL_FETCH_HUB_API_H
#define HADAL_FETCH_HUB_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buf.h"
#include "src/base/digest.h"
#include "src/base/err.h"
#include "src/fetch/http.h"
#include "src/fetch/transfer.h"

struct hub_api {
    struct http *http; /* borrowed */
    char *endpoint;    /* without '/' at its end; owned */
    char *token;       /* owned, or NULL */
    const char *agent;
    bool allow_http;
};

bool hub_api_open(struct hub_api *api, struct http *http, const char *agent,
                  bool allow_http, struct err *err) MUST_USE;
void hub_api_close(struct hub_api *api); /* accepts zeroed storage */

struct hub_entry {
    char *name;               /* a plain relative path; owned */
    int64_t size;             /* -1: not said */
    char hex[DIGEST_HEX_CAP]; /* "" : not said */
};

struct hub_listing {
    char *commit; /* owned */
    struct hub_entry *entry;
    size_t n, cap;
};
void hub_listing_release(struct hub_listing *listing); /* accepts zeroed storage */

/* ERR_MODEL where there is no such repository or revision, ERR_NET otherwise. */
bool hub_api_list(struct hub_api *api, const char *repo, const char *revision,
                  struct hub_listing *out, struct err *err) MUST_USE;

/* Where a file's bytes are, its size and digest. */
bool hub_api_resolve(struct hub_api *api, const char *repo, const char *revision,
                     const char *name, struct transfer_source *out,
                     struct err *err) MUST_USE;

/* The same for any https address: the SHA-256 where a hub on the way (X-Linked-ETag) or
 * the server (Repr-Digest) says it, else the ETag if there is one. */
bool hub_api_probe(struct hub_api *api, const char *url, struct transfer_source *out,
                   struct err *err) MUST_USE;

/* The first bytes of a located file, at most body->max of them. One try. */
bool hub_api_read_head(struct hub_api *api, const struct transfer_source *source,
                       struct buf *body, struct err *err) MUST_USE;

/* A relative path of plain components: none empty, ".", "..", or longer than a name may
 * be; no control characters, no backslash; valid UTF-8. */
bool hub_api_is_plain_path(const char *path);

#endif
