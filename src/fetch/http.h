/* SPDX-License-Identifier: MIT
 *
 * HTTP requests, several at once, on libcurl. With url.c the only user of curl.
 *
 * TLS is verified always. A redirect is never followed here: the caller sees the
 * answer and decides (url_redirect). Answers are never decoded: no content encoding is
 * asked for. What a server says in headers is bounded in size and number. One thread
 * owns a struct http and its calls.
 */
#ifndef HADAL_FETCH_HTTP_H
#define HADAL_FETCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buf.h"
#include "src/base/digest.h"
#include "src/base/err.h"

struct http_settings {
    long connect_s; /* to connect, and for the TLS handshake */
    long stall_s;   /* less than 1 kB/s for so long ends a call */
    int64_t rate;   /* bytes a second of all bodies together; 0: no limit */
    int wake_fd;    /* becomes readable when the wait should end; -1: none */
    bool (*may_go_on)(void *ctx, struct err *err); /* asked between waits */
    void *ctx;
};

/* What the headers of an answer say. Texts are owned, NULL where the header is absent;
 * numbers are -1 then. */
struct http_answer {
    int status;
    int64_t length;                          /* Content-Length */
    int64_t range_from, range_to, range_all; /* Content-Range; all -1: absent or "*" */
    int64_t retry_after_s;
    int64_t linked_size; /* X-Linked-Size */
    char *location, *etag, *linked_etag, *commit, *link_next, *content_type;
    char *error_code;                 /* the hub's X-Error-Code */
    bool encoded;                     /* Content-Encoding other than identity */
    char sha256[DIGEST_HEX_CAP];      /* of the whole file: Repr-Digest, or "" */
    char body_sha256[DIGEST_HEX_CAP]; /* of these bytes: Content-Digest, or "" */
};

/* Gets the bytes of a body as they come; false ends the call. */
typedef bool (*http_sink_fn)(void *ctx, const struct http_answer *answer,
                             const char *data, size_t len);

struct http_request {
    const char *url;
    bool head;
    bool fresh;           /* over a new connection */
    const char *token;    /* sent as a bearer token; NULL: none */
    int64_t from, to;     /* the range, both ends included; to < 0: the whole */
    const char *if_range; /* an ETag, or NULL */
    const char *wish;     /* one more line of the head, or NULL */
    const char *agent;    /* User-Agent */
    http_sink_fn sink;    /* NULL: the body is dropped */
    void *ctx;
};

struct http;
struct http_call;

struct http *http_open(const struct http_settings *settings, struct err *err) MUST_USE;
void http_close(struct http *h); /* after all its calls; accepts NULL */

struct http_call *http_start(struct http *h, const struct http_request *request,
                             struct err *err) MUST_USE;
/* No other call uses this one's connection after it. */
void http_use_once(struct http_call *call);
/* Moves all calls on, waiting up to timeout_ms for something to happen. */
bool http_wait(struct http *h, int timeout_ms, struct err *err) MUST_USE;
/* What may_go_on says: false with *err where the work is to end now. */
bool http_may_go_on(const struct http *h, struct err *err) MUST_USE;
/* Waits up to timeout_ms, or until wake_fd is readable. */
void http_idle(struct http *h, int timeout_ms);
/* The next call that ended, or NULL. */
struct http_call *http_take_ended(struct http *h);
const struct http_answer *http_answer(const struct http_call *call);
void *http_context(const struct http_call *call); /* the request's ctx */
/* Whether an ended call ran to its end, whatever the status; else ERR_NET with curl's
 * words. */
bool http_result(const struct http_call *call, struct err *err) MUST_USE;
void http_end(struct http_call *call); /* ended or not; accepts NULL */

/* One request, to its end; other calls go on meanwhile. The body goes to *body (bounded
 * by its maximum), which may be NULL. The answer is the caller's to release. */
bool http_fetch(struct http *h, const struct http_request *request,
                struct http_answer *answer, struct buf *body, struct err *err) MUST_USE;
void http_answer_release(struct http_answer *answer); /* accepts zeroed storage */

/* True where trying again may help: 408, 429, 5xx. */
bool http_is_passing(int status);
/* True where trying again cannot help: what http_result said is about trust in the
 * server, or about our own set-up. */
bool http_is_hopeless(const struct err *err);

#endif
