/* SPDX-License-Identifier: MIT
 *
 * Pulling: see pull.h. First names, then the plan, then one file, then the two kinds of
 * pull: from a repository, from an address.
 */
#include "config.h"

#include "src/fetch/pull.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/mem.h"
#include "src/base/meminfo.h"
#include "src/base/path.h"
#include "src/base/text.h"
#include "src/fetch/hub_api.h"
#include "src/fetch/offline.h"
#include "src/fetch/part.h"
#include "src/fetch/peek.h"
#include "src/fetch/pick.h"
#include "src/fetch/store.h"
#include "src/fetch/transfer.h"
#include "src/fetch/url.h"
#include "src/hub.h"
#include "src/human.h"

enum {
    STREAMS = 4,
    STREAM_RATE = 64 * 1024, /* bytes a second that make another one worth while */
    CONNECT_S = 20,
    STALL_S = 30,
    MAX_FAILURES = 6,
    RETRY_AFTER_MAX_S = 300,
    CHANGES_MAX = 3, /* a file that changes while it comes is begun anew so often */
    DISK_RESERVE_BYTES = 16 * 1000 * 1000,
    LOCK_WAIT_MS = 200,
    SHARE_LEAST_BYTES = 64 * 1024 * 1024, /* of a file whose estimate is worth a look */
};

static const double first_wait_s = 0.5;
static const double max_wait_s = 10;
static const char agent[] = "hadal/" PACKAGE_VERSION;

struct pull {
    const struct pull_options *opt;
    const struct pull_watcher *watcher;
    struct http *http;
    struct hub_api api;
    struct store store;
    char *cache;
    char *repo, *quant, *file; /* of the name; quant and file may be NULL */
    char *revision;
    struct hub_listing listing;
    struct pick pick;
    struct pull_plan plan;
    size_t at;            /* the file that is coming */
    int64_t before_bytes; /* of the files before it */
    int64_t fetched, fetched_before;
    const char *url; /* of an address, or NULL */
};

/* ---- names ---- */

/* ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE. */
static bool split_name(struct pull *p, const char *name, struct err *err)
{
    const char *slash = strchr(name, '/');
    const char *repo = slash == NULL ? NULL : slash + 1;
    size_t len = repo == NULL ? 0 : strcspn(repo, ":/");

    if (repo == NULL || !hub_is_plain(name, (size_t)(slash - name)) ||
        !hub_is_plain(repo, len))
        return err_set(err, ERR_USAGE,
                       "%s: no name of a model; it is org/repo, org/repo:QUANT, "
                       "org/repo/file.gguf or an https:// address",
                       name);
    p->repo = mem_dup_n(name, (size_t)(repo - name) + len);
    if (repo[len] == ':')
        p->quant = mem_dup(repo + len + 1);
    if (repo[len] == '/')
        p->file = mem_dup(repo + len + 1);
    if (p->quant != NULL && !hub_is_plain(p->quant, strlen(p->quant)))
        return err_set(err, ERR_USAGE, "%s: no quantisation", p->quant);
    if (p->file != NULL && !hub_api_is_plain_path(p->file))
        return err_set(err, ERR_USAGE, "%s: no plain file name", p->file);
    return true;
}

/* An address of the hub's own is a name: ENDPOINT/ORG/REPO[/resolve|blob/REV/FILE].
 * False where it is not one. */
static bool name_of_address(struct pull *p, const char *url, struct buf *name)
{
    const char *at = url + strlen(p->api.endpoint);
    const char *verb;
    size_t repo_len;
    size_t rev_len;

    if (strncmp(url, p->api.endpoint, strlen(p->api.endpoint)) != 0 || *at++ != '/')
        return false;
    repo_len = strcspn(at, "/");
    if (at[repo_len] == '/')
        repo_len += 1 + strcspn(at + repo_len + 1, "/?#");
    verb = at + repo_len;
    buf_add(name, at, repo_len);
    if (*verb == '\0')
        return true;
    if (strncmp(verb, "/resolve/", 9) == 0)
        verb += 9;
    else if (strncmp(verb, "/blob/", 6) == 0)
        verb += 6;
    else
        return false;
    rev_len = strcspn(verb, "/");
    if (verb[rev_len] != '/')
        return false;
    free(p->revision);
    p->revision = mem_dup_n(verb, rev_len);
    buf_addf(name, "/%.*s", (int)strcspn(verb + rev_len + 1, "?#"), verb + rev_len + 1);
    return true;
}

