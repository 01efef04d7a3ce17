/* SPDX-License-Identifier: MIT
 *
 * hadal tokenize and hadal detokenize: bytes of standard input to ids, and back.
 */
#include "config.h"

#include <unistd.h>

#include "model/tokens.h"
#include "src/base/file.h"
#include "src/command.h"
#include "src/model_open.h"
#include "src/output.h"
#include "src/prompt.h"

enum { INPUT_MAX_BYTES = 256 << 20 };

static bool write_ids(const struct tokens *ids, struct err *err)
{
    struct buf line;
    bool ok;

    buf_init(&line, BUF_UNLIMITED);
    for (size_t i = 0; i < ids->len; i++)
        buf_addf(&line, "%s%d", i == 0 ? "" : " ", ids->id[i]);
    if (ids->len > 0)
        buf_add_char(&line, '\n');
    ok = output_write(buf_text(&line), line.len, err);
    buf_release(&line);
    return ok;
}

bool cmd_tokenize(const struct options *opt, struct err *err)
{
    enum tokenizer_mode mode = opt->special ? TOKENIZER_SPECIAL : TOKENIZER_PLAIN;
    struct engine *engine = model_open(opt, MODEL_VOCABULARY, err);
    struct tokens ids = {0};
    struct buf input;
    bool ok = false;

    buf_init(&input, INPUT_MAX_BYTES);
    if (engine != NULL && file_read_fd(STDIN_FILENO, "standard input", &input, err)) {
        const struct tokenizer *t = engine_tokenizer(engine);

        if (opt->bos && tokenizer_bos(t) >= 0)
            tokens_add(&ids, tokenizer_bos(t));
        ok = tokenizer_encode(t, buf_text(&input), input.len, mode, &ids, err) &&
             write_ids(&ids, err);
    }
    tokens_release(&ids);
    buf_release(&input);
    engine_close(engine);
    return ok;
}

static bool write_bytes(const struct tokenizer *t, const struct tokens *ids,
                        struct err *err)
{
    struct buf out;
    bool ok = true;

    buf_init(&out, BUF_UNLIMITED);
    for (size_t i = 0; ok && i < ids->len; i++) {
        size_t len;
        const char *bytes = tokenizer_bytes(t, ids->id[i], &len);

        if (bytes == NULL)
            ok = err_set(err, ERR_USAGE, "standard input: token id %d is not in 0..%d",
                         ids->id[i], tokenizer_n_tokens(t) - 1);
        else
            buf_add(&out, bytes, len);
    }
    ok = ok && output_write_text(buf_text(&out), out.len, err);
    buf_release(&out);
    return ok;
}

bool cmd_detokenize(const struct options *opt, struct err *err)
{
    struct engine *engine = model_open(opt, MODEL_VOCABULARY, err);
    struct tokens ids = {0};
    struct buf input;
    bool ok;

    buf_init(&input, INPUT_MAX_BYTES);
    ok = engine != NULL && file_read_fd(STDIN_FILENO, "standard input", &input, err) &&
         prompt_parse_ids(buf_text(&input), input.len, "standard input", &ids, err) &&
         write_bytes(engine_tokenizer(engine), &ids, err);
    tokens_release(&ids);
    buf_release(&input);
    engine_close(engine);
    return ok;
}
