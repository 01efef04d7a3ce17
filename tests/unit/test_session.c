/* SPDX-License-Identifier: MIT
 *
 * Engine and session: what is reused, what is refused, what a stop leaves behind, and
 * damaged or changing files.
 */
#include "config.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/engine.h"
#include "model/format/gguf.h"
#include "model/session.h"
#include "tests/model_kit.h"
#include "tests/test.h"

#define CLOSE 1e-4 /* logits of two ways through the same arithmetic */

enum { N_ID = 60, N_VOCAB = 384 };

static const char *const model = "models/v2/model-f16.gguf";

/* Ids that mean nothing, the same in every run. */
static void make_ids(int32_t *id, int n, int salt)
{
    for (int i = 0; i < n; i++)
        id[i] = (i * 37 + salt * 11) % 300;
}

static struct engine *open_engine(const char *path)
{
    struct engine_options opt = {.path = path, .backend = BACKEND_REF};
    struct err err = {.text = ""};
    struct engine *e = engine_open(&opt, &err);

    if (e == NULL)
        FAIL("%s", err.text);
    return e;
}

static struct session *open_session(struct engine *e, int ctx, int batch)
{
    struct session_options opt = {
        .ctx_tokens = ctx, .cache = SESSION_CACHE_F32, .batch_tokens = batch};
    struct err err = {.text = ""};
    struct session *s = session_open(e, &opt, &err);

    if (s == NULL)
        FAIL("%s", err.text);
    return s;
}

/* Engine and session in one; either NULL: counted, return. */
struct room {
    struct engine *e;
    struct session *s;
};

static bool room_open(struct room *r, int ctx, int batch)
{
    *r = (struct room){.e = open_engine(test_data(model))};
    if (r->e != NULL)
        r->s = open_session(r->e, ctx, batch);
    return r->s != NULL;
}

static void room_close(struct room *r)
{
    session_close(r->s);
    engine_close(r->e);
}

static bool sync_ids(struct session *s, const int32_t *id, size_t n, int *n_cached)
{
    struct err err = {.text = ""};
    bool ok = session_sync(s, id, n, n_cached, NULL, NULL, NULL, &err);

    return ok || FAIL("%s", err.text);
}

/* The logits that a session without a past has after these ids. */
static void fresh_logits(struct engine *e, const int32_t *id, size_t n, float *out)
{
    struct session *s = open_session(e, 128, 0);

    if (s != NULL && sync_ids(s, id, n, NULL))
        memcpy(out, session_logits(s), N_VOCAB * sizeof(*out));
    session_close(s);
}

static void check_same(const float *a, const float *b)
{
    double diff = max_difference(a, b, N_VOCAB);

    if (!(diff <= CLOSE))
        FAIL("logits differ by %g", diff);
}

static void keeps_the_common_prefix(void)
{
    int32_t id[N_ID];
    float want[N_VOCAB];
    struct room r;
    int n_cached;

    make_ids(id, N_ID, 0);
    if (room_open(&r, 128, 16) && CHECK(session_n_vocab(r.s) == N_VOCAB)) {
        CHECK(sync_ids(r.s, id, 40, &n_cached) && n_cached == 0);
        make_ids(id + 25, N_ID - 25, 1);
        fresh_logits(r.e, id, N_ID, want);
        CHECK(sync_ids(r.s, id, N_ID, &n_cached) && n_cached == 25);
        CHECK(session_len(r.s) == N_ID);
        check_same(session_logits(r.s), want);
    }
    room_close(&r);
}

/* All of it is in the cache: logits must be the last token's all the same. */
static void shorter_and_equal_prompts(void)
{
    int32_t id[N_ID];
    float want[N_VOCAB];
    struct room r;
    int n_cached;

    make_ids(id, N_ID, 2);
    if (room_open(&r, 128, 0)) {
        CHECK(sync_ids(r.s, id, N_ID, NULL));
        memcpy(want, session_logits(r.s), sizeof(want));
        CHECK(sync_ids(r.s, id, N_ID, &n_cached) && n_cached == N_ID);
        check_same(session_logits(r.s), want);

        fresh_logits(r.e, id, 20, want);
        CHECK(sync_ids(r.s, id, 20, &n_cached) && n_cached == 19);
        CHECK(session_len(r.s) == 20);
        check_same(session_logits(r.s), want);
    }
    room_close(&r);
}

static void eval_is_sync_by_one(void)
{
    int32_t id[N_ID];
    float want[N_VOCAB];
    struct room r;
    struct err err;

    make_ids(id, N_ID, 3);
    if (room_open(&r, 128, 0)) {
        CHECK(sync_ids(r.s, id, 30, NULL));
        for (int i = 30; i < N_ID; i++)
            CHECK(session_eval(r.s, id[i], &err));
        fresh_logits(r.e, id, N_ID, want);
        check_same(session_logits(r.s), want);
        CHECK(session_weight_bytes(r.s) > 0);
    }
    room_close(&r);
}