static bool read_name(struct pull *p, struct err *err)
{
    const char *name = p->opt->name;
    struct buf from_url;
    bool ok;

    p->revision = mem_dup(p->opt->revision != NULL ? p->opt->revision : "main");
    if (!hub_api_is_plain_path(p->revision))
        return err_set(err, ERR_USAGE, "%s: no revision", p->revision);
    if (strncmp(name, "hf.co/", 6) == 0)
        name += 6;
    if (strstr(name, "://") == NULL)
        return split_name(p, name, err);
    buf_init(&from_url, URL_MAX_BYTES);
    if (name_of_address(p, name, &from_url)) {
        ok = split_name(p, buf_text(&from_url), err);
    } else {
        p->url = name;
        ok = true;
    }
    buf_release(&from_url);
    return ok;
}

static char *folder_of_repo(const char *repo)
{
    const char *slash = strchr(repo, '/');
    struct buf out;

    buf_init(&out, BUF_UNLIMITED);
    buf_addf(&out, "models--%.*s--%s", (int)(slash - repo), repo, slash + 1);
    return buf_take(&out, NULL);
}

/* ---- the plan ---- */

/* Bytes that a part already has on the disk. */
static int64_t begun_bytes(const struct store *s, const char *blob)
{
    struct stat st;
    struct buf name;
    int64_t bytes = 0;

    buf_init(&name, 256);
    if (buf_addf(&name, "%s.part", blob) &&
        fstatat(s->blobs_fd, buf_text(&name), &st, AT_SYMLINK_NOFOLLOW) == 0)
        bytes = (int64_t)st.st_blocks * 512;
    buf_release(&name);
    return bytes;
}

static void plan_file(struct pull *p, const char *name, int64_t size, const char *blob)
{
    struct pull_file *f = &p->plan.file[p->plan.n++];
    int64_t begun = 0;

    f->name = mem_dup(name);
    f->size = size;
    f->is_here = p->plan.is_offline ||
                 (blob[0] != '\0' && store_has_blob(&p->store, blob, size));
    if (blob[0] != '\0' && !f->is_here)
        begun = begun_bytes(&p->store, blob);
    if (size < 0)
        return;
    p->plan.bytes += size;
    if (!f->is_here)
        p->plan.fetch_bytes += size - (begun < size ? begun : size);
}

/* A plan alone leaves no trace, and needs no right to write. */
static enum store_use use_of(const struct pull *p)
{
    return p->opt->dry_run || p->plan.is_offline ? STORE_LOOK : STORE_WRITE;
}

static bool check_room(const struct pull_plan *plan, struct err *err)
{
    char need[32], have[32];

    if (plan->fits_disk)
        return true;
    human_bytes((size_t)plan->fetch_bytes, need);
    human_bytes((size_t)plan->free_bytes, have);
    return err_set(err, ERR_IO,
                   "the disk is too full: %s are to come, %s are free in '%s' "
                   "(make room, or set $HF_HUB_CACHE)",
                   need, have, plan->cache);
}

static bool locate_file(void *ctx, struct transfer_source *out, struct err *err)
{
    struct pull *p = ctx;

    if (p->url != NULL)
        return hub_api_probe(&p->api, p->url, out, err);
    return hub_api_resolve(&p->api, p->repo, p->listing.commit,
                           p->plan.file[p->at].name, out, err);
}

/* How much of the weights a token reads, by the first bytes of the first file that is
 * still to come. What cannot be found out is no failure. */
