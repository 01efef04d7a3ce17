/* SPDX-License-Identifier: MIT
 *
 * The hub's interface: see hub_api.h.
 */
#include "config.h"

#include "src/fetch/hub_api.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "src/base/buf.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/base/utf8.h"
#include "src/fetch/url.h"

enum {
    ANSWER_MAX_BYTES = 4 * 1024 * 1024,
    PAGES_MAX = 100,
    ENTRIES_MAX = 100000,
    TRIES = 5,
    RETRY_AFTER_MAX_S = 60,
    TOKEN_MAX_BYTES = 4096,
    COMPONENT_MAX_BYTES = 255,
    PATH_MAX_LEN = 1024,
};

static const double first_wait_s = 0.5;
static const char default_endpoint[] = "https://huggingface.co";

/* ---- names ---- */

static bool is_plain_component(const char *text, size_t len)
{
    if (len == 0 || len > COMPONENT_MAX_BYTES || (len == 1 && text[0] == '.') ||
        (len == 2 && text[0] == '.' && text[1] == '.'))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f || text[i] == '\\')
            return false;
    return utf8_is_valid(text, len);
}

bool hub_api_is_plain_path(const char *path)
{
    if (*path == '\0' || strlen(path) > PATH_MAX_LEN)
        return false;
    for (;;) {
        size_t len = strcspn(path, "/");

        if (!is_plain_component(path, len))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

/* ---- opening ---- */

/* The first line of a token's source, if it is one; owned. */
static char *clean_token(const char *text, const char *what, struct err *err)
{
    size_t start = strspn(text, " \t\r\n");
    size_t len = strcspn(text + start, " \t\r\n");

    for (size_t i = 0; i < len; i++)
        if (!isgraph((unsigned char)text[start + i]) || len > TOKEN_MAX_BYTES) {
            err_set(err, ERR_NET, "%s holds no token", what);
            return NULL;
        }
    return mem_dup_n(text + start, len);
}

static bool read_token(struct hub_api *api, struct err *err)
{
    const char *given = getenv("HF_TOKEN");
    char *path = NULL;
    struct buf text;
    bool ok = true;

    buf_init(&text, TOKEN_MAX_BYTES);
    if (given != NULL && given[0] != '\0') {
        api->token = clean_token(given, "$HF_TOKEN", err);
        ok = api->token != NULL;
    } else {
        path = path_hub_token(NULL);
        if (path != NULL && file_read(path, ERR_NET, &text, NULL)) {
            api->token = clean_token(buf_text(&text), path, err);
            ok = api->token != NULL;
        }
    }
    if (text.data != NULL)
        explicit_bzero(text.data, text.len);
    if (api->token != NULL && api->token[0] == '\0') {
        free(api->token);
        api->token = NULL;
    }
    buf_release(&text);
    free(path);
    return ok;
}

bool hub_api_open(struct hub_api *api, struct http *http, const char *agent,
                  bool allow_http, struct err *err)
{
    const char *given = getenv("HF_ENDPOINT");
    size_t len;

    memset(api, 0, sizeof(*api));
    api->http = http;
    api->agent = agent;
    api->allow_http = allow_http;
    if (given == NULL || given[0] == '\0')
        given = default_endpoint;
    len = strlen(given);
    while (len > 0 && given[len - 1] == '/')
        len--;
    api->endpoint = mem_dup_n(given, len);
    if (!url_check(api->endpoint, allow_http, err)) {
        err_wrap(err, "$HF_ENDPOINT");
        goto fail;
    }
    if (!read_token(api, err))
        goto fail;
    if (api->token != NULL && !url_check(api->endpoint, false, err)) {
        err_wrap(err, "the token is not sent unencrypted");
        goto fail;
    }
    if (api->token != NULL)
        prctl(PR_SET_DUMPABLE, 0);
    return true;
fail:
    hub_api_close(api);
    return false;
}

void hub_api_close(struct hub_api *api)
{
    if (api->token != NULL) {
        explicit_bzero(api->token, strlen(api->token));
        prctl(PR_SET_DUMPABLE, 1);
    }
    free(api->token);
    free(api->endpoint);
    memset(api, 0, sizeof(*api));
}

/* ---- asking ---- */

/* Waits before the next try, as the server asks or longer each time. */
static bool wait_to_retry(const struct hub_api *api, int try, int64_t retry_after_s,
                          struct err *err)
{
    double wait = first_wait_s * (double)(1 << try);
    double until;

    if (retry_after_s > RETRY_AFTER_MAX_S)
        return err_wrap(err, "the server asks to wait for %lld s",
                        (long long)retry_after_s);
    if ((double)retry_after_s > wait)
        wait = (double)retry_after_s;
    until = clock_seconds() + wait;
    while (clock_seconds() < until) {
        struct err stopped;

        http_idle(api->http, 100);
        if (!http_may_go_on(api->http, &stopped)) {
            *err = stopped;
            return false;
        }
    }
    return true;
}

/* The token goes to the endpoint's origin alone. */
static const char *token_for(const struct hub_api *api, const char *url)
{
    return api->token != NULL && url_same_origin(url, api->endpoint) ? api->token
                                                                     : NULL;
}

/* Asks once or, on trouble that may pass, again. The answer is the caller's to release
 * in any case. */
static bool ask(struct hub_api *api, struct http_request *request,
                struct http_answer *answer, struct buf *body, struct err *err)
{
    request->agent = api->agent;
    request->token = token_for(api, request->url);
    for (int try = 0;; try++) {
        bool ok;

        memset(answer, 0, sizeof(*answer));
        if (body != NULL)
            buf_clear(body);
        ok = http_fetch(api->http, request, answer, body, err);
        if (ok && !http_is_passing(answer->status))
            return true;
        if (ok)
            err_set(err, ERR_NET, "the server answers %d", answer->status);
        if ((!ok && (err->kind != ERR_NET || http_is_hopeless(err))) ||
            try + 1 == TRIES || !wait_to_retry(api, try, answer->retry_after_s, err))
            return false;
        http_answer_release(answer);
    }
}

/* Says in words what a refusal of the hub means. */
static bool explain(const struct hub_api *api, const char *repo, const char *what,
                    const struct http_answer *a, struct err *err)
{
    const char *code = a->error_code != NULL ? a->error_code : "";
    bool gated = strcmp(code, "GatedRepo") == 0;

    if (a->status == 404 || strcmp(code, "RevisionNotFound") == 0 ||
        strcmp(code, "EntryNotFound") == 0)
        return err_set(err, ERR_MODEL, "%s: not at %s", what, api->endpoint);
    if ((a->status == 401 || a->status == 403) && api->token == NULL && gated)
        return err_set(err, ERR_NET,
                       "%s: gated: accept the licence at %s/%s, make a token at "
                       "%s/settings/tokens and put it into $HF_TOKEN",
                       repo, api->endpoint, repo, api->endpoint);
    if ((a->status == 401 || a->status == 403) && api->token == NULL)
        return err_set(err, ERR_NET,
                       "%s: private, gated or not there: make a token at "
                       "%s/settings/tokens and put it into $HF_TOKEN",
                       repo, api->endpoint);
    if (a->status == 403 || (a->status == 401 && gated))
        return err_set(err, ERR_NET,
                       "%s: not open to this token: accept the licence at %s/%s, "
                       "then pull again",
                       repo, api->endpoint, repo);
    if (a->status == 401)
        return err_set(
            err, ERR_NET,
            "the token is not accepted, or '%s' is not there: make a new one "
            "at %s/settings/tokens",
            repo, api->endpoint);
    return err_set(err, ERR_NET, "'%s': the server answers %d", what, a->status);
}

/* ---- listing ---- */

void hub_listing_release(struct hub_listing *listing)
{
    for (size_t i = 0; i < listing->n; i++)
        free(listing->entry[i].name);
    free(listing->entry);
    free(listing->commit);
    memset(listing, 0, sizeof(*listing));
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = json_get(object, key);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static void set_hex(struct hub_entry *e, const char *hex, enum digest_kind kind)
{
    if (hex != NULL && digest_kind_of_hex(hex) == kind)
        memcpy(e->hex, hex, strlen(hex) + 1);
}

/* One file of either listing: {"rfilename"|"path", "size", "blobId"|"oid", "lfs"}. */
static bool add_entry(struct hub_listing *out, const cJSON *item, struct err *err)
{
    const char *name = text_of(item, "rfilename");
    const cJSON *lfs = json_get(item, "lfs");
    const char *sha256 = text_of(lfs, "sha256");
    const char *oid = text_of(item, "blobId");
    struct hub_entry e = {.size = -1};

    if (name == NULL)
        name = text_of(item, "path");
    if (name == NULL || !hub_api_is_plain_path(name))
        return true;
    if (out->n >= ENTRIES_MAX)
        return err_set(err, ERR_NET, "the repository has more than %d files",
                       (int)ENTRIES_MAX);
    if (!json_int(json_get(item, "size"), 0, INT64_MAX / 2, &e.size))
        e.size = -1;
    if (e.size < 0 && !json_int(json_get(lfs, "size"), 0, INT64_MAX / 2, &e.size))
        e.size = -1;
    set_hex(&e, sha256 != NULL ? sha256 : text_of(lfs, "oid"), DIGEST_SHA256);
    if (!cJSON_IsObject(lfs))
        set_hex(&e, oid != NULL ? oid : text_of(item, "oid"), DIGEST_GIT_SHA1);
    e.name = mem_dup(name);
    out->entry = mem_grow(out->entry, &out->cap, out->n + 1, sizeof(*out->entry));
    out->entry[out->n++] = e;
    return true;
}

/* Parses a body, or fails with words about it. */
static cJSON *parse_body(const struct http_answer *a, const struct buf *body,
                         struct err *err)
{
    if (a->content_type != NULL && strncmp(a->content_type, "text/html", 9) == 0) {
        err_set(err, ERR_NET, "the server answers with a web page, not with data");
        return NULL;
    }
    return json_parse(buf_text(body), body->len, "the hub's answer", ERR_NET, err);
}

/* GETs an address of the interface, following redirects of its own; the body parsed.
 * *next: the address of the next page, owned, or NULL. */
static cJSON *get_json(struct hub_api *api, const char *repo, const char *what,
                       const char *url, char **next, struct err *err)
{
    struct http_answer answer = {0};
    struct buf body;
    char *at = mem_dup(url);
    cJSON *json = NULL;

    buf_init(&body, ANSWER_MAX_BYTES);
    *next = NULL;
    for (int hop = 0; at != NULL; hop++) {
        struct http_request request = {.url = at, .to = -1};
        char *target = NULL;

        if (!ask(api, &request, &answer, &body, err)) {
            err_wrap(err, "%s", api->endpoint);
        } else if (answer.status >= 301 && answer.status <= 308 &&
                   answer.location != NULL) {
            if (hop >= URL_MAX_HOPS)
                err_set(err, ERR_NET, "more than %d redirects", (int)URL_MAX_HOPS);
            else
                target = url_redirect(at, answer.location, api->allow_http, err);
        } else if (answer.status != 200) {
            explain(api, repo, what, &answer, err);
        } else {
            json = parse_body(&answer, &body, err);
            if (json != NULL && answer.link_next != NULL)
                *next = url_redirect(at, answer.link_next, api->allow_http, err);
            if (answer.link_next != NULL && *next == NULL) {
                cJSON_Delete(json);
                json = NULL;
            }
        }
        http_answer_release(&answer);
        free(at);
        at = target;
    }
    buf_release(&body);
    return json;
}

static bool add_entries(struct hub_listing *out, const cJSON *array, struct err *err)
{
    const cJSON *item;

    if (!cJSON_IsArray(array))
        return err_set(err, ERR_NET, "the hub's answer lists no files");
    cJSON_ArrayForEach(item, array)
    {
        const char *type = text_of(item, "type");

        if (cJSON_IsObject(item) && (type == NULL || strcmp(type, "file") == 0) &&
            !add_entry(out, item, err))
            return false;
    }
    return true;
}

/* An address of the interface; owned. */
static char *api_url(const struct hub_api *api, const char *repo, const char *verb,
                     const char *revision, const char *query)
{
    char *rev = url_encode(revision);
    struct buf url;

    buf_init(&url, BUF_UNLIMITED);
    buf_addf(&url, "%s/api/models/%s/%s/%s?%s", api->endpoint, repo, verb, rev, query);
    free(rev);
    return buf_take(&url, NULL);
}

/* What messages call a repository at a revision; owned. */
static char *name_at(const char *repo, const char *revision)
{
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    buf_addf(&out, strcmp(revision, "main") == 0 ? "%s" : "%s@%s", repo, revision);
    return buf_take(&out, NULL);
}

/* The files page by page; more exact than the first answer where that has no sizes. */
static bool list_tree(struct hub_api *api, const char *repo, const char *revision,
                      struct hub_listing *out, struct err *err)
{
    char *url = api_url(api, repo, "tree", revision, "recursive=true");
    bool ok = true;

    for (int page = 0; ok && url != NULL; page++) {
        char *next;
        cJSON *json;

        if (page == PAGES_MAX) {
            ok = err_set(err, ERR_NET, "the list of files has more than %d pages",
                         (int)PAGES_MAX);
            break;
        }
        json = get_json(api, repo, repo, url, &next, err);
        ok = json != NULL && add_entries(out, json, err);
        cJSON_Delete(json);
        free(url);
        url = next;
    }
    free(url);
    return ok;
}

static bool has_sizes(const struct hub_listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->entry[i].size < 0)
            return false;
    return l->n > 0;
}

static void drop_entries(struct hub_listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->entry[i].name);
    l->n = 0;
}

static bool read_revision(const cJSON *json, struct hub_listing *out, struct err *err)
{
    const char *commit = text_of(json, "sha");

    if (commit == NULL || strchr(commit, '/') != NULL || !hub_api_is_plain_path(commit))
        return err_set(err, ERR_NET, "the hub's answer names no commit");
    out->commit = mem_dup(commit);
    return json_get(json, "siblings") == NULL ||
           add_entries(out, json_get(json, "siblings"), err);
}

bool hub_api_list(struct hub_api *api, const char *repo, const char *revision,
                  struct hub_listing *out, struct err *err)
{
    char *url = api_url(api, repo, "revision", revision, "blobs=true");
    char *what = name_at(repo, revision);
    char *next = NULL;
    cJSON *json = get_json(api, repo, what, url, &next, err);
    bool ok;

    memset(out, 0, sizeof(*out));
    ok = json != NULL && read_revision(json, out, err);
    if (ok && !has_sizes(out)) {
        drop_entries(out);
        ok = list_tree(api, repo, out->commit, out, err);
    }
    cJSON_Delete(json);
    free(next);
    free(what);
    free(url);
    if (!ok)
        hub_listing_release(out);
    return ok;
}

/* ---- one file ---- */

/* Takes over what the headers of a HEAD say of the file. */
static bool read_file_facts(const struct http_answer *a, const char *name,
                            struct transfer_source *out, struct err *err)
{
    const char *etag = a->linked_etag != NULL ? a->linked_etag : a->etag;

    out->size = a->linked_size >= 0 ? a->linked_size : a->length;
    if (out->size < 0)
        return err_set(err, ERR_NET, "'%s': the server does not say its size", name);
    if (etag == NULL || digest_kind_of_hex(etag) == DIGEST_NONE)
        return err_set(err, ERR_NET, "'%s': the server does not say its digest", name);
    out->kind = digest_kind_of_hex(etag);
    memcpy(out->hex, etag, strlen(etag) + 1);
    return true;
}

/* Follows HEADs until one tells the file's facts. `at` is given away. */
static bool head_file(struct hub_api *api, const char *repo, const char *name, char *at,
                      struct transfer_source *out, struct err *err)
{
    struct http_answer answer = {0};
    bool ok = false;

    for (int hop = 0; at != NULL; hop++) {
        struct http_request request = {.url = at, .head = true, .to = -1};
        char *target = NULL;
        bool moved;

        if (!ask(api, &request, &answer, NULL, err)) {
            err_wrap(err, "'%s'", name);
            break;
        }
        moved = answer.status >= 301 && answer.status <= 308 && answer.location != NULL;
        if (moved && hop >= URL_MAX_HOPS) {
            err_set(err, ERR_NET, "'%s': more than %d redirects", name,
                    (int)URL_MAX_HOPS);
            break;
        }
        if (moved)
            target = url_redirect(at, answer.location, api->allow_http, err);
        if (moved && target == NULL)
            break;
        if (!moved && answer.status != 200) {
            explain(api, repo, name, &answer, err);
            break;
        }
        if (!moved || answer.linked_etag != NULL) {
            ok = read_file_facts(&answer, name, out, err);
            out->url = moved ? target : mem_dup(at);
            break;
        }
        http_answer_release(&answer);
        free(at);
        at = target;
    }
    http_answer_release(&answer);
    free(at);
    return ok;
}

bool hub_api_resolve(struct hub_api *api, const char *repo, const char *revision,
                     const char *name, struct transfer_source *out, struct err *err)
{
    char *rev = url_encode(revision);
    char *path = url_encode_path(name);
    struct buf url;
    bool ok;

    memset(out, 0, sizeof(*out));
    buf_init(&url, BUF_UNLIMITED);
    buf_addf(&url, "%s/%s/resolve/%s/%s", api->endpoint, repo, rev, path);
    ok = head_file(api, repo, name, buf_take(&url, NULL), out, err);
    free(path);
    free(rev);
    if (!ok)
        transfer_source_release(out);
    return ok;
}

bool hub_api_read_head(struct hub_api *api, const struct transfer_source *source,
                       struct buf *body, struct err *err)
{
    int64_t most = (int64_t)body->max;
    struct http_request request = {
        .url = source->url,
        .to = (source->size < most ? source->size : most) - 1,
        .agent = api->agent,
        .token = token_for(api, source->url),
    };
    struct http_answer answer = {0};
    bool ok = http_fetch(api->http, &request, &answer, body, err) &&
              (answer.status == 206 ||
               err_set(err, ERR_NET, "the server answers %d", answer.status));

    http_answer_release(&answer);
    return ok;
}

/* What a GET of the first byte says. */
static bool read_probe(const struct http_answer *a, const char *shown,
                       struct transfer_source *out, struct err *err)
{
    if (a->status == 404 || a->status == 410)
        return err_set(err, ERR_MODEL, "%s: not there (the server answers %d)", shown,
                       a->status);
    if (a->status != 200 && a->status != 206 && a->status != 416)
        return err_set(err, ERR_NET, "'%s': the server answers %d", shown, a->status);
    if (a->content_type != NULL && strncmp(a->content_type, "text/html", 9) == 0)
        return err_set(err, ERR_NET, "%s: a web page, no model", shown);
    out->size = a->status == 206 ? a->range_all : a->length;
    if (out->size < 0)
        return err_set(err, ERR_NET, "'%s': the server does not say its size", shown);
    if (out->kind == DIGEST_NONE && a->etag != NULL)
        out->etag = mem_dup(a->etag);
    return true;
}

/* The headers are there: enough. */
static bool drop_body(void *ctx, const struct http_answer *a, const char *data,
                      size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return a->status == 206;
}

/* The digest that an answer names, if it does; the first one on the way counts. */
static void note_digest(const struct http_answer *a, struct transfer_source *out)
{
    const char *hex = a->sha256;

    if (a->linked_etag != NULL && digest_kind_of_hex(a->linked_etag) == DIGEST_SHA256)
        hex = a->linked_etag;
    if (out->kind != DIGEST_NONE || hex[0] == '\0')
        return;
    out->kind = DIGEST_SHA256;
    memcpy(out->hex, hex, strlen(hex) + 1);
}

bool hub_api_probe(struct hub_api *api, const char *url, struct transfer_source *out,
                   struct err *err)
{
    struct http_answer answer = {0};
    char *at = mem_dup(url);
    char *shown = url_shown(url);
    bool ok = url_check(url, api->allow_http, err);

    memset(out, 0, sizeof(*out));
    for (int hop = 0; ok; hop++) {
        struct http_request request = {.url = at,
                                       .to = 0,
                                       .wish = "Want-Repr-Digest: sha-256=10",
                                       .sink = drop_body};
        char *target;

        ok = ask(api, &request, &answer, NULL, err);
        if (ok)
            note_digest(&answer, out);
        if (!ok || answer.status < 301 || answer.status > 308)
            break;
        target = hop >= URL_MAX_HOPS || answer.location == NULL
                     ? NULL
                     : url_redirect(at, answer.location, api->allow_http, err);
        ok = target != NULL ||
             (hop >= URL_MAX_HOPS
                  ? err_set(err, ERR_NET, "'%s': too many redirects", shown)
                  : false);
        http_answer_release(&answer);
        free(at);
        at = target;
    }
    ok = ok && read_probe(&answer, shown, out, err);
    if (ok)
        out->url = mem_dup(at);
    http_answer_release(&answer);
    free(shown);
    free(at);
    return ok;
}