static void what_does_not_fit(void)
{
    int32_t id[N_ID];
    struct room r;
    struct err err;

    make_ids(id, N_ID, 4);
    if (room_open(&r, 32, 0)) {
        CHECK(session_ctx(r.s) == 32);
        CHECK(!session_sync(r.s, id, 33, NULL, NULL, NULL, NULL, &err));
        CHECK(err.kind == ERR_CONTEXT && strstr(err.text, "--ctx") != NULL);
        CHECK(sync_ids(r.s, id, 32, NULL));
        CHECK(!session_eval(r.s, 1, &err));
        CHECK(err.kind == ERR_CONTEXT);
        CHECK(!session_sync(r.s, id, 0, NULL, NULL, NULL, NULL, &err));
        CHECK(err.kind == ERR_USAGE);
        id[5] = N_VOCAB;
        CHECK(!session_sync(r.s, id, 10, NULL, NULL, NULL, NULL, &err));
        CHECK(err.kind == ERR_USAGE && strstr(err.text, "384") != NULL);
        CHECK(sync_ids(r.s, id, 5, NULL));
        CHECK(!session_eval(r.s, -1, &err));
        CHECK(err.kind == ERR_USAGE && session_len(r.s) == 5);
    }
    room_close(&r);
}

struct stopper {
    atomic_bool stop;
    int at; /* tokens */
    int last_done, last_total, n_calls;
};

static void note_progress(void *ctx, int done, int total)
{
    struct stopper *st = ctx;

    CHECK(done > st->last_done);
    st->last_done = done;
    st->last_total = total;
    st->n_calls++;
    if (done >= st->at)
        atomic_store(&st->stop, true);
}

/* A stop keeps what is done, and the next prompt goes on from there. */
static void stop_between_chunks(void)
{
    int32_t id[N_ID];
    float want[N_VOCAB];
    struct stopper st = {.at = 20};
    struct room r;
    struct err err;
    int n_cached;

    make_ids(id, N_ID, 5);
    if (room_open(&r, 128, 10)) {
        CHECK(!session_sync(r.s, id, N_ID, NULL, note_progress, &st, &st.stop, &err));
        CHECK(err.kind == ERR_CANCELLED);
        CHECK(session_len(r.s) == 20 && st.n_calls == 2 && st.last_total == N_ID);
        st = (struct stopper){.at = 1000};
        CHECK(
            session_sync(r.s, id, N_ID, &n_cached, note_progress, &st, &st.stop, &err));
        CHECK(n_cached == 20 && st.n_calls == 4 && st.last_done == N_ID);
        fresh_logits(r.e, id, N_ID, want);
        check_same(session_logits(r.s), want);
    }
    room_close(&r);
}

static void stop_before_the_start(void)
{
    int32_t id[N_ID];
    atomic_bool stop = true;
    struct room r;
    struct err err;

    make_ids(id, N_ID, 6);
    if (room_open(&r, 128, 0)) {
        CHECK(!session_sync(r.s, id, N_ID, NULL, NULL, NULL, &stop, &err));
        CHECK(err.kind == ERR_CANCELLED && session_len(r.s) == 0);
    }
    room_close(&r);
}

struct collector {
    float *logits; /* [N_ID][N_VOCAB] */
    int n;
    int limit;
};

static bool collect(void *ctx, int position, const float *logits)
{
    struct collector *c = ctx;

    CHECK(position == c->n);
    if (c->n == c->limit)
        return false;
    memcpy(c->logits + (size_t)c->n * N_VOCAB, logits, N_VOCAB * sizeof(float));
    c->n++;
    return true;
}

static void logits_of_every_position(void)
{
    int32_t id[N_ID];
    float want[N_VOCAB];
    struct collector c = {.limit = N_ID};
    struct room r;
    struct err err;

    make_ids(id, N_ID, 7);
    c.logits = calloc(N_ID * N_VOCAB, sizeof(float));
    if (room_open(&r, 128, 23)) {
        CHECK(session_each_logits(r.s, id, N_ID, collect, &c, &err) && c.n == N_ID);
        for (size_t n = 1; n <= N_ID; n += 13) {
            fresh_logits(r.e, id, n, want);
            check_same(c.logits + (n - 1) * N_VOCAB, want);
        }
        check_same(session_logits(r.s), c.logits + (N_ID - 1) * N_VOCAB);
        CHECK(session_eval(r.s, 1, &err));

        c.n = 0;
        c.limit = 5;
        CHECK(!session_each_logits(r.s, id, N_ID, collect, &c, &err));
        CHECK(err.kind == ERR_CANCELLED && c.n == 5);
    }
    room_close(&r);
    free(c.logits);
}