static void find_share(struct pull *p)
{
    struct transfer_source source = {0};
    struct err none;
    struct buf head;
    size_t i = 0;

    p->plan.read_share = 1;
    while (i < p->plan.n && !text_ends_with_any_case(p->plan.file[i].name, ".gguf"))
        i++;
    if (!p->opt->wants_share || i == p->plan.n || p->plan.file[i].is_here ||
        p->plan.file[i].size < SHARE_LEAST_BYTES)
        return;
    buf_init(&head, PEEK_BYTES);
    p->at = i;
    if (locate_file(p, &source, &none) &&
        hub_api_read_head(&p->api, &source, &head, &none))
        p->plan.read_share = peek_read_share(head.data, head.len);
    transfer_source_release(&source);
    buf_release(&head);
}

static bool tell_plan(struct pull *p, struct err *err)
{
    p->plan.cache = p->cache;
    p->plan.free_bytes = store_free_bytes(&p->store);
    p->plan.fits_disk = p->plan.fetch_bytes == 0 || p->plan.free_bytes < 0 ||
                        p->plan.fetch_bytes + DISK_RESERVE_BYTES <= p->plan.free_bytes;
    p->plan.memory_need = pick_memory_need(p->plan.bytes);
    find_share(p);
    return p->watcher->plan(p->watcher->ctx, &p->plan, err) &&
           (p->opt->dry_run || check_room(&p->plan, err));
}

/* ---- one file ---- */

static void on_progress(void *ctx, const struct transfer_progress *t)
{
    struct pull *p = ctx;
    struct pull_progress now = {
        .plan = &p->plan,
        .file = p->at,
        .file_done = t->done_bytes,
        .all_done = p->before_bytes + t->done_bytes,
        .fetched = p->fetched_before + t->fetched_bytes,
        .trouble = t->trouble,
    };

    p->fetched = now.fetched;
    p->watcher->progress(p->watcher->ctx, &now);
}

/* One for each 64 kB/s: slower streams bring nothing. */
static int count_streams(int64_t rate)
{
    int64_t n = rate / STREAM_RATE;

    return rate <= 0 || n > STREAMS ? STREAMS : n < 1 ? 1 : (int)n;
}

/* Brings a file to blobs/NAME.part; the lock is held. */
static bool transfer(struct pull *p, struct transfer_source *source, struct part *part,
                     struct err *err)
{
    const struct transfer_options t = {
        .http = p->http,
        .agent = agent,
        .token = p->api.token,
        .token_url = p->api.endpoint,
        .allow_http = p->opt->allow_http,
        .streams = count_streams(p->opt->rate),
        .max_failures = MAX_FAILURES,
        .first_wait_s = first_wait_s,
        .max_wait_s = max_wait_s,
        .max_retry_after_s = RETRY_AFTER_MAX_S,
        .locate = locate_file,
        .progress = on_progress,
        .ctx = p,
    };

    p->fetched_before = p->fetched;
    return transfer_run(&t, source, part, err);
}

/* Waits until the blob's lock is ours. */
static bool lock_blob(struct pull *p, const char *blob, int *fd, struct err *err)
{
    bool told = false;

    for (;;) {
        int got = store_try_lock(&p->store, blob, fd, err);

        if (got != 0)
            return got > 0;
        if (!told)
            p->watcher->waiting(p->watcher->ctx, p->plan.file[p->at].name);
        told = true;
        http_idle(p->http, LOCK_WAIT_MS);
        if (!http_may_go_on(p->http, err))
            return false;
    }
}

/* What the hub says of a file twice must be the same. */
static bool check_listing(const struct hub_entry *e, const struct transfer_source *s,
                          struct err *err)
{
    if ((e->size >= 0 && e->size != s->size) ||
        (e->hex[0] != '\0' && digest_kind_of_hex(e->hex) == s->kind &&
         strcmp(e->hex, s->hex) != 0))
        return err_set(err, ERR_NET,
                       "'%s': the hub's list and its answer do not agree on size or "
                       "digest",
                       e->name);
    return true;
}

/* A kill between the blob's name and the end of its journal leaves the journal. */
static void drop_journal(const struct store *s, const char *blob)
{
    struct buf name;

    buf_init(&name, 256);
    if (buf_addf(&name, "%s.journal", blob))
        unlinkat(s->blobs_fd, buf_text(&name), 0);
    buf_release(&name);
}

