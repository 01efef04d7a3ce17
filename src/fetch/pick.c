/* SPDX-License-Identifier: MIT
 *
 * Choosing files: see pick.h.
 */
#include "config.h"

#include "src/fetch/pick.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/mem.h"
#include "src/base/path.h"
#include "src/base/text.h"
#include "src/hub.h"
#include "src/human.h"

/* True for files that could run code when opened. They are never fetched. */
static bool is_refused(const char *name)
{
    static const char *const endings[] = {".bin", ".pt",     ".pth", ".ckpt",   ".pkl",
                                          ".py",  ".pickle", ".h5",  ".npy",    ".npz",
                                          ".sh",  ".exe",    ".so",  ".msgpack"};

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (text_ends_with_any_case(name, endings[i]))
            return true;
    return false;
}

static bool refuse(const char *name, struct err *err)
{
    err_set(err, ERR_MODEL,
            "%s: refused: files of its kind can run code when opened; hadal reads "
            ".gguf and .safetensors",
            name);
    err->code = PICK_REFUSED;
    return false;
}

uint64_t pick_memory_need(int64_t bytes)
{
    return (uint64_t)bytes + (uint64_t)bytes / 16 + 256 * 1000 * 1000;
}

/* Projectors and importance matrices: beside a model, not one. */
static bool is_gguf_model(const char *name)
{
    return text_ends_with_any_case(name, ".gguf") &&
           strncasecmp(path_base_name(name), "mmproj", 6) != 0 &&
           strncasecmp(path_base_name(name), "imatrix", 7) != 0;
}

/* Bytes of the name that all parts of a set share. */
static size_t stem_len(const char *name)
{
    return strlen(name) - 5 - (hub_is_part(name) ? HUB_SPLIT_SUFFIX : 0);
}

static bool same_set(const char *a, const char *b)
{
    size_t len = stem_len(a);

    if (strcmp(a, b) == 0)
        return true;
    return hub_is_part(a) && hub_is_part(b) && stem_len(b) == len &&
           strncmp(a, b, len) == 0 &&
           strcmp(a + strlen(a) - 10, b + strlen(b) - 10) == 0;
}

/* ---- sets of GGUF files ---- */

static int64_t set_bytes(const struct hub_listing *l, size_t first, size_t *n)
{
    int64_t bytes = 0;

    *n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (is_gguf_model(l->entry[i].name) &&
            same_set(l->entry[first].name, l->entry[i].name)) {
            ++*n;
            if (l->entry[i].size > 0)
                bytes += l->entry[i].size;
        }
    return bytes;
}

static bool fits(const struct pick_wish *wish, int64_t bytes)
{
    return pick_memory_need(bytes) <= wish->memory_bytes;
}

static void add_index(struct pick *p, const struct hub_listing *l, size_t i)
{
    p->index[p->n++] = i;
    if (l->entry[i].size > 0)
        p->bytes += l->entry[i].size;
}

/* All parts that the name of one says there are must be there. */
static bool take_set(const struct hub_listing *l, size_t first, struct pick *p,
                     struct err *err)
{
    const char *name = l->entry[first].name;
    size_t n;

    set_bytes(l, first, &n);
    for (size_t i = 0; i < l->n; i++)
        if (is_gguf_model(l->entry[i].name) && same_set(name, l->entry[i].name))
            add_index(p, l, i);
    if (hub_is_part(name)) {
        size_t said = (size_t)strtoul(name + strlen(name) - 10, NULL, 10);

        if (n != said)
            return err_set(err, ERR_MODEL, "'%s': %zu of %zu parts are there", name, n,
                           said);
    }
    return true;
}

/* The first file of this quantisation; false where there is none. */
static bool find_quant(const struct hub_listing *l, const char *quant, size_t *at)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_gguf_model(l->entry[i].name) && hub_has_quant(l->entry[i].name, quant)) {
            *at = i;
            return true;
        }
    return false;
}

/* The names of the GGUF files, for a message. */
static bool no_such_quant(const struct hub_listing *l, const struct pick_wish *wish,
                          struct err *err)
{
    char names[512] = "";
    size_t len = 0;

    for (size_t i = 0; i < l->n && len < sizeof(names) - 1; i++)
        if (is_gguf_model(l->entry[i].name)) {
            int n = snprintf(names + len, sizeof(names) - len, "%s%s",
                             len > 0 ? ", " : "", l->entry[i].name);

            len += n > 0 ? (size_t)n : 0;
        }
    return err_set(err, ERR_MODEL, "%s: has no %s; it has %s", wish->repo, wish->quant,
                   names[0] != '\0' ? names : "no GGUF file");
}

/* The smallest set. */
static size_t find_smallest(const struct hub_listing *l)
{
    size_t best = l->n;
    int64_t best_bytes = 0;

    for (size_t i = 0; i < l->n; i++) {
        size_t n;
        int64_t bytes;

        if (!is_gguf_model(l->entry[i].name))
            continue;
        bytes = set_bytes(l, i, &n);
        if (best == l->n || bytes < best_bytes) {
            best = i;
            best_bytes = bytes;
        }
    }
    return best;
}

/* The first of the usual that is there and fits; else the largest that fits; else
 * the smallest. */
static size_t choose_gguf(const struct hub_listing *l, const struct pick_wish *wish,
                          struct pick *out)
{
    char room[32];
    const char *quant;
    size_t best = l->n;
    int64_t best_bytes = 0;
    size_t at, n;

