/* SPDX-License-Identifier: MIT
 *
 * The engine: see engine.h. Opens the parts in order (file, shape, weights, tokenizer,
 * chat format, back end) and closes them in reverse.
 */
#include "config.h"

#include "model/engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/engine_priv.h"
#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/base/text.h"

/* ---- what kind of thing the path is ---- */

static bool has_ending(const char *name, const char *const *endings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text_ends_with_any_case(name, endings[i]))
            return true;
    return false;
}

/* Loading a pickle runs what it says, so no part of hadal ever reads one. */
static bool is_pickle_name(const char *name)
{
    static const char *const endings[] = {".pt",  ".pth",  ".bin",
                                          ".pkl", ".ckpt", ".pickle"};

    return has_ending(name, endings, sizeof(endings) / sizeof(endings[0]));
}

/* A pickle begins with protocol 2 to 5, a torch.save file is a zip of one. A named pipe
 * without a writer must not hold the opening up. */
static bool is_pickle_file(const char *path)
{
    unsigned char head[4] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool pickle;

    if (fd < 0)
        return false;
    pickle = read(fd, head, sizeof(head)) == (ssize_t)sizeof(head) &&
             (memcmp(head, "PK\x03\x04", 4) == 0 ||
              (head[0] == 0x80 && head[1] >= 2 && head[1] <= 5) ||
              (is_pickle_name(path) && memcmp(head, "GGUF", 4) != 0));
    close(fd);
    return pickle;
}

static bool refuse_pickle(const char *folder, const char *name, struct err *err)
{
    return err_set(
        err, ERR_MODEL,
        "%s%s%s: a PyTorch pickle, which hadal does not read since loading one "
        "can run code; give a GGUF file",
        folder, *folder == '\0' ? "" : "/", name);
}

/* Says why a folder cannot be run, by the file that decides it. Returns false. */
static bool refuse_folder(const char *path, struct err *err)
{
    static const char *const safe[] = {".safetensors", ".safetensors.index.json"};
    char safetensors[NAME_MAX + 1] = "";
    char pickle[NAME_MAX + 1] = "";
    struct dirent *entry;
    DIR *dir = opendir(path);

    if (dir == NULL)
        return err_set(err, ERR_MODEL, "%s: cannot read the folder", path);
    while ((entry = readdir(dir)) != NULL) {
        if (has_ending(entry->d_name, safe, 2))
            snprintf(safetensors, sizeof(safetensors), "%s", entry->d_name);
        else if (is_pickle_name(entry->d_name))
            snprintf(pickle, sizeof(pickle), "%s", entry->d_name);
    }
    closedir(dir);
    if (*safetensors != '\0')
        return err_set(err, ERR_MODEL,
                       "%s/%s: safetensors weights are not supported yet; give a GGUF "
                       "file",
                       path, safetensors);
    if (*pickle != '\0')
        return refuse_pickle(path, pickle, err);
    return err_set(err, ERR_MODEL, "%s: no weights in this folder; give a GGUF file",
                   path);
}

static bool has_file(const char *folder, const char *name)
{
    char *path = path_join(folder, name);
    bool found = access(path, F_OK) == 0;

    free(path);
    return found;
}

/* ---- opening the parts ---- */

/* The text of a key as a C string (cut at a NUL that the file may hold), or NULL. */
static char *key_text(const struct gguf *g, const char *key)
{
    struct gguf_text text;

    if (gguf_get_text(g, key, &text, NULL) != 1 || text.len == 0)
        return NULL;
    return mem_dup_n(text.data, text.len);
}

/* A vocabulary-only file of an architecture that hadal runs must be as sound as one
 * with weights; of another one only the vocabulary is looked at. */
static bool is_runnable(const struct engine *e)
{
    static const enum arch archs[] = {ARCH_LLAMA, ARCH_DEEPSEEK, ARCH_DEEPSEEK2};

    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++)
        if (e->architecture != NULL &&
            strcmp(e->architecture, arch_name(archs[i])) == 0)
            return true;
    return false;
}

static bool open_weights(struct engine *e, bool vocabulary_only, struct err *err)
{
    bool has_tensors = gguf_find_tensor(e->gguf, "token_embd.weight") != NULL;

    if (vocabulary_only && !(has_tensors && is_runnable(e)))
        return true;
    if (!shape_read(&e->shape, e->gguf, err))
        return false;
    return vocabulary_only || weights_open(&e->weights, e->gguf, &e->shape, err);
}