/* The blob of a located file, fetched unless it is here by now. */
static bool make_blob(struct pull *p, struct transfer_source *source, struct err *err)
{
    struct part part = {0};
    int lock = -1;
    bool ok = lock_blob(p, source->hex, &lock, err);

    if (ok && !store_has_blob(&p->store, source->hex, source->size)) {
        char *name = mem_dup(source->hex);

        ok = part_open(&part, p->store.blobs_fd, p->store.blobs_path, name,
                       source->size, source->hex, err) &&
             transfer(p, source, &part, err) && part_finish(&part, name, err);
        part_close(&part);
        free(name);
    }
    if (lock >= 0)
        close(lock);
    return ok;
}

static bool pull_entry(struct pull *p, const struct hub_entry *e, struct err *err)
{
    struct transfer_source source = {0};
    char *path;
    bool ok = true;

    if (p->plan.is_offline) {
        source.size = e->size;
    } else if (p->plan.file[p->at].is_here) {
        memcpy(source.hex, e->hex, sizeof(source.hex));
        source.size = e->size;
        drop_journal(&p->store, source.hex);
    } else {
        ok = locate_file(p, &source, err) && check_listing(e, &source, err) &&
             make_blob(p, &source, err);
        if (!ok && err->kind != ERR_CANCELLED)
            err_wrap(err, "%s/%s", p->repo, e->name);
    }
    ok = ok && (p->plan.is_offline ||
                store_link(&p->store, p->listing.commit, e->name, source.hex, err));
    if (ok) {
        p->before_bytes += source.size;
        path = store_path(&p->store, p->listing.commit, e->name);
        ok = p->watcher->done(p->watcher->ctx, &p->plan, p->at, path, err);
        free(path);
    }
    transfer_source_release(&source);
    return ok;
}

/* ---- from a repository ---- */

/* Files of the cache, or none: what is missing cannot be asked for. */
static bool pick_offline(struct pull *p, const char *folder,
                         const struct pick_wish *wish, struct err *err)
{
    static const char why[] = "the network was not asked, since $HF_HUB_OFFLINE is set";

    if (!offline_list(p->cache, folder, p->revision, &p->listing))
        return err_set(err, ERR_NET, "%s: not in the cache; %s", p->opt->name, why);
    if (pick_files(&p->listing, wish, &p->pick, err))
        return true;
    if (err->code != PICK_REFUSED) {
        struct err miss = *err;

        err_set(err, ERR_NET, "%s in the cache; %s", miss.text, why);
    }
    return false;
}

static bool plan_repo(struct pull *p, const char *folder, struct err *err)
{
    const struct pick_wish wish = {
        .repo = p->repo,
        .quant = p->quant,
        .file = p->file,
        .include = p->opt->include,
        .memory_bytes = p->plan.memory_free,
    };
    bool ok = p->plan.is_offline
                  ? pick_offline(p, folder, &wish, err)
                  : hub_api_list(&p->api, p->repo, p->revision, &p->listing, err) &&
                        pick_files(&p->listing, &wish, &p->pick, err);

    if (!ok || !store_open(&p->store, p->cache, folder, use_of(p), err))
        return false;
    p->plan.name = p->repo;
    p->plan.commit = p->listing.commit;
    p->plan.why = p->pick.why;
    p->plan.file = mem_array(p->pick.n + 1, sizeof(*p->plan.file));
    for (size_t i = 0; i < p->pick.n; i++) {
        const struct hub_entry *e = &p->listing.entry[p->pick.index[i]];

        plan_file(p, e->name, e->size, e->hex);
    }
    return tell_plan(p, err);
}

/* What to open: the one GGUF file (the first of a set), else the snapshot. */
static char *path_to_open(const struct pull *p)
{
    for (size_t i = 0; i < p->plan.n; i++)
        if (text_ends_with_any_case(p->plan.file[i].name, ".gguf"))
            return store_path(&p->store, p->listing.commit, p->plan.file[i].name);
    return store_path(&p->store, p->listing.commit, "");
}

