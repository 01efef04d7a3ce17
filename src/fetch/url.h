/* SPDX-License-Identifier: MIT
 *
 * URLs: what may be asked, where a redirect may lead, what a message may show.
 *
 * The rules: https everywhere; http only to this machine, or with the user's word
 * (--insecure-http); never from https to http; never from elsewhere to this machine or
 * its link-local network. Origin is scheme, host and port together: a token belongs to
 * one.
 */
#ifndef HADAL_FETCH_URL_H
#define HADAL_FETCH_URL_H

#include <stdbool.h>

#include "src/base/err.h"

enum { URL_MAX_HOPS = 5, URL_MAX_BYTES = 16384 };

/* Whether this URL may be asked at all. ERR_NET says which rule it breaks. */
bool url_check(const char *url, bool allow_http, struct err *err) MUST_USE;

/* Where `location` leads from `from`; owned, NULL with ERR_NET where it may not. */
char *url_redirect(const char *from, const char *location, bool allow_http,
                   struct err *err) MUST_USE;

/* True for http to this machine: allowed unencrypted, since it stays here. */
bool url_is_local_http(const char *url);

bool url_same_origin(const char *a, const char *b);

/* Scheme, host and path: without query (it may carry a signature) and user; owned. */
char *url_shown(const char *url) MUST_USE;

/* A path with each component percent-encoded, '/' kept; owned. */
char *url_encode_path(const char *path) MUST_USE;
/* The same, '/' encoded too. */
char *url_encode(const char *text) MUST_USE;

#endif
