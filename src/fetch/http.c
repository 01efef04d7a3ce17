/* SPDX-License-Identifier: MIT
 *
 * HTTP requests on libcurl: see http.h.
 */
#include "config.h"

#include "src/fetch/http.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/fetch/url.h"

enum {
    HEADERS_MAX_BYTES = 256 * 1024,
    HEADERS_MAX_LINES = 500,
    RECEIVE_BYTES = 256 * 1024, /* what curl reads at once */
    SLOW_BYTES_PER_S = 1000,    /* less than this, for so long, is a stall */
    RETRY_AFTER_MAX_S = 1000000000,
    BURST_BYTES =
        16 * 1024, /* what a limit on the rate lets through at once, at least */
};

/* Since when less than SLOW_BYTES_PER_S has come. */
struct pulse {
    double since;
    int64_t bytes;
};

struct http {
    CURLM *multi;
    struct http_call *calls; /* all that are open */
    struct http_settings settings;
    double allowance;   /* bytes that may come now; below 0: to wait for */
    double refilled_at; /* when it was last added to */
    struct pulse pulse; /* of all calls together */
    bool multiplexed;   /* there has been an answer over HTTP/2 */
};

struct http_call {
    struct http *http;
    struct http_call *next; /* in http->calls */
    bool paused;            /* until there is allowance */
    bool taken;             /* by http_take_ended, or waited for by http_fetch */
    CURL *easy;
    struct curl_slist *headers;
    struct http_answer answer;
    http_sink_fn sink;
    void *ctx;
    size_t header_bytes;
    int header_lines;
    struct pulse pulse;
    bool ended, stalled;
    bool headers_refused;
    CURLcode result;
    char message[CURL_ERROR_SIZE];
};

bool http_is_passing(int status)
{
    return status == 408 || status == 429 || status >= 500;
}

bool http_is_hopeless(const struct err *err)
{
    static const CURLcode hopeless[] = {
        CURLE_URL_MALFORMAT,         CURLE_PEER_FAILED_VERIFICATION,
        CURLE_SSL_CACERT_BADFILE,    CURLE_SSL_ISSUER_ERROR,
        CURLE_SSL_CERTPROBLEM,       CURLE_SSL_ENGINE_NOTFOUND,
        CURLE_COULDNT_RESOLVE_PROXY,
    };

    for (size_t i = 0; i < sizeof(hopeless) / sizeof(hopeless[0]); i++)
        if (err->kind == ERR_NET && err->code == (int)hopeless[i])
            return true;
    return false;
}

void http_answer_release(struct http_answer *a)
{
    char *const texts[] = {a->location,  a->etag,         a->linked_etag, a->commit,
                           a->link_next, a->content_type, a->error_code};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(texts[i]);
    memset(a, 0, sizeof(*a));
}

static void answer_init(struct http_answer *a)
{
    memset(a, 0, sizeof(*a));
    a->length = a->range_from = a->range_to = a->range_all = -1;
    a->retry_after_s = a->linked_size = -1;
}

/* ---- headers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at *at as a number, *at moved behind them; -1 where none stand there or they
 * are too many. */
static int64_t take_number(const char **at)
{
    int64_t value = 0;

    if (!is_digit(**at))
        return -1;
    while (is_digit(**at)) {
        if (value > (INT64_MAX - 9) / 10)
            return -1;
        value = value * 10 + (*(*at)++ - '0');
    }
    return value;
}

static int64_t whole_number(const char *text)
{
    int64_t value = take_number(&text);

    return *text == '\0' ? value : -1;
}

/* "bytes 0-99/1000"; anything else leaves the members -1. */
static void read_content_range(struct http_answer *a, const char *text)
{
    int64_t from, to, all;

    a->range_from = a->range_to = a->range_all = -1;
    if (strncasecmp(text, "bytes ", 6) != 0)
        return;
    text += 6;
    from = take_number(&text);
    if (from < 0 || *text++ != '-')
        return;
    to = take_number(&text);
    if (to < from || *text++ != '/')
        return;
    all = whole_number(text);
    if (all <= to)
        return;
    a->range_from = from;
    a->range_to = to;
    a->range_all = all;
}