static bool pull_files(struct pull *p, const char *folder, char **path, struct err *err)
{
    if (!plan_repo(p, folder, err))
        return false;
    if (p->opt->dry_run)
        return true;
    for (p->at = 0; p->at < p->plan.n; p->at++)
        if (!pull_entry(p, &p->listing.entry[p->pick.index[p->at]], err))
            return false;
    if (!p->plan.is_offline && strcmp(p->revision, p->listing.commit) != 0 &&
        !store_set_ref(&p->store, p->revision, p->listing.commit, err))
        return false;
    *path = path_to_open(p);
    return true;
}

static bool pull_repo(struct pull *p, char **path, struct err *err)
{
    char *folder = folder_of_repo(p->repo);
    bool ok = pull_files(p, folder, path, err);

    free(folder);
    return ok;
}

/* ---- from an address ---- */

/* "https://HOST/.../NAME.gguf?..." to the folder "models--HOST--STEM" and NAME.gguf. */
static bool split_address(const char *url, char **folder, char **name, struct err *err)
{
    char *shown = url_shown(url);
    const char *slash = strrchr(shown, '/');
    const char *host = strstr(shown, "://");
    size_t len = slash == NULL ? 0 : strlen(slash + 1);
    size_t host_len;
    struct buf out;
    bool ok = host != NULL && slash > host + 3 &&
              text_ends_with_any_case(slash, ".gguf") && hub_is_plain(slash + 1, len);

    if (ok) {
        host += 3;
        host_len = strcspn(host, "/:");
        ok = hub_is_plain(host, host_len);
        buf_init(&out, BUF_UNLIMITED);
        buf_addf(&out, "models--%.*s--%.*s", (int)host_len, host, (int)len - 5,
                 slash + 1);
        *folder = buf_take(&out, NULL);
        *name = mem_dup(slash + 1);
    }
    if (!ok)
        err_set(err, ERR_MODEL,
                "%s: not the name of a .gguf file; no other file is fetched by address",
                shown);
    free(shown);
    return ok;
}

/* The name of a blob whose bytes nobody vouches for: their own digest. */
static bool name_part(const struct part *part, char hex[DIGEST_HEX_CAP],
                      struct err *err)
{
    unsigned char *data = mem_alloc((size_t)part->block_bytes);
    unsigned char bytes[DIGEST_MAX_BYTES];
    struct digest d = {0};
    bool ok = digest_begin(&d, DIGEST_SHA256, 0, err);

    for (size_t i = 0; ok && i < part->n_blocks; i++) {
        ok = part_get(part, i, data, err);
        if (ok)
            digest_add(&d, data, part_block_len(part, i));
    }
    if (ok)
        digest_hex(bytes, digest_end(&d, bytes), hex);
    digest_release(&d);
    free(data);
    return ok;
}

/* One try; fails with code TRANSFER_CHANGED where the file became another. */
static bool transfer_address(struct pull *p, const char *name, char hex[DIGEST_HEX_CAP],
                             struct err *err)
{
    struct transfer_source source = {0};
    struct part part = {0};
    struct buf identity;
    bool ok = locate_file(p, &source, err);

    buf_init(&identity, PART_IDENTITY_CAP - 1);
    if (ok && source.kind != DIGEST_NONE)
        buf_addf(&identity, "sha256 %s", source.hex);
    else if (ok)
        buf_addf(&identity, "etag %.400s", source.etag != NULL ? source.etag : "");
    ok = ok && part_open(&part, p->store.blobs_fd, p->store.blobs_path, name,
                         source.size, buf_text(&identity), err);
    ok = ok && transfer(p, &source, &part, err) && name_part(&part, hex, err) &&
         part_finish(&part, hex, err);
    part_close(&part);
    buf_release(&identity);
    transfer_source_release(&source);
    return ok;
}

static bool fetch_address(struct pull *p, const char *part_name,
                          char hex[DIGEST_HEX_CAP], struct err *err)
{
    int lock = -1;
    bool ok = lock_blob(p, part_name, &lock, err);

    for (int i = 0; ok; i++) {
        if (transfer_address(p, part_name, hex, err))
            break;
        ok = err->code == TRANSFER_CHANGED && err->kind == ERR_NET && i < CHANGES_MAX;
    }
    if (lock >= 0)
        close(lock);
    return ok;
}

