/* SPDX-License-Identifier: MIT
 *
 * hadal rm MODEL, hadal verify MODEL, hadal gc: the cache, looked after.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/digest.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/catalog.h"
#include "src/command.h"
#include "src/hub_cache.h"
#include "src/human.h"
#include "src/output.h"
#include "src/stores.h"

enum { READ_BYTES = 1 << 20 };

/* ---- rm and gc ---- */

static bool tell_freed(const struct options *opt, const struct hub_freed *freed,
                       const char *verb, struct err *err)
{
    char size[32];
    struct buf out;
    bool ok = true;

    buf_init(&out, BUF_UNLIMITED);
    human_bytes((size_t)freed->bytes, size);
    buf_addf(&out, "%s %zu file%s, %s\n", verb, freed->n_files,
             freed->n_files == 1 ? "" : "s", size);
    if (!opt->quiet)
        ok = output_write_text(buf_text(&out), out.len, err);
    buf_release(&out);
    return ok;
}

bool cmd_rm(const struct options *opt, struct err *err)
{
    struct catalog_model model = {0};
    struct hub_links links = {0};
    struct hub_freed freed;
    bool ok = catalog_find(opt->words.item[0], &model, err) &&
              hub_links_of(model.path, &links, err) &&
              hub_remove(&links, &freed, err) &&
              tell_freed(opt, &freed, "removed", err);

    hub_links_release(&links);
    catalog_model_release(&model);
    return ok;
}

bool cmd_gc(const struct options *opt, struct err *err)
{
    struct hub_freed freed;

    return hub_collect(opt->dry_run != 0, &freed, err) &&
           tell_freed(opt, &freed, opt->dry_run ? "would remove" : "removed", err);
}

/* ---- verify ---- */

/* The digest of a file, of the kind that its blob's name is (SHA-256 for others). */
static bool file_digest(const char *path, enum digest_kind kind,
                        char hex[DIGEST_HEX_CAP], struct err *err)
{
    unsigned char bytes[DIGEST_MAX_BYTES];
    char *data = mem_alloc(READ_BYTES);
    struct digest d = {0};
    struct stat st;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && digest_begin(&d, kind, st.st_size, err);

    while (ok && (n = read(fd, data, READ_BYTES)) > 0)
        digest_add(&d, data, (size_t)n);
    ok = ok && n == 0;
    if (ok)
        digest_hex(bytes, digest_end(&d, bytes), hex);
    else
        err_set(err, ERR_IO, "cannot read '%s'", path);
    if (fd >= 0)
        close(fd);
    digest_release(&d);
    free(data);
    return ok;
}

/* Looks at one file, and tells; *n_bad counts. */
static bool verify_file(const char *path, const char *blob, size_t *n_bad,
                        struct err *err)
{
    enum digest_kind kind = digest_kind_of_hex(blob);
    const char *verdict = "nothing to compare with";
    char hex[DIGEST_HEX_CAP];
    struct buf line;
    bool ok;

    if (!file_digest(path, kind == DIGEST_GIT_SHA1 ? kind : DIGEST_SHA256, hex, err))
        return false;
    if (kind != DIGEST_NONE)
        verdict = strcmp(hex, blob) == 0 ? "right" : "damaged";
    if (strcmp(verdict, "damaged") == 0)
        ++*n_bad;
    buf_init(&line, BUF_UNLIMITED);
    buf_addf(&line, "%s  %s: %s\n", hex, path, verdict);
    ok = output_write_text(buf_text(&line), line.len, err);
    buf_release(&line);
    return ok;
}

static bool verify_links(const struct catalog_model *model, size_t *n_bad,
                         struct err *err)
{
    struct hub_links links;
    bool ok = true;

    if (!hub_links_of(model->path, &links, NULL))
        return verify_file(model->path, stores_digest_of(model->path), n_bad, err);
    for (size_t i = 0; ok && i < links.n; i++)
        ok = verify_file(links.link[i].path, links.link[i].blob, n_bad, err);
    hub_links_release(&links);
    return ok;
}

bool cmd_verify(const struct options *opt, struct err *err)
{
    struct catalog_model model = {0};
    size_t n_bad = 0;
    bool ok = catalog_find(opt->words.item[0], &model, err) &&
              verify_links(&model, &n_bad, err);

    if (ok && n_bad > 0)
        ok = err_set(err, ERR_MODEL,
                     "'%s' is damaged on the disk; remove it and fetch it again",
                     model.name);
    catalog_model_release(&model);
    return ok;
}