static bool open_file(struct engine *e, const struct engine_options *opt,
                      struct err *err)
{
    if (is_pickle_file(opt->path))
        return refuse_pickle("", opt->path, err);
    e->gguf = gguf_open(opt->path, err);
    if (e->gguf == NULL)
        return false;
    e->architecture = key_text(e->gguf, "general.architecture");
    e->name = key_text(e->gguf, "general.name");
    if (!open_weights(e, opt->vocabulary_only, err))
        return false;
    e->tokenizer = tokenizer_open_gguf(e->gguf, e->shape.vocab, err);
    return e->tokenizer != NULL;
}

static bool open_folder(struct engine *e, const struct engine_options *opt,
                        struct err *err)
{
    /* A vocabulary that is there and damaged is the first thing to say. */
    if (opt->vocabulary_only || has_file(opt->path, "tokenizer.json")) {
        e->tokenizer = tokenizer_open_folder(opt->path, err);
        if (e->tokenizer == NULL)
            return false;
    }
    return opt->vocabulary_only || refuse_folder(opt->path, err);
}

/* A format that was asked for must be usable; one that was only recognised and is not
 * leaves raw completion, and the reason for whoever asks to chat. */
static bool open_chat(struct engine *e, const char *wanted, struct err *err)
{
    const struct tokenizer *t = e->tokenizer;
    bool guessed = false;
    struct err why;

    if (wanted != NULL) {
        if (!chat_format_find(wanted, &e->chat_format))
            return err_set(err, ERR_USAGE, "%s: unknown chat format", wanted);
        return e->chat_format == CHAT_NONE || chat_check(e->chat_format, t, err);
    }
    e->chat_format =
        chat_detect(tokenizer_template(t), e->architecture, e->name, t, &guessed);
    if (e->chat_format != CHAT_NONE && !chat_check(e->chat_format, t, &why)) {
        e->chat_note = mem_dup(why.text);
        e->chat_format = CHAT_NONE;
    }
    e->info.chat_format_guessed = guessed && e->chat_format != CHAT_NONE;
    return true;
}

static bool open_backend(struct engine *e, const struct backend_ops *ops, int n_threads,
                         struct err *err)
{
    e->ops = ops;
    e->be = ops->open(n_threads, err);
    if (e->be == NULL)
        return false;
    e->adopted = ops->adopt(e->be, &e->weights, &e->shape, err);
    if (!e->adopted) {
        ops->close(e->be);
        e->be = NULL;
    }
    return e->adopted;
}

static bool choose_backend(struct engine *e, const struct engine_options *opt,
                           struct err *err)
{
    switch (opt->backend) {
    case BACKEND_REF:
        return open_backend(e, &backend_ref, opt->n_threads, err);
    case BACKEND_CUDA:
        return open_backend(e, &backend_cuda, opt->n_threads, err);
    case BACKEND_CPU:
    case BACKEND_AUTO: /* CUDA when asked for by name: see HACKING.md, "CUDA" */
        break;
    }
    return open_backend(e, &backend_cpu, opt->n_threads, err);
}

/* ---- what is told about it ---- */

/* The type that most bytes of the tensors have. */
static const char *main_type(const struct gguf *g)
{
    size_t bytes[TYPE_BF16 + 1] = {0};
    const struct quant_type *best = NULL;

    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);

        bytes[t->type->type] += t->bytes;
        if (best == NULL || bytes[t->type->type] >= bytes[best->type])
            best = t->type;
    }
    return best == NULL ? "none" : best->name;
}

/* Elements of all tensors. */
static int64_t count_elements(const struct gguf *g)
{
    int64_t n = 0;

    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);

        n += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    }
    return n;
}

bool engine_look(const char *path, struct engine_facts *out, struct err *err)
{
    struct gguf *g = gguf_open(path, err);
    char *architecture;

    if (g == NULL)
        return false;
    architecture = key_text(g, "general.architecture");
    snprintf(out->architecture, sizeof(out->architecture), "%s",
             architecture == NULL ? "" : architecture);
    free(architecture);
    out->is_supported = arch_is_supported(out->architecture);
    out->type = main_type(g);
    out->n_params = count_elements(g);
    out->file_bytes = gguf_total_bytes(g);
    gguf_close(g);
    return true;
}

