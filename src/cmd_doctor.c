/* SPDX-License-Identifier: MIT
 *
 * hadal doctor: what this build and this machine can do, where things are, and whether
 * the history is sound. A damaged history is told in the report and ends with exit code
 * 5, and --repair saves what can be read of it; everything else that is missing is only
 * told.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/history.h"
#include "model/backend.h"
#include "src/base/cpus.h"
#include "src/base/json.h"
#include "src/base/meminfo.h"
#include "src/base/path.h"
#include "src/command.h"
#include "src/config_file.h"
#include "src/human.h"
#include "src/machine.h"
#include "src/output.h"

/* A back end that was opened once: what it says about itself, or why it cannot be. */
struct device {
    bool ok;
    char kernels[256];
    struct err why;
};

struct findings {
    struct buf cpu_name, cpu_features;
    int cores;
    struct device cpu, gpu;
    struct meminfo memory;
    char *config, *db, *cache, *hub, *embedded; /* NULL: no such place */
    bool config_ok, db_ok;
    struct err config_err, db_err;
    struct history_health health;
};

/* ---- finding out ---- */

static void try_device(const struct backend_ops *ops, struct device *device)
{
    struct backend *be = ops->open(0, &device->why);

    device->ok = be != NULL;
    if (be == NULL)
        return;
    snprintf(device->kernels, sizeof(device->kernels), "%s", ops->describe(be));
    ops->close(be);
}

static bool check_config(struct err *err)
{
    struct options scratch;
    bool ok;

    options_init(&scratch);
    ok = config_file_load(&scratch, err);
    options_release(&scratch);
    return ok;
}

static bool check_database(struct findings *f)
{
    struct history *h;
    bool ok;

    if (f->db == NULL)
        return err_set(&f->db_err, ERR_DB, "HOME is not set");
    h = history_open(f->db, HISTORY_READ, &f->db_err);
    if (h == NULL)
        return false;
    ok = history_check(h, &f->health, &f->db_err);
    if (ok && !f->health.ok)
        ok = err_set(&f->db_err, ERR_DB, "%s: %s", f->db, f->health.problem);
    history_close(h);
    return ok;
}

static void examine(struct findings *f)
{
    memset(f, 0, sizeof(*f));
    buf_init(&f->cpu_name, BUF_UNLIMITED);
    buf_init(&f->cpu_features, BUF_UNLIMITED);
    machine_cpu(&f->cpu_name, &f->cpu_features);
    f->cores = cpus_threads();
    try_device(&backend_cpu, &f->cpu);
    try_device(&backend_cuda, &f->gpu);
    meminfo_read(&f->memory);
    f->config = path_config_file(NULL);
    f->db = path_history_db(NULL);
    f->cache = path_cache_dir(NULL);
    f->hub = path_hub_cache(NULL);
    f->embedded = path_embedded_model(NULL);
    f->config_ok = check_config(&f->config_err);
    f->db_ok = check_database(f);
}

static void findings_release(struct findings *f)
{
    buf_release(&f->cpu_name);
    buf_release(&f->cpu_features);
    free(f->config);
    free(f->db);
    free(f->cache);
    free(f->hub);
    free(f->embedded);
}

/* ---- JSON ---- */

static void add_member(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, key);
    json_text(w, text);
}

static void add_size(struct json_writer *w, const char *key, uint64_t bytes,
                     uint64_t unknown)
{
    json_key(w, key);
    if (bytes == unknown)
        json_null(w);
    else
        json_unsigned(w, bytes);
}

static void add_device(struct json_writer *w, const struct device *device)
{
    json_key(w, "available");
    json_bool(w, device->ok);
    add_member(w, "kernels", device->ok ? device->kernels : NULL);
    add_member(w, "why", device->ok ? NULL : device->why.text);
}

static void add_machine(struct json_writer *w, const struct findings *f)
{
    json_key(w, "cpu");
    json_object(w);
    add_member(w, "name", buf_text(&f->cpu_name));
    json_key(w, "cores");
    json_integer(w, f->cores);
    add_member(w, "features", buf_text(&f->cpu_features));
    add_device(w, &f->cpu);
    json_end_object(w);
    json_key(w, "gpu");
    json_object(w);
    add_device(w, &f->gpu);
    json_end_object(w);
    json_key(w, "memory");
    json_object(w);
    add_size(w, "total_bytes", f->memory.total_bytes, 0);
    add_size(w, "available_bytes", f->memory.available_bytes, UINT64_MAX);
    add_member(w, "limit", f->memory.limit);
    json_end_object(w);
}

static void add_paths(struct json_writer *w, const struct findings *f)
{
    json_key(w, "paths");
    json_object(w);
    add_member(w, "config", f->config);
    add_member(w, "database", f->db);
    add_member(w, "cache", f->cache);
    add_member(w, "models", f->hub);
    add_member(w, "embedded_model", f->embedded);
    json_end_object(w);
}

static void add_database(struct json_writer *w, const struct findings *f)
{
    json_key(w, "database");
    json_object(w);
    json_key(w, "ok");
    json_bool(w, f->db_ok);
    add_member(w, "problem", f->db_ok ? NULL : f->db_err.text);
    add_member(w, "sqlite", f->health.sqlite_version);
    json_key(w, "schema");
    json_integer(w, f->health.schema_version);
    add_member(w, "journal_mode", f->health.journal_mode);
    add_member(w, "journal_why", f->health.journal_why);
    json_key(w, "size_bytes");
    json_integer(w, f->health.size_bytes);
    json_key(w, "sessions");
    json_integer(w, f->health.n_sessions);
    json_key(w, "messages");
    json_integer(w, f->health.n_messages);
    json_end_object(w);
}

