/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: tokenizers. What begins like a GGUF file or like tokenizer.json is
 * loaded as one, and if it is accepted used as the program would use it; anything else
 * is text for one of the small vocabularies, and must come back from its tokens.
 *
 * Called by libFuzzer (tests/fuzz/run.sh) and by tokenizer_replay.c in `make check`.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/chat.h"
#include "model/format/gguf_priv.h"
#include "src/base/file.h"
#include "src/base/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "tests/test.h"
#include "tests/vocabulary.h"

#define MAX_BYTES ((size_t)1 << 24)

/* Keeps reads from being optimised away. */
static volatile unsigned sink;

static void demand(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "tokenizer_fuzz: %s\n", what);
    abort();
}

static void use_ids(const struct tokenizer *t, enum chat_format format,
                    const struct tokens *ids)
{
    struct chat_splitter s;

    chat_splitter_init(&s, format, t, THINK_ON);
    for (size_t i = 0; i < ids->len; i++) {
        const char *bytes;
        size_t len;

        demand(ids->id[i] >= 0 && ids->id[i] < tokenizer_n_tokens(t),
               "id out of range");
        if (chat_splitter_next(&s, t, ids->id[i], &bytes, &len) != CHAT_PART_NOTHING)
            sink += (unsigned char)bytes[len - 1];
    }
}

/* All that a loaded tokenizer is asked for. */
static void use_tokenizer(const struct tokenizer *t)
{
    static const char text[] = "<｜User｜>the 123 ö\n\n中文 \xFF<think></think>[PAD1]";
    struct message m = {.role = ROLE_USER, .text = text, .len = sizeof(text) - 1};
    struct chat_request req = {.msg = &m, .n = 1, .add_generation_prompt = true};
    struct tokens ids = {.len = 0};
    bool guessed;
    enum chat_format format =
        chat_detect(tokenizer_template(t), "deepseek2", "R1", t, &guessed);

    for (int32_t id = -1; id <= tokenizer_n_tokens(t); id++) {
        size_t len;
        const char *bytes = tokenizer_bytes(t, id, &len);

        if (len > 0)
            sink += (unsigned char)bytes[len - 1];
        sink += tokenizer_is_normal(t, id) + tokenizer_is_end(t, id);
    }
    if (tokenizer_encode(t, text, sizeof(text) - 1, TOKENIZER_SPECIAL, &ids, NULL))
        use_ids(t, format, &ids);
    tokens_clear(&ids);
    if (format != CHAT_NONE && chat_check(format, t, NULL)) {
        demand(chat_render(format, t, &req, &ids, NULL, NULL), "checked, not rendered");
        use_ids(t, format, &ids);
    }
    tokens_release(&ids);
}

static void load_gguf(const uint8_t *data, size_t size)
{
    struct err err = {.text = ""};
    struct gguf *g = gguf_open_bytes("fuzz.gguf", data, size, &err);
    struct tokenizer *t = g == NULL ? NULL : tokenizer_open_gguf(g, 0, &err);

    if (t != NULL)
        use_tokenizer(t);
    else
        demand(strncmp(err.text, "fuzz.gguf", 9) == 0, err.text);
    tokenizer_close(t);
    gguf_close(g);
}

static void load_json(const uint8_t *data, size_t size)
{
    char folder[] = "/tmp/hadal-fuzz-XXXXXX";
    char file[64];
    struct err err = {.text = ""};
    struct tokenizer *t = NULL;

    demand(mkdtemp(folder) != NULL, "no temporary folder");
    snprintf(file, sizeof(file), "%s/tokenizer.json", folder);
    if (file_replace(file, data, size, &err))
        t = tokenizer_open_folder(folder, &err);
    if (t != NULL)
        use_tokenizer(t);
    else
        demand(strncmp(err.text, file, strlen(file)) == 0, err.text);
    tokenizer_close(t);
    unlink(file);
    rmdir(folder);
}

/* ---- text ---- */

static const char *const names[] = {
    "tokenizer/mini/mini-v3.gguf", "tokenizer/mini/mini-llm.gguf",
    "tokenizer/mini/mini-coder.gguf", "tokenizer/mini/mini-llama3.gguf"};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static const struct tokenizer *vocabulary(size_t i)
{
    static struct tokenizer *open[N_NAMES];
    bool missing;

    if (open[i] == NULL)
        open[i] = vocabulary_open(names[i], &missing);
    demand(open[i] != NULL, "no small vocabularies; is top_srcdir set?");
    return open[i];
}

static void encode(const struct tokenizer *t, const char *text, size_t len,
                   enum tokenizer_mode mode)
{
    struct tokens ids = {.len = 0};
    struct buf expected;
    struct buf back;

    buf_init(&expected, MAX_BYTES);
    buf_init(&back, MAX_BYTES);
    utf8_repair(&expected, text, len);
    demand(tokenizer_encode(t, text, len, mode, &ids, NULL), "not encoded");
    for (size_t i = 0; i < ids.len; i++) {
        size_t n;
        const char *bytes = tokenizer_bytes(t, ids.id[i], &n);

        demand(mode == TOKENIZER_SPECIAL || tokenizer_is_normal(t, ids.id[i]),
               "plain text gave a special token");
        buf_add(&back, bytes, n);
    }
    demand(back.len == expected.len &&
               memcmp(buf_text(&back), buf_text(&expected), back.len) == 0,
           "the text does not come back");
    tokens_release(&ids);
    buf_release(&expected);
    buf_release(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tokenizer *t;

    if (size == 0 || size > MAX_BYTES / 4)
        return 0;
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) {
        load_gguf(data, size);
        return 0;
    }
    if (data[0] == '{') {
        load_json(data, size);
        return 0;
    }
    t = vocabulary(data[0] % N_NAMES);
    encode(t, (const char *)data + 1, size - 1, TOKENIZER_PLAIN);
    encode(t, (const char *)data + 1, size - 1, TOKENIZER_SPECIAL);
    return 0;
}