/* Seconds, or a date; a value that is neither counts as absent. */
static int64_t read_retry_after(const char *text)
{
    int64_t seconds = whole_number(text);
    time_t date;
    time_t now = time(NULL);

    if (seconds >= 0)
        return seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S;
    date = curl_getdate(text, NULL);
    if (date == (time_t)-1)
        return -1;
    return date > now ? (int64_t)(date - now) : 0;
}

/* The address in a line of Link that says rel="next", or NULL. */
static char *read_link_next(const char *text)
{
    const char *open = strchr(text, '<');

    while (open != NULL) {
        const char *close = strchr(open, '>');
        size_t n;

        if (close == NULL)
            return NULL;
        n = strcspn(close, ",");
        for (const char *at = close; at + 10 <= close + n; at++)
            if (strncasecmp(at, "rel=\"next\"", 10) == 0)
                return mem_dup_n(open + 1, (size_t)(close - open - 1));
        open = strchr(close, '<');
    }
    return NULL;
}

/* An entity tag without W/ and quotes. */
static char *read_etag(const char *text)
{
    size_t len;

    if (strncmp(text, "W/", 2) == 0)
        text += 2;
    len = strlen(text);
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
        return mem_dup_n(text + 1, len - 2);
    return mem_dup(text);
}

/* The SHA-256 in a list of digests as RFC 9530 has them, "sha-256=:BASE64:, ...". */
static void read_digest(const char *text, char hex[DIGEST_HEX_CAP])
{
    static const char name[] = "sha-256=:";

    hex[0] = '\0';
    while (*text != '\0') {
        text += strspn(text, " \t");
        if (strncasecmp(text, name, sizeof(name) - 1) == 0) {
            text += sizeof(name) - 1;
            (void)digest_hex_of_base64(text, strcspn(text, ":"), hex);
        }
        text += strcspn(text, ",");
        text += *text == ',';
    }
}

static void set_text(char **field, char *value)
{
    free(*field);
    *field = value;
}

static void read_text_header(struct http_answer *a, const char *name, const char *value)
{
    if (strcasecmp(name, "location") == 0)
        set_text(&a->location, mem_dup(value));
    else if (strcasecmp(name, "etag") == 0)
        set_text(&a->etag, read_etag(value));
    else if (strcasecmp(name, "x-linked-etag") == 0)
        set_text(&a->linked_etag, read_etag(value));
    else if (strcasecmp(name, "x-repo-commit") == 0)
        set_text(&a->commit, mem_dup(value));
    else if (strcasecmp(name, "link") == 0)
        set_text(&a->link_next, read_link_next(value));
    else if (strcasecmp(name, "content-type") == 0)
        set_text(&a->content_type, mem_dup(value));
    else if (strcasecmp(name, "x-error-code") == 0)
        set_text(&a->error_code, mem_dup(value));
}

static void read_header(struct http_answer *a, const char *name, const char *value)
{
    if (strcasecmp(name, "content-length") == 0)
        a->length = whole_number(value);
    else if (strcasecmp(name, "content-range") == 0)
        read_content_range(a, value);
    else if (strcasecmp(name, "retry-after") == 0)
        a->retry_after_s = read_retry_after(value);
    else if (strcasecmp(name, "x-linked-size") == 0)
        a->linked_size = whole_number(value);
    else if (strcasecmp(name, "repr-digest") == 0)
        read_digest(value, a->sha256);
    else if (strcasecmp(name, "content-digest") == 0)
        read_digest(value, a->body_sha256);
    else if (strcasecmp(name, "content-encoding") == 0)
        a->encoded = value[0] != '\0' && strcasecmp(value, "identity") != 0;
    else
        read_text_header(a, name, value);
}