static void add_json(struct buf *out, const struct findings *f)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w);
    add_member(&w, "version", PACKAGE_VERSION);
    add_member(&w, "commit", HADAL_COMMIT);
    add_machine(&w, f);
    add_paths(&w, f);
    json_key(&w, "configuration");
    json_object(&w);
    json_key(&w, "ok");
    json_bool(&w, f->config_ok);
    add_member(&w, "problem", f->config_ok ? NULL : f->config_err.text);
    json_end_object(&w);
    add_database(&w, f);
    json_end_object(&w);
    buf_add_char(out, '\n');
}

/* ---- text ---- */

static const char *or_none(const char *text)
{
    return text != NULL ? text : "none";
}

static void add_text(struct buf *out, const struct findings *f)
{
    char size[32];

    buf_addf(out, "version     %s (%s)\n", PACKAGE_VERSION, HADAL_COMMIT);
    buf_addf(out, "cpu         %s, %d cores\n", buf_text(&f->cpu_name), f->cores);
    buf_addf(out, "            %s\n", buf_text(&f->cpu_features));
    buf_addf(out, "kernels     %s\n", f->cpu.ok ? f->cpu.kernels : f->cpu.why.text);
    buf_addf(out, "gpu         %s\n", f->gpu.ok ? f->gpu.kernels : f->gpu.why.text);
    human_bytes((size_t)f->memory.available_bytes, size);
    buf_addf(out, "memory      %s available (%s)", size, or_none(f->memory.limit));
    human_bytes((size_t)f->memory.total_bytes, size);
    buf_addf(out, " of %s\n", size);
    buf_addf(out, "config      %s%s%s\n", or_none(f->config), f->config_ok ? "" : ": ",
             f->config_ok ? "" : f->config_err.text);
    buf_addf(out, "history     %s\n", or_none(f->db));
    buf_addf(out, "cache       %s\n", or_none(f->cache));
    buf_addf(out, "models      %s\n", or_none(f->hub));
    buf_addf(out, "hadal-mini  %s\n", or_none(f->embedded));
    if (!f->db_ok) {
        buf_addf(out, "database    %s\n", f->db_err.text);
        return;
    }
    human_bytes((size_t)f->health.size_bytes, size);
    buf_addf(
        out,
        "database    sound: %lld sessions, %lld messages, %s, schema %d, SQLite %s\n",
        (long long)f->health.n_sessions, (long long)f->health.n_messages, size,
        f->health.schema_version, or_none(f->health.sqlite_version));
    buf_addf(out, "            journal mode %s: %s\n", f->health.journal_mode,
             or_none(f->health.journal_why));
}

/* ---- repair ---- */

static void add_repaired_json(struct buf *out, const struct history_repaired *r)
{
    struct json_writer w;

    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "repaired");
    json_text(&w, r->path);
    json_key(&w, "sessions");
    json_integer(&w, r->n_sessions);
    json_key(&w, "messages");
    json_integer(&w, r->n_messages);
    json_key(&w, "lost");
    json_integer(&w, r->n_lost);
    json_end_object(&w);
    buf_add_char(out, '\n');
}

static void add_repaired_text(struct buf *out, const char *db,
                              const struct history_repaired *r)
{
    if (r->path == NULL) {
        buf_addf(out, "%s: sound, nothing to repair\n", db);
        return;
    }
    buf_addf(out, "%s: %lld sessions, %lld messages could be read", r->path,
             (long long)r->n_sessions, (long long)r->n_messages);
    if (r->n_lost > 0)
        buf_addf(out, "; %lld at least are lost", (long long)r->n_lost);
    buf_addf(
        out,
        "\n%s: not changed; move it away, with its -journal or -wal file, and give "
        "the other its name\n",
        db);
}

/* A sound history is left alone: path stays NULL. */
static bool repair_history(const struct options *opt, struct err *err)
{
    struct findings f = {.db = path_history_db(err)};
    struct history_repaired repaired = {0};
    struct buf out;
    bool ok = f.db != NULL;

    buf_init(&out, BUF_UNLIMITED);
    if (ok && !check_database(&f))
        ok = history_repair(f.db, &repaired, err);
    if (ok && opt->json)
        add_repaired_json(&out, &repaired);
    else if (ok)
        add_repaired_text(&out, f.db, &repaired);
    ok = ok && output_write_text(out.data, out.len, err);
    buf_release(&out);
    history_repaired_release(&repaired);
    free(f.db);
    return ok;
}

bool cmd_doctor(const struct options *opt, struct err *err)
{
    struct findings f;
    struct buf out;
    bool ok;

    if (opt->repair)
        return repair_history(opt, err);
    examine(&f);
    buf_init(&out, BUF_UNLIMITED);
    if (opt->json)
        add_json(&out, &f);
    else
        add_text(&out, &f);
    ok = output_write_text(out.data, out.len, err);
    if (ok && !f.db_ok) {
        *err = f.db_err;
        ok = false;
    }
    buf_release(&out);
    findings_release(&f);
    return ok;
}
