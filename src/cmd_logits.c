/* SPDX-License-Identifier: MIT
 *
 * hadal logits: what the model says about the next token, in full. The cache is float32
 * here, so that nothing is rounded between the model and who compares.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/tokens.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/command.h"
#include "src/model_open.h"
#include "src/output.h"
#include "src/prompt.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "rows are written as they are");

enum { FLUSH_BYTES = 1 << 16 };

/* Where the rows go: to fd as they are, or (fd < 0) to standard output as JSON. */
struct rows {
    int fd;
    const char *name;
    int vocab;
    struct buf out;
    struct json_writer json;
    struct err *err;
};

static bool flush(struct rows *r)
{
    bool ok = output_write(buf_text(&r->out), r->out.len, r->err);

    buf_clear(&r->out);
    return ok;
}

static bool add_row(void *ctx, int position, const float *logits)
{
    struct rows *r = ctx;

    (void)position;
    if (r->fd == STDOUT_FILENO)
        return output_write(logits, (size_t)r->vocab * sizeof(float), r->err);
    if (r->fd >= 0)
        return file_write_fd(r->fd, r->name, logits, (size_t)r->vocab * sizeof(float),
                             r->err);
    json_array(&r->json);
    for (int i = 0; i < r->vocab; i++) {
        json_float(&r->json, logits[i]);
        if (r->out.len >= FLUSH_BYTES && !flush(r))
            return false;
    }
    json_end_array(&r->json);
    return true;
}

static bool write_rows(struct session *s, const struct tokens *ids, bool all,
                       struct rows *r, struct err *err)
{
    if (all)
        return session_each_logits(s, ids->id, ids->len, add_row, r, err);
    return session_sync(s, ids->id, ids->len, NULL, NULL, NULL, NULL, err) &&
           add_row(r, (int)ids->len - 1, session_logits(s));
}

static bool write_json(struct session *s, const struct tokens *ids, bool all,
                       struct rows *r, struct err *err)
{
    struct json_writer *w = &r->json;

    json_begin(w, &r->out);
    json_object(w);
    json_key(w, "tokens");
    json_array(w);
    for (size_t i = 0; i < ids->len; i++)
        json_integer(w, ids->id[i]);
    json_end_array(w);
    json_key(w, "vocab");
    json_integer(w, r->vocab);
    json_key(w, "logits");
    if (all)
        json_array(w);
    if (!write_rows(s, ids, all, r, err))
        return false;
    if (all)
        json_end_array(w);
    json_end_object(w);
    buf_add_char(&r->out, '\n');
    return flush(r);
}

/* A part of a file must not be taken for the whole. */
static void remove_part(int fd, const char *path)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        unlink(path);
}

static bool write_file(struct session *s, const struct tokens *ids,
                       const struct options *opt, struct rows *r, struct err *err)
{
    char name[512];
    bool ok;

    snprintf(name, sizeof(name), "'%s'", opt->output);
    r->name = name;
    if (strcmp(opt->output, "-") == 0) {
        r->fd = STDOUT_FILENO;
        return write_rows(s, ids, opt->all, r, err);
    }
    r->fd = open(opt->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (r->fd < 0)
        return err_set_errno(err, ERR_IO, errno, "cannot create %s", name);
    ok = write_rows(s, ids, opt->all, r, err);
    if (!ok)
        remove_part(r->fd, opt->output);
    if (close(r->fd) != 0 && ok)
        ok = err_set_errno(err, ERR_IO, errno, "cannot write %s", name);
    return ok;
}

static bool check_ids(const struct tokens *ids, int vocab, struct err *err)
{
    if (ids->len == 0)
        return err_set(err, ERR_USAGE, "--tokens: no token ids");
    for (size_t i = 0; i < ids->len; i++)
        if (ids->id[i] >= vocab)
            return err_set(err, ERR_USAGE, "--tokens: token id %d is not in 0..%d",
                           ids->id[i], vocab - 1);
    return true;
}

bool cmd_logits(const struct options *opt, struct err *err)
{
    struct rows rows = {.fd = -1, .err = err};
    struct tokens ids = {0};
    struct engine *engine = NULL;
    struct session *session = NULL;
    bool ok = false;

    buf_init(&rows.out, BUF_UNLIMITED);
    if (opt->tokens == NULL)
        return err_set(err, ERR_USAGE, "--tokens is missing: the ids of the prompt");
    if (!prompt_parse_ids(opt->tokens, strlen(opt->tokens), "--tokens", &ids, err))
        goto done;
    engine = model_open(opt, MODEL_WHOLE, err);
    if (engine == NULL || !check_ids(&ids, engine_info(engine)->vocab, err))
        goto done;
    session = model_open_session(engine, opt, SESSION_CACHE_F32, ids.len, err);
    if (session == NULL)
        goto done;
    rows.vocab = session_n_vocab(session);
    ok = opt->output != NULL ? write_file(session, &ids, opt, &rows, err)
                             : write_json(session, &ids, opt->all, &rows, err);
done:
    session_close(session);
    engine_close(engine);
    tokens_release(&ids);
    buf_release(&rows.out);
    return ok;
}