/* "HTTP/1.1 206 Partial Content", "HTTP/2 206" */
static void read_status_line(struct http_answer *a, const char *line)
{
    const char *space = strchr(line, ' ');
    int64_t status = -1;

    http_answer_release(a);
    answer_init(a);
    if (space != NULL) {
        space++;
        status = take_number(&space);
    }
    a->status = status > 0 && status < 1000 ? (int)status : 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    struct http_call *call = ctx;
    size_t len = size * n;
    char *line;
    char *colon;

    call->header_bytes += len;
    if (call->header_bytes > HEADERS_MAX_BYTES ||
        ++call->header_lines > HEADERS_MAX_LINES) {
        call->headers_refused = true;
        return 0;
    }
    while (len > 0 && strchr("\r\n \t", data[len - 1]) != NULL)
        len--;
    line = mem_dup_n(data, len);
    colon = strchr(line, ':');
    if (strncmp(line, "HTTP/", 5) == 0) {
        call->http->multiplexed = line[5] != '1';
        read_status_line(&call->answer, line);
    } else if (colon != NULL) {
        *colon++ = '\0';
        read_header(&call->answer, line, colon + strspn(colon, " \t"));
    }
    free(line);
    return size * n;
}

/* ---- the limit on the rate ---- */

/* A bucket of tokens that all calls share. */
static void refill(struct http *h)
{
    double rate = (double)h->settings.rate;
    double most = rate / 8 > BURST_BYTES ? rate / 8 : BURST_BYTES;
    double now = clock_seconds();

    h->allowance += rate * (now - h->refilled_at);
    h->refilled_at = now;
    if (h->allowance > most)
        h->allowance = most;
}

/* Lets paused calls go on as far as there is allowance; how long to wait at most until
 * there is more. */
static int resume_calls(struct http *h, int timeout_ms)
{
    bool any = false;
    double wait_ms;

    if (h->settings.rate <= 0)
        return timeout_ms;
    refill(h);
    for (struct http_call *call = h->calls; call != NULL; call = call->next) {
        if (call->paused && h->allowance > 0) {
            call->paused = false;
            curl_easy_pause(call->easy, CURLPAUSE_CONT); /* may be paused again */
        }
        any = any || call->paused;
    }
    wait_ms = h->allowance < 0 ? -h->allowance * 1000 / (double)h->settings.rate : 0;
    return any && wait_ms < timeout_ms ? (int)wait_ms + 1 : timeout_ms;
}

/* ---- stalls ---- */

static void begin_pulse(struct pulse *p)
{
    p->since = clock_seconds();
    p->bytes = 0;
}

static void beat(struct pulse *p, const struct http *h, size_t bytes)
{
    p->bytes += (int64_t)bytes;
    if (p->bytes >= SLOW_BYTES_PER_S * (int64_t)h->settings.stall_s)
        begin_pulse(p);
}

static bool is_over(const struct pulse *p, double limit_s)
{
    return clock_seconds() - p->since > limit_s;
}

/* Not yet connected: that has a limit of its own. */
static bool is_connecting(const struct http_call *call)
{
    curl_off_t us = 0;

    curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &us);
    return us == 0;
}

/* Ends calls that bring nothing. Those that share a connection (HTTP/2) or a limit on
 * the rate wait for each other: there nothing may come at all. curl's own limit knows a
 * stream alone, and leaves the dead connection to the next requests. */
static void end_stalled(struct http *h)
{
    const struct http_settings *s = &h->settings;
    bool together = h->multiplexed || s->rate > 0;
    double limit_s = (double)s->stall_s;

    if (s->rate > 0)
        limit_s += 4.0 * BURST_BYTES / (double)s->rate;
    for (struct http_call *call = h->calls; call != NULL; call = call->next) {
        if (!call->ended && is_connecting(call))
            begin_pulse(&call->pulse);
        if (!call->ended && is_over(&call->pulse, limit_s) &&
            (!together || is_over(&h->pulse, limit_s))) {
            call->ended = call->stalled = true;
            call->result = CURLE_OPERATION_TIMEDOUT;
            http_use_once(call);
        }
    }
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct http_call *call = ctx;
    struct http *h = call->http;

    if (call->ended)
        return 0;
    beat(&call->pulse, h, size * n);
    beat(&h->pulse, h, size * n);
    if (h->settings.rate > 0) {
        if (h->allowance <= 0) {
            call->paused = true;
            return CURL_WRITEFUNC_PAUSE;
        }
        h->allowance -= (double)(size * n);
    }
    if (call->sink == NULL || call->sink(call->ctx, &call->answer, data, size * n))
        return size * n;
    return 0;
}