static void too_long_a_context(void)
{
    struct session_options opt = {.ctx_tokens = INT32_MAX};
    struct engine *e = open_engine(test_data(model));
    struct err err;

    if (e == NULL)
        return;
    CHECK(session_open(e, &opt, &err) == NULL);
    CHECK(err.kind == ERR_MEMORY && strstr(err.text, "--ctx ") != NULL);
    opt.ctx_tokens = -1;
    CHECK(session_open(e, &opt, &err) == NULL);
    CHECK(err.kind == ERR_USAGE);
    engine_close(e);
}

static void default_context(void)
{
    struct room r;

    if (room_open(&r, 0, 0))
        CHECK(session_ctx(r.s) == engine_info(r.e)->ctx_train);
    room_close(&r);
}

/* ---- files that are damaged, or change ---- */

/* A copy of a model with the bytes of tensor number `damaged` all ones: NaN as F32, F16
 * and as the scale of every block type. -1: as it is. */
static bool write_copy(char *name, const char *path, int damaged)
{
    size_t size = 0;
    char *bytes = test_read(path, &size);
    int fd = mkstemp(name);
    bool ok;

    if (bytes != NULL && damaged >= 0) {
        struct gguf *g = gguf_open(path, NULL);
        const struct gguf_tensor *t = gguf_tensor_at(g, (size_t)damaged);
        char *at = memmem(bytes, size, t->data, t->bytes);

        if (CHECK(at != NULL))
            memset(at, 0xFF, t->bytes);
        gguf_close(g);
    }
    ok = CHECK(bytes != NULL && fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    if (fd >= 0)
        close(fd);
    free(bytes);
    return ok;
}

/* Opening or evaluating fails, and says which file is damaged. */
static void check_damage_found(const char *path, enum backend_kind backend, int tensor)
{
    char name[] = "/tmp/hadal-session-XXXXXX";
    struct engine_options opt = {.path = name, .backend = backend, .n_threads = 1};
    struct session_options session = {.ctx_tokens = 64};
    struct err err = {.text = ""};
    struct engine *e = NULL;
    struct session *s = NULL;
    int32_t id[8];

    make_ids(id, 8, 8);
    if (!write_copy(name, path, tensor))
        return;
    e = engine_open(&opt, &err);
    if (e != NULL)
        s = session_open(e, &session, &err);
    if (s != NULL && session_sync(s, id, 8, NULL, NULL, NULL, NULL, &err))
        FAIL("%s: tensor %d is NaN, and there are logits", path, tensor);
    else if (err.kind != ERR_MODEL || strncmp(err.text, name, strlen(name)) != 0 ||
             strstr(err.text, "finite") == NULL)
        FAIL("%s: tensor %d: %s", path, tensor, err.text);
    session_close(s);
    engine_close(e);
    remove(name);
}

/* Whichever tensor is damaged, it is never turned into text. */
static void check_every_tensor(const char *file)
{
    char path[PATH_MAX] = "";
    const char *found = test_data(file);
    struct gguf *g = NULL;

    if (CHECK(found != NULL)) {
        snprintf(path, sizeof(path), "%s", found);
        g = gguf_open(path, NULL);
    }
    if (CHECK(g != NULL))
        for (size_t i = 0; i < gguf_n_tensors(g); i++) {
            check_damage_found(path, BACKEND_REF, (int)i);
            check_damage_found(path, BACKEND_CPU, (int)i);
        }
    gguf_close(g);
}

static void damaged_floats(void)
{
    check_every_tensor(model);
}

static void damaged_blocks(void)
{
    check_every_tensor("models/v3/model-Q4_K_M.gguf");
}

static void file_that_changes(void)
{
    char name[] = "/tmp/hadal-session-XXXXXX";
    const int32_t id[] = {1, 2, 3};
    struct engine *e = NULL;
    struct session *s = NULL;
    struct stat st;
    struct err err;

    if (write_copy(name, test_data(model), -1))
        e = open_engine(name);
    if (e != NULL)
        s = open_session(e, 64, 0);
    if (s != NULL && sync_ids(s, id, 3, NULL) && CHECK(stat(name, &st) == 0) &&
        CHECK(truncate(name, st.st_size + 4096) == 0)) {
        CHECK(!session_eval(s, 4, &err));
        CHECK(err.kind == ERR_MODEL && strstr(err.text, "changed") != NULL);
        CHECK(session_len(s) == 3);
    }
    session_close(s);
    engine_close(e);
    remove(name);
}

/* ---- opening ---- */

static void check_refused(const struct engine_options *opt, enum err_kind kind,
                          const char *word)
{
    struct err err = {.text = ""};
    struct engine *e = engine_open(opt, &err);

    if (e != NULL || err.kind != kind || strstr(err.text, word) == NULL)
        FAIL("expected kind %d with '%s', got %d: %s", kind, word, err.kind, err.text);
    engine_close(e);
}

static void what_cannot_be_opened(void)
{
    struct engine_options opt = {.path = "/nonexistent/x.gguf"};

    check_refused(&opt, ERR_MODEL, "/nonexistent/x.gguf");
    opt.path = test_data(model);
    opt.chat_format = "esperanto";
    check_refused(&opt, ERR_USAGE, "esperanto");
    opt.chat_format = NULL;
    if (backend_cuda.adopt == NULL) {
        opt.backend = BACKEND_CUDA;
        check_refused(&opt, ERR_DEVICE, "CUDA");
    }
}

static void touch(const char *folder, const char *file, const char *bytes, size_t len)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    f = fopen(path, "w");
    if (CHECK(f != NULL)) {
        CHECK(fwrite(bytes, 1, len, f) == len);
        fclose(f);
    }
}

