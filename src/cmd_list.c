/* SPDX-License-Identifier: MIT
 *
 * hadal list: the models that are on this machine.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "model/engine.h"
#include "src/base/json.h"
#include "src/base/termtext.h"
#include "src/catalog.h"
#include "src/command.h"
#include "src/human.h"
#include "src/output.h"

/* A model, and what its file says; ok false where it cannot be read. */
struct row {
    const struct catalog_model *model;
    struct engine_facts facts;
    bool ok;
};

static struct row look(const struct catalog_model *model)
{
    struct row row = {.model = model};

    row.ok = engine_look(model->path, &row.facts, NULL);
    return row;
}

static void add_json(struct json_writer *w, const struct row *row)
{
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
    json_end_object(w);
}

static bool list_json(const struct catalog_list *list, struct err *err)
{
    struct json_writer w;
    struct buf out;
    bool ok;

    buf_init(&out, BUF_UNLIMITED);
    json_begin(&w, &out);
    json_array(&w);
    for (size_t i = 0; i < list->n; i++) {
        struct row row = look(&list->model[i]);

        add_json(&w, &row);
    }
    json_end_array(&w);
    buf_add_char(&out, '\n');
    ok = output_write_text(out.data, out.len, err);
    buf_release(&out);
    return ok;
}

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

static void add_line(struct buf *out, const struct row *row, int name_width)
{
    char size[32];
    char parameters[32];

    add_cell(out, row->model->name, name_width);
    if (!row->ok) {
        buf_add_text(out, "(cannot be read)\n");
        return;
    }
    human_bytes(row->facts.file_bytes, size);
    human_count(row->facts.n_params, parameters);
    add_cell(out, row->facts.architecture, 10);
    buf_addf(out, "%-8s%10s%10s parameters\n", row->facts.type, size, parameters);
}

static bool list_text(const struct catalog_list *list, struct err *err)
{
    struct buf out;
    int width = 0;
    bool ok;

    buf_init(&out, BUF_UNLIMITED);
    for (size_t i = 0; i < list->n; i++) {
        int w = termtext_width(list->model[i].name, strlen(list->model[i].name));

        if (w > width)
            width = w;
    }
    for (size_t i = 0; i < list->n; i++) {
        struct row row = look(&list->model[i]);

        add_line(&out, &row, width);
    }
    ok = output_write_text(buf_text(&out), out.len, err);
    buf_release(&out);
    return ok;
}

bool cmd_list(const struct options *opt, struct err *err)
{
    struct catalog_list list;
    bool ok;

    catalog_list_all(&list);
    ok = opt->json ? list_json(&list, err) : list_text(&list, err);
    catalog_list_release(&list);
    return ok;
}