/* A number of the file, where it is one and in range, else -1. */
static float advised_number(const struct gguf *g, const char *key, double max)
{
    double value;

    if (gguf_get_float(g, key, &value, NULL) != 1 || !(value >= 0 && value <= max))
        return -1;
    return (float)value;
}

/* The keys general.sampling.*, which converters copy from generation_config.json. */
static struct sampling read_advice(const struct gguf *g)
{
    struct sampling s = {-1, -1, -1, -1, -1, 0};
    int64_t top_k;

    if (g == NULL)
        return s;
    if (gguf_get_int(g, "general.sampling.top_k", 0, INT_MAX, &top_k, NULL) == 1)
        s.top_k = (int)top_k;
    s.temperature = advised_number(g, "general.sampling.temp", 100);
    s.top_p = advised_number(g, "general.sampling.top_p", 1);
    s.min_p = advised_number(g, "general.sampling.min_p", 1);
    s.repeat_penalty = advised_number(g, "general.sampling.penalty_repeat", 100);
    if (s.repeat_penalty == 0)
        s.repeat_penalty = -1;
    return s;
}

static void fill_info(struct engine *e)
{
    struct engine_info *info = &e->info;
    const struct shape *s = &e->shape;

    if (e->name == NULL)
        e->name = mem_dup(path_base_name(e->path));
    info->path = e->path;
    info->name = e->name;
    info->architecture = e->architecture == NULL ? "unknown" : e->architecture;
    info->type = e->gguf == NULL ? "none" : main_type(e->gguf);
    info->backend = e->be == NULL ? "none" : e->ops->name;
    info->kernels = e->be == NULL ? "none" : e->ops->describe(e->be);
    info->n_threads = e->be == NULL ? 0 : e->ops->n_threads(e->be);
    info->chat_format = chat_format_name(e->chat_format);
    info->chat_note = e->chat_note;
    info->advised = read_advice(e->gguf);
    info->n_layer = s->n_layer;
    info->hidden = s->hidden;
    info->n_head = s->n_head;
    info->vocab = s->vocab > 0 ? s->vocab : tokenizer_n_tokens(e->tokenizer);
    info->n_expert = s->n_expert;
    info->n_expert_used = s->n_expert_used;
    info->ctx_train = s->ctx_train;
    info->n_params = e->weights.n_params;
    if (info->n_params == 0 && e->gguf != NULL) /* the weights were not asked for */
        info->n_params = count_elements(e->gguf);
    info->file_bytes = e->gguf == NULL ? 0 : gguf_total_bytes(e->gguf);
    if (e->be != NULL)
        info->cache_bytes_per_token = e->ops->kv_bytes_per_token(s, CACHE_F16);
}

struct engine *engine_open(const struct engine_options *opt, struct err *err)
{
    struct engine *e = mem_zalloc(sizeof(*e));
    struct stat st;
    bool is_folder = stat(opt->path, &st) == 0 && S_ISDIR(st.st_mode);

    e->path = mem_dup(opt->path);
    if (!(is_folder ? open_folder(e, opt, err) : open_file(e, opt, err)))
        goto fail;
    if (!open_chat(e, opt->chat_format, err))
        goto fail;
    if (!opt->vocabulary_only && !choose_backend(e, opt, err))
        goto fail;
    fill_info(e);
    return e;
fail:
    engine_close(e);
    return NULL;
}

void engine_close(struct engine *e)
{
    if (e == NULL)
        return;
    if (e->be != NULL) {
        if (e->adopted)
            e->ops->disown(e->be, &e->weights);
        e->ops->close(e->be);
    }
    tokenizer_close(e->tokenizer);
    weights_release(&e->weights);
    shape_release(&e->shape);
    gguf_close(e->gguf);
    free(e->path);
    free(e->name);
    free(e->architecture);
    free(e->chat_note);
    free(e);
}

const struct engine_info *engine_info(const struct engine *e)
{
    return &e->info;
}

const struct tokenizer *engine_tokenizer(const struct engine *e)
{
    return e->tokenizer;
}

enum chat_format engine_chat_format(const struct engine *e)
{
    return e->chat_format;
}
