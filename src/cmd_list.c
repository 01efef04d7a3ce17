/* SPDX-License-Identifier: MIT
 *
 * hadal list: the models that are on this machine.
 */
#include "config.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/engine.h"
#include "src/base/clock.h"
#include "src/base/json.h"
#include "src/base/termtext.h"
#include "src/catalog.h"
#include "src/command.h"
#include "src/human.h"
#include "src/model_use.h"
#include "src/output.h"

/* A model, what its file says, and who uses it; ok false where it cannot be read. A
 * folder of safetensors is listed, but not run yet. */
struct row {
    const struct catalog_model *model;
    const struct model_use *use;
    struct engine_facts facts;
    bool is_folder;
    bool ok;
};

/* The bytes of a folder's files, links followed. */
static size_t folder_bytes(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    struct stat st;
    size_t bytes = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            bytes += (size_t)st.st_size;
    if (dir != NULL)
        closedir(dir);
    return bytes;
}

static struct row look(const struct catalog_model *model, const struct model_use *use)
{
    struct row row = {.model = model, .use = use};
    struct stat st;

    row.is_folder = stat(model->path, &st) == 0 && S_ISDIR(st.st_mode);
    if (row.is_folder)
        row.facts.file_bytes = folder_bytes(model->path);
    else
        row.ok = engine_look(model->path, &row.facts, NULL);
    return row;
}

/* ---- JSON ---- */

static void add_sharers(struct json_writer *w, const struct model_use *use)
{
    json_array(w);
    for (int i = CATALOG_OWN + 1; i < CATALOG_STORES; i++)
        if (use->seen_from[i])
            json_text(w, model_use_store_name((enum catalog_store)i));
    json_end_array(w);
}

static void add_json(struct json_writer *w, const struct row *row)
{
    char time[32];

    json_object(w);
    json_key(w, "name");
    json_text(w, row->model->name);
    json_key(w, "path");
    json_text(w, row->model->path);
    json_key(w, "architecture");
    json_text(w, row->ok ? row->facts.architecture : NULL);
    json_key(w, "type");
    json_text(w, row->ok ? row->facts.type : NULL);
    json_key(w, "size_bytes");
    json_integer(w, (int64_t)row->facts.file_bytes);
    json_key(w, "parameters");
    json_integer(w, row->facts.n_params);
    json_key(w, "runnable");
    json_bool(w, row->ok && row->facts.is_supported);
    json_key(w, "last_used");
    clock_format_utc(row->use->last_ms, time);
    json_text(w, row->use->last_ms > 0 ? time : NULL);
    json_key(w, "shared_with");
    add_sharers(w, row->use);
    json_end_object(w);
}

static void add_all_json(struct buf *out, const struct catalog_list *list,
                         const struct model_use *use)
{
    struct json_writer w;

    json_begin(&w, out);
    json_array(&w);
    for (size_t i = 0; i < list->n; i++) {
        struct row row = look(&list->model[i], &use[i]);

        add_json(&w, &row);
    }
    json_end_array(&w);
    buf_add_char(out, '\n');
}

/* ---- lines ---- */

/* One line of text, padded to a width in cells. */
static void add_cell(struct buf *out, const char *text, int width)
{
    struct buf safe;

    buf_init(&safe, BUF_UNLIMITED);
    termtext_add_line(&safe, text, strlen(text));
    buf_addf(out, "%s%*s  ", buf_text(&safe),
             width - termtext_width(buf_text(&safe), safe.len), "");
    buf_release(&safe);
}

/* "2026-11-24  huggingface, ollama" */
static void add_use(struct buf *out, const struct model_use *use)
{
    char time[32] = "never used";
    const char *gap = "  ";

    if (use->last_ms > 0)
        clock_format_utc(use->last_ms, time);
    buf_addf(out, "  %-10.10s", time);
    for (int i = CATALOG_OWN + 1; i < CATALOG_STORES; i++)
        if (use->seen_from[i]) {
            buf_addf(out, "%s%s", gap, model_use_store_name((enum catalog_store)i));
            gap = ", ";
        }
    buf_add_char(out, '\n');
}

static void add_line(struct buf *out, const struct row *row, int name_width)
{
    char size[32];
    char parameters[32];

    add_cell(out, row->model->name, name_width);
    human_bytes(row->facts.file_bytes, size);
    if (row->is_folder) {
        add_cell(out, "safetensors: not run by this version", 46);
        buf_addf(out, "%s\n", size);
        return;
    }
    if (!row->ok) {
        buf_add_text(out, "(cannot be read)\n");
        return;
    }
    human_count(row->facts.n_params, parameters);
    add_cell(out, row->facts.architecture, 10);
    buf_addf(out, "%-8s%10s%10s parameters", row->facts.type, size, parameters);
    if (row->facts.is_supported)
        add_use(out, row->use);
    else
        buf_add_text(out, "  (not run by this version)\n");
}

static void add_all_lines(struct buf *out, const struct catalog_list *list,
                          const struct model_use *use)
{
    int width = 0;

    for (size_t i = 0; i < list->n; i++) {
        int w = termtext_width(list->model[i].name, strlen(list->model[i].name));

        if (w > width)
            width = w;
    }
    for (size_t i = 0; i < list->n; i++) {
        struct row row = look(&list->model[i], &use[i]);

        add_line(out, &row, width);
    }
}

bool cmd_list(const struct options *opt, struct err *err)
{
    struct catalog_list list;
    struct model_use *use;
    struct buf out;
    bool ok;

    catalog_list_all(&list);
    catalog_list_folders(&list);
    use = model_use_find(&list);
    buf_init(&out, BUF_UNLIMITED);
    if (opt->json)
        add_all_json(&out, &list, use);
    else
        add_all_lines(&out, &list, use);
    ok = output_write_text(buf_text(&out), out.len, err);
    buf_release(&out);
    free(use);
    catalog_list_release(&list);
    return ok;
}