/* hex: the digest, where the server says it, else "". */
static bool plan_address(struct pull *p, const char *name, const char *part_name,
                         char hex[DIGEST_HEX_CAP], struct err *err)
{
    struct transfer_source source = {0};
    bool ok = locate_file(p, &source, err);

    if (ok) {
        p->plan.name = p->opt->name;
        p->plan.why = "asked for by address";
        p->plan.file = mem_array(1, sizeof(*p->plan.file));
        memcpy(hex, source.hex, DIGEST_HEX_CAP);
        plan_file(p, name, source.size,
                  store_has_blob(&p->store, hex, source.size) ? hex : part_name);
        ok = tell_plan(p, err);
    }
    transfer_source_release(&source);
    return ok;
}

static bool pull_named_address(struct pull *p, const char *folder, const char *name,
                               char **path, struct err *err)
{
    unsigned char of_url[DIGEST_SHA256_BYTES];
    char part_name[DIGEST_HEX_CAP];
    char hex[DIGEST_HEX_CAP];

    if (!store_open(&p->store, p->cache, folder, use_of(p), err) ||
        !digest_sha256(p->url, strlen(p->url), of_url, err))
        return false;
    digest_hex(of_url, sizeof(of_url), part_name);
    if (!plan_address(p, name, part_name, hex, err))
        return false;
    if (p->opt->dry_run)
        return true;
    if ((!p->plan.file[0].is_here && !fetch_address(p, part_name, hex, err)) ||
        !store_link(&p->store, hex, name, hex, err) ||
        !store_set_ref(&p->store, "main", hex, err))
        return false;
    *path = store_path(&p->store, hex, name);
    return p->watcher->done(p->watcher->ctx, &p->plan, 0, *path, err);
}

static bool pull_address(struct pull *p, char **path, struct err *err)
{
    char *folder = NULL;
    char *name = NULL;
    bool ok = url_check(p->url, p->opt->allow_http, err) &&
              split_address(p->url, &folder, &name, err);

    if (ok && p->plan.is_offline) {
        p->repo = url_shown(p->url);
        p->file = mem_dup(name);
        ok = pull_files(p, folder, path, err);
    } else if (ok) {
        ok = pull_named_address(p, folder, name, path, err);
    }
    free(folder);
    free(name);
    return ok;
}

/* ---- the whole ---- */

/* $HF_HUB_DOWNLOAD_TIMEOUT, as huggingface_hub has it. */
static long stall_seconds(void)
{
    const char *value = getenv("HF_HUB_DOWNLOAD_TIMEOUT");
    long seconds = value == NULL ? 0 : strtol(value, NULL, 10);

    return seconds > 0 && seconds < 86400 ? seconds : STALL_S;
}

static void release(struct pull *p)
{
    for (size_t i = 0; i < p->plan.n; i++)
        free(p->plan.file[i].name);
    free(p->plan.file);
    pick_release(&p->pick);
    hub_listing_release(&p->listing);
    store_close(&p->store);
    hub_api_close(&p->api);
    http_close(p->http);
    free(p->cache);
    free(p->repo);
    free(p->quant);
    free(p->file);
    free(p->revision);
}

bool pull_run(const struct pull_options *opt, const struct pull_watcher *watcher,
              char **path, struct err *err)
{
    const struct http_settings settings = {
        .connect_s = CONNECT_S,
        .stall_s = stall_seconds(),
        .rate = opt->rate,
        .wake_fd = opt->wake_fd,
        .may_go_on = opt->may_go_on,
        .ctx = opt->ctx,
    };
    struct pull p = {.opt = opt, .watcher = watcher};
    struct meminfo memory;
    bool ok;

    *path = NULL;
    p.plan.is_offline = offline_is_set();
    meminfo_read(&memory);
    p.plan.memory_free = memory.available_bytes;
    p.cache = path_hub_cache(err);
    p.http = p.cache == NULL ? NULL : http_open(&settings, err);
    ok = p.http != NULL && hub_api_open(&p.api, p.http, agent, opt->allow_http, err) &&
         read_name(&p, err) &&
         (p.url != NULL ? pull_address(&p, path, err) : pull_repo(&p, path, err));
    release(&p);
    return ok;
}