/* ---- the set of calls ---- */

struct http *http_open(const struct http_settings *settings, struct err *err)
{
    struct http *h;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        err_set(err, ERR_FAILED, "libcurl cannot be started");
        return NULL;
    }
    h = mem_zalloc(sizeof(*h));
    h->settings = *settings;
    h->refilled_at = clock_seconds();
    h->multi = curl_multi_init();
    if (h->multi == NULL) {
        err_set(err, ERR_FAILED, "libcurl cannot be started");
        free(h);
        return NULL;
    }
    return h;
}

void http_close(struct http *h)
{
    if (h == NULL)
        return;
    curl_multi_cleanup(h->multi);
    curl_global_cleanup();
    free(h);
}

static void set_trust(CURL *easy)
{
    static const char *const files[] = {"CURL_CA_BUNDLE", "SSL_CERT_FILE"};
    const char *dir = getenv("SSL_CERT_DIR");

    for (size_t i = 0; i < 2; i++) {
        const char *file = getenv(files[i]);

        if (file != NULL && file[0] != '\0') {
            curl_easy_setopt(easy, CURLOPT_CAINFO, file);
            break;
        }
    }
    if (dir != NULL && dir[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_CAPATH, dir);
}

static void set_headers(struct http_call *call, const struct http_request *r)
{
    struct buf line;

    buf_init(&line, 64 * 1024);
    call->headers = curl_slist_append(NULL, "Accept-Encoding: identity");
    if (r->token != NULL && buf_addf(&line, "Authorization: Bearer %s", r->token))
        call->headers = curl_slist_append(call->headers, buf_text(&line));
    if (line.len > 0)
        explicit_bzero(line.data, line.len);
    buf_clear(&line);
    if (r->if_range != NULL && buf_addf(&line, "If-Range: \"%s\"", r->if_range))
        call->headers = curl_slist_append(call->headers, buf_text(&line));
    buf_release(&line);
    if (r->wish != NULL)
        call->headers = curl_slist_append(call->headers, r->wish);
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_request(struct http_call *call, const struct http_request *r)
{
    CURL *easy = call->easy;
    char range[64];

    curl_easy_setopt(easy, CURLOPT_URL, r->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, r->agent);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A call that is ended waits for no answer about a host's name. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    if (url_is_local_http(r->url)) /* by a proxy it would leave this machine */
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (r->head)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (r->fresh)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    if (r->to >= 0) {
        snprintf(range, sizeof(range), "%" PRId64 "-%" PRId64, r->from, r->to);
        curl_easy_setopt(easy, CURLOPT_RANGE, range);
    }
    set_headers(call, r);
    set_trust(easy);
}

static void set_limits(struct http_call *call, const struct http_settings *s)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, s->connect_s);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->message);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
}

struct http_call *http_start(struct http *h, const struct http_request *request,
                             struct err *err)
{
    struct http_call *call = mem_zalloc(sizeof(*call));

    begin_pulse(&call->pulse);
    if (h->calls == NULL)
        begin_pulse(&h->pulse);
    call->http = h;
    call->next = h->calls;
    h->calls = call;
    call->sink = request->sink;
    call->ctx = request->ctx;
    answer_init(&call->answer);
    call->easy = curl_easy_init();
    if (call->easy != NULL) {
        set_request(call, request);
        set_limits(call, &h->settings);
        if (curl_multi_add_handle(h->multi, call->easy) == CURLM_OK)
            return call;
    }
    err_set(err, ERR_MEMORY, "libcurl cannot begin a request");
    http_end(call);
    return NULL;
}

void http_use_once(struct http_call *call)
{
    curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
}