    human_bytes((size_t)wish->memory_bytes, room);
    for (size_t i = 0; (quant = hub_usual_quant(i)) != NULL; i++)
        if (find_quant(l, quant, &at) && fits(wish, set_bytes(l, at, &n))) {
            snprintf(out->why, sizeof(out->why),
                     i == 0
                         ? "%s: the usual choice, and it fits the memory"
                         : "%s: the first of the usual choices that is there and fits "
                           "the memory",
                     quant);
            return at;
        }
    for (size_t i = 0; i < l->n; i++)
        if (is_gguf_model(l->entry[i].name)) {
            int64_t bytes = set_bytes(l, i, &n);

            if (fits(wish, bytes) && bytes > best_bytes) {
                best = i;
                best_bytes = bytes;
            }
        }
    if (best < l->n) {
        snprintf(out->why, sizeof(out->why), "the largest that fits the memory");
        return best;
    }
    snprintf(out->why, sizeof(out->why),
             "the smallest there is; none fits the %s of free memory", room);
    return find_smallest(l);
}

static bool pick_gguf(const struct hub_listing *l, const struct pick_wish *wish,
                      struct pick *out, struct err *err)
{
    size_t at;

    if (wish->quant == NULL) {
        at = choose_gguf(l, wish, out);
    } else {
        if (!find_quant(l, wish->quant, &at))
            return no_such_quant(l, wish, err);
        snprintf(out->why, sizeof(out->why), "%.64s: asked for", wish->quant);
    }
    return take_set(l, at, out, err);
}

/* ---- other choices ---- */

static bool pick_named(const struct hub_listing *l, const struct pick_wish *wish,
                       struct pick *out, struct err *err)
{
    if (is_refused(wish->file))
        return refuse(wish->file, err);
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->entry[i].name, wish->file) == 0) {
            snprintf(out->why, sizeof(out->why), "asked for");
            if (is_gguf_model(wish->file))
                return take_set(l, i, out, err);
            add_index(out, l, i);
            return true;
        }
    return err_set(err, ERR_MODEL, "%s: has no file '%s'", wish->repo, wish->file);
}

static bool pick_glob(const struct hub_listing *l, const struct pick_wish *wish,
                      struct pick *out, struct err *err)
{
    const char *refused = NULL;

    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->entry[i].name;

        if (fnmatch(wish->include, name, 0) != 0 &&
            fnmatch(wish->include, path_base_name(name), 0) != 0)
            continue;
        if (is_refused(name))
            refused = name;
        else
            add_index(out, l, i);
    }
    snprintf(out->why, sizeof(out->why), "--include '%.100s'", wish->include);
    if (out->n > 0)
        return true;
    if (refused != NULL)
        return refuse(refused, err);
    return err_set(err, ERR_MODEL, "%s: has no file that matches '%s'", wish->repo,
                   wish->include);
}

/* What a folder of weights is run from: the weights, and the texts beside them. */
static bool is_of_folder(const struct hub_listing *l, const char *name)
{
    static const char *const texts[] = {"config.json",
                                        "generation_config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "tokenizer.model",
                                        "chat_template.jinja",
                                        "chat_template.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "model.safetensors.index.json",
                                        "added_tokens.json"};

    if (strchr(name, '/') != NULL)
        return false;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(name, texts[i]) == 0)
            return true;
    if (!text_ends_with_any_case(name, ".safetensors"))
        return false;
    /* The same weights once more in another shape. */
    if (strncmp(name, "consolidated", 12) == 0)
        for (size_t i = 0; i < l->n; i++)
            if (strncmp(l->entry[i].name, "model", 5) == 0 &&
                text_ends_with_any_case(l->entry[i].name, ".safetensors"))
                return false;
    return true;
}

static bool has_file(const struct hub_listing *l, const char *ending)
{
    for (size_t i = 0; i < l->n; i++)
        if (strchr(l->entry[i].name, '/') == NULL &&
            text_ends_with_any_case(l->entry[i].name, ending))
            return true;
    return false;
}

static bool pick_folder(const struct hub_listing *l, const struct pick_wish *wish,
                        struct pick *out, struct err *err)
{
    if (!has_file(l, ".safetensors") || !has_file(l, "config.json")) {
        for (size_t i = 0; i < l->n; i++)
            if (is_refused(l->entry[i].name))
                return err_set(err, ERR_MODEL,
                               "%s: neither GGUF nor safetensors; '%s' is refused: "
                               "files of its kind can run code when opened",
                               wish->repo, l->entry[i].name);
        return err_set(err, ERR_MODEL, "%s: neither GGUF nor safetensors", wish->repo);
    }
    for (size_t i = 0; i < l->n; i++)
        if (is_of_folder(l, l->entry[i].name) && !is_refused(l->entry[i].name))
            add_index(out, l, i);
    snprintf(out->why, sizeof(out->why), "the safetensors and what belongs to them");
    return true;
}

bool pick_files(const struct hub_listing *l, const struct pick_wish *wish,
                struct pick *out, struct err *err)
{
    bool any_gguf = false;
    bool ok;

    memset(out, 0, sizeof(*out));
    out->index = mem_array(l->n + 1, sizeof(*out->index));
    for (size_t i = 0; i < l->n; i++)
        any_gguf = any_gguf || is_gguf_model(l->entry[i].name);
    if (wish->file != NULL)
        ok = pick_named(l, wish, out, err);
    else if (wish->include != NULL)
        ok = pick_glob(l, wish, out, err);
    else if (any_gguf || wish->quant != NULL)
        ok = any_gguf ? pick_gguf(l, wish, out, err) : no_such_quant(l, wish, err);
    else
        ok = pick_folder(l, wish, out, err);
    if (!ok)
        pick_release(out);
    return ok;
}

void pick_release(struct pick *pick)
{
    free(pick->index);
    memset(pick, 0, sizeof(*pick));
}