static void remove_in(const char *folder, const char *file)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    remove(path);
}

/* A pickle is never read, whatever it is called; the message names the file. */
static void folders_and_pickles(void)
{
    char folder[] = "/tmp/hadal-folder-XXXXXX";
    char file[512];
    struct engine_options opt = {.path = folder};

    if (!CHECK(mkdtemp(folder) != NULL))
        return;
    check_refused(&opt, ERR_MODEL, "no weights");
    touch(folder, "model.pt", "PK\x03\x04zip", 7);
    check_refused(&opt, ERR_MODEL, "model.pt: a PyTorch pickle");
    touch(folder, "model.safetensors", "x", 1);
    check_refused(&opt, ERR_MODEL, "model.safetensors: safetensors weights");

    opt.path = file;
    snprintf(file, sizeof(file), "%s/model.pt", folder);
    check_refused(&opt, ERR_MODEL, "pickle");
    touch(folder, "model.gguf", "\x80\x04\x95pickle", 9);
    snprintf(file, sizeof(file), "%s/model.gguf", folder);
    check_refused(&opt, ERR_MODEL, "pickle");
    remove_in(folder, "model.pt");
    remove_in(folder, "model.safetensors");
    remove_in(folder, "model.gguf");
    rmdir(folder);
}

static void what_is_told(void)
{
    struct engine *e = open_engine(test_data(model));
    const struct engine_info *info;

    if (e == NULL)
        return;
    info = engine_info(e);
    CHECK(strcmp(info->architecture, "deepseek2") == 0);
    CHECK(strcmp(info->name, "v2") == 0);
    CHECK(strcmp(info->type, "F16") == 0);
    CHECK(strcmp(info->backend, "ref") == 0);
    CHECK(info->n_layer == 3 && info->hidden == 96 && info->vocab == N_VOCAB);
    CHECK(info->n_expert == 12 && info->n_expert_used == 3);
    CHECK(info->cache_bytes_per_token == (size_t)3 * (64 + 16) * 2);
    CHECK(info->n_params > 100000 && info->file_bytes > 1000000);
    engine_close(e);
}

static void vocabulary_only(void)
{
    struct engine_options opt = {.path = test_data(model), .vocabulary_only = true};
    struct session_options session = {.ctx_tokens = 16};
    struct err err = {.text = ""};
    struct engine *e = engine_open(&opt, &err);

    if (e == NULL) {
        FAIL("%s", err.text);
        return;
    }
    CHECK(tokenizer_n_tokens(engine_tokenizer(e)) > 0);
    CHECK(session_open(e, &session, &err) == NULL && err.kind == ERR_MODEL);
    engine_close(e);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"keeps_the_common_prefix", keeps_the_common_prefix},
        {"shorter_and_equal_prompts", shorter_and_equal_prompts},
        {"eval_is_sync_by_one", eval_is_sync_by_one},
        {"what_does_not_fit", what_does_not_fit},
        {"stop_between_chunks", stop_between_chunks},
        {"stop_before_the_start", stop_before_the_start},
        {"logits_of_every_position", logits_of_every_position},
        {"too_long_a_context", too_long_a_context},
        {"default_context", default_context},
        {"damaged_floats", damaged_floats},
        {"damaged_blocks", damaged_blocks},
        {"file_that_changes", file_that_changes},
        {"what_cannot_be_opened", what_cannot_be_opened},
        {"folders_and_pickles", folders_and_pickles},
        {"what_is_told", what_is_told},
        {"vocabulary_only", vocabulary_only},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