bool http_wait(struct http *h, int timeout_ms, struct err *err)
{
    struct curl_waitfd wake = {.fd = h->settings.wake_fd, .events = CURL_WAIT_POLLIN};
    CURLMcode code;
    int running;

    timeout_ms = resume_calls(h, timeout_ms);
    code = curl_multi_perform(h->multi, &running);
    if (code == CURLM_OK && running > 0)
        code = curl_multi_poll(h->multi, &wake, wake.fd >= 0 ? 1 : 0, timeout_ms, NULL);
    if (code == CURLM_OK)
        code = curl_multi_perform(h->multi, &running);
    end_stalled(h);
    return code == CURLM_OK ||
           err_set(err, ERR_NET, "libcurl: %s", curl_multi_strerror(code));
}

bool http_may_go_on(const struct http *h, struct err *err)
{
    return h->settings.may_go_on(h->settings.ctx, err);
}

void http_idle(struct http *h, int timeout_ms)
{
    struct pollfd wake = {.fd = h->settings.wake_fd, .events = POLLIN};

    (void)poll(&wake, 1, timeout_ms); /* a negative fd is left out */
}

static void note_ended(struct http *h)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(h->multi, &left)) != NULL) {
        struct http_call *call = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        call->ended = true;
        call->result = msg->data.result;
    }
}

struct http_call *http_take_ended(struct http *h)
{
    note_ended(h);
    for (struct http_call *call = h->calls; call != NULL; call = call->next)
        if (call->ended && !call->taken) {
            call->taken = true;
            return call;
        }
    return NULL;
}

const struct http_answer *http_answer(const struct http_call *call)
{
    return &call->answer;
}

void *http_context(const struct http_call *call)
{
    return call->ctx;
}

bool http_result(const struct http_call *call, struct err *err)
{
    const char *why =
        call->message[0] != '\0' ? call->message : curl_easy_strerror(call->result);

    if (call->result == CURLE_OK)
        return true;
    if (call->headers_refused)
        return err_set(err, ERR_NET, "the headers of the answer are too many or long");
    if (call->stalled)
        why = "the transfer has stalled";
    err_set(err, ERR_NET, "%s", why);
    if (err != NULL)
        err->code = (int)call->result;
    return false;
}

void http_end(struct http_call *call)
{
    struct http_call **link;

    if (call == NULL)
        return;
    for (link = &call->http->calls; *link != call;)
        link = &(*link)->next;
    *link = call->next;
    if (call->easy != NULL) {
        curl_multi_remove_handle(call->http->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    for (struct curl_slist *at = call->headers; at != NULL; at = at->next)
        explicit_bzero(at->data, strlen(at->data));
    curl_slist_free_all(call->headers);
    http_answer_release(&call->answer);
    free(call);
}

/* ---- one request ---- */

static bool to_buf(void *ctx, const struct http_answer *answer, const char *data,
                   size_t len)
{
    struct buf *body = ctx;

    (void)answer;
    return buf_add(body, data, len);
}

static bool fetch_result(const struct http_call *call, const struct buf *body,
                         struct err *err)
{
    if (call->result == CURLE_WRITE_ERROR && !call->headers_refused && body == NULL)
        return true; /* the sink has seen enough */
    if (call->result == CURLE_WRITE_ERROR && !call->headers_refused)
        return err_set(err, ERR_NET, "the answer is longer than %zu bytes", body->max);
    if (call->answer.encoded)
        return err_set(err, ERR_NET,
                       "the answer is compressed, which was not asked for");
    return http_result(call, err);
}

bool http_fetch(struct http *h, const struct http_request *request,
                struct http_answer *answer, struct buf *body, struct err *err)
{
    struct http_request r = *request;
    struct http_call *call;
    bool ok = true;

    answer_init(answer);
    if (body != NULL) {
        r.sink = to_buf;
        r.ctx = body;
    }
    call = http_start(h, &r, err);
    if (call != NULL)
        call->taken = true;
    while (call != NULL && ok && !call->ended) {
        ok = http_wait(h, 1000, err);
        note_ended(h);
        if (ok && !call->ended)
            ok = http_may_go_on(h, err);
    }
    if (call == NULL)
        return false;
    ok = ok && fetch_result(call, body, err);
    *answer = call->answer;
    memset(&call->answer, 0, sizeof(call->answer));
    http_end(call);
    return ok;
}
