/* SPDX-License-Identifier: MIT
 *
 * URLs: see url.h.
 */
#include "config.h"

#include "src/fetch/url.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/buf.h"
#include "src/base/mem.h"

/* One part of a parsed URL as our own string; NULL where it has none. */
static char *part_of(CURLU *u, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    char *copy = NULL;

    if (curl_url_get(u, part, &text, flags) == CURLUE_OK && text != NULL)
        copy = mem_dup(text);
    curl_free(text);
    return copy;
}

struct url {
    char *scheme, *host, *port;
};

static void url_release(struct url *u)
{
    free(u->scheme);
    free(u->host);
    free(u->port);
    memset(u, 0, sizeof(*u));
}

static bool parse(const char *text, struct url *out)
{
    CURLU *u = curl_url();
    bool ok;

    memset(out, 0, sizeof(*out));
    ok = u != NULL && strlen(text) <= URL_MAX_BYTES &&
         curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    if (ok) {
        out->scheme = part_of(u, CURLUPART_SCHEME, 0);
        out->host = part_of(u, CURLUPART_HOST, 0);
        out->port = part_of(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    }
    curl_url_cleanup(u);
    if (ok && out->scheme != NULL && out->host != NULL)
        return true;
    url_release(out);
    return false;
}

static bool is_loopback(const char *host)
{
    bool is_number =
        host[strspn(host, "0123456789.")] == '\0'; /* 127.evil.org is none */

    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (is_number && strncmp(host, "127.", 4) == 0);
}

/* This machine, or what answers only inside its network. */
static bool is_inside(const char *host)
{
    return is_loopback(host) || strncmp(host, "169.254.", 8) == 0 ||
           strncmp(host, "0.", 2) == 0 || strcmp(host, "0") == 0 ||
           strncasecmp(host, "[fe80:", 6) == 0 || strncasecmp(host, "[::ffff:", 8) == 0;
}

static bool check_parsed(const struct url *u, const char *text, bool allow_http,
                         struct err *err)
{
    char *shown;

    if (strcasecmp(u->scheme, "https") == 0)
        return true;
    if (strcasecmp(u->scheme, "http") == 0 && (allow_http || is_loopback(u->host)))
        return true;
    shown = url_shown(text);
    if (strcasecmp(u->scheme, "http") == 0)
        err_set(err, ERR_NET,
                "%s: not encrypted: https is asked for (--insecure-http allows it)",
                shown);
    else
        err_set(err, ERR_NET, "%s: no https address", shown);
    free(shown);
    return false;
}

bool url_check(const char *url, bool allow_http, struct err *err)
{
    struct url u;
    bool ok;

    if (!parse(url, &u))
        return err_set(err, ERR_NET, "%.200s: no valid address", url);
    ok = check_parsed(&u, url, allow_http, err);
    url_release(&u);
    return ok;
}

bool url_is_local_http(const char *url)
{
    struct url u;
    bool is_local;

    if (!parse(url, &u))
        return false;
    is_local = strcasecmp(u.scheme, "http") == 0 && is_loopback(u.host);
    url_release(&u);
    return is_local;
}

/* location made absolute; owned, or NULL. */
static char *resolve(const char *from, const char *location)
{
    CURLU *u = curl_url();
    char *out = NULL;

    if (u != NULL && strlen(location) <= URL_MAX_BYTES &&
        curl_url_set(u, CURLUPART_URL, from, 0) == CURLUE_OK &&
        curl_url_set(u, CURLUPART_URL, location, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
        out = part_of(u, CURLUPART_URL, 0);
    curl_url_cleanup(u);
    return out;
}

static bool check_hop(const struct url *from, const struct url *to, const char *text,
                      bool allow_http, struct err *err)
{
    if (!check_parsed(to, text, allow_http, err))
        return false;
    if (strcasecmp(from->scheme, "https") == 0 && strcasecmp(to->scheme, "https") != 0)
        return err_set(err, ERR_NET, "it leads from https to http");
    if (is_inside(to->host) && !is_inside(from->host))
        return err_set(err, ERR_NET, "it leads into this machine's own network");
    return true;
}

char *url_redirect(const char *from, const char *location, bool allow_http,
                   struct err *err)
{
    char *target = resolve(from, location);
    struct url a = {0};
    struct url b = {0};
    bool ok = target != NULL && parse(from, &a) && parse(target, &b);
    char *shown;

    if (!ok)
        err_set(err, ERR_NET, "it leads to no valid address");
    ok = ok && check_hop(&a, &b, target, allow_http, err);
    url_release(&a);
    url_release(&b);
    if (ok)
        return target;
    free(target);
    shown = url_shown(from);
    err_wrap(err, "the redirect of '%s' is refused", shown);
    free(shown);
    return NULL;
}

bool url_same_origin(const char *a, const char *b)
{
    struct url x = {0};
    struct url y = {0};
    bool same = parse(a, &x) && parse(b, &y) && x.port != NULL && y.port != NULL &&
                strcasecmp(x.scheme, y.scheme) == 0 &&
                strcasecmp(x.host, y.host) == 0 && strcmp(x.port, y.port) == 0;

    url_release(&x);
    url_release(&y);
    return same;
}

char *url_shown(const char *url)
{
    CURLU *u = curl_url();
    char *out = NULL;

    if (u != NULL &&
        curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK) {
        curl_url_set(u, CURLUPART_QUERY, NULL, 0);
        curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
        curl_url_set(u, CURLUPART_USER, NULL, 0);
        curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        out = part_of(u, CURLUPART_URL, 0);
    }
    curl_url_cleanup(u);
    return out != NULL ? out : mem_dup("(an address that is none)");
}

static char *encode(const char *text, const char *keep)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~";
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL || strchr(keep, *text) != NULL)
            buf_add_char(&out, *text);
        else
            buf_addf(&out, "%%%02X", (unsigned)(unsigned char)*text);
    }
    return out.data != NULL ? buf_take(&out, NULL) : mem_dup("");
}

char *url_encode_path(const char *path)
{
    return encode(path, "/");
}

char *url_encode(const char *text)
{
    return encode(text, "");
}
