/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: a GGUF file from its first byte to the tensors by role. Whatever is
 * accepted is used as later code would: every array is walked, the first and the last
 * row of every weight is decoded, and a quantised copy is planned.
 *
 * libFuzzer calls LLVMFuzzerTestOneInput (tests/fuzz/run.sh); tests/fuzz/replay.c calls
 * it with the stored seeds and a fixed number of mutations in `make check`.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/format/gguf_priv.h"
#include "model/format/gguf_write.h"
#include "model/quant/encode.h"
#include "model/quant/mix.h"
#include "model/weights.h"
#include "tests/fuzz/fuzz.h"

/* Keeps reads from being optimised away. */
static volatile double sink;

static void use_keys(const struct gguf *g)
{
    for (size_t i = 0; i < gguf_n_keys(g); i++) {
        struct gguf_array a;
        struct gguf_text text;

        if (gguf_get_text(g, gguf_key_name(g, i), &text, NULL) == 1 && text.len > 0)
            sink += text.data[text.len - 1];
        if (gguf_get_array(g, gguf_key_name(g, i), &a, NULL) != 1)
            continue;
        for (size_t k = 0; k < a.n; k++) {
            if (a.kind == GGUF_STRING)
                sink += (double)a.text[k].len +
                        (a.text[k].len > 0 ? a.text[k].data[a.text[k].len - 1] : 0);
            else if (gguf_kind_is_int(a.kind))
                sink += (double)gguf_array_int(&a, k);
            else if (a.kind != GGUF_BOOL)
                sink += gguf_array_float(&a, k);
        }
    }
}

/* The plan of `hadal quantize`, and the first block of every tensor. */
static void use_mix(const struct gguf *g, const char *name)
{
    const struct mix *mix = mix_find(name);
    struct mix_model model = mix_model_of(g);
    struct gguf_head head;
    float x[256];
    unsigned char block[sizeof(x)];

    gguf_head_init(&head);
    for (size_t i = 0; i < gguf_n_keys(g); i++)
        gguf_head_copy_key(&head, g, i);
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        const struct quant_type *to = mix_type(mix, &model, t);

        gguf_head_add_tensor(&head, t, to);
        if (t->ne[0] < 256 || t->type->to_f32 == NULL)
            continue;
        t->type->to_f32(t->data, x, 256);
        sink += encode_row(to, x, 256, block) ? block[0] : 0;
    }
    sink += (double)head.data_bytes;
    gguf_head_release(&head);
}

static void use_weight(const struct weight *w)
{
    size_t last =
        (size_t)(w->n_slab - 1) * w->slab_bytes + (size_t)(w->n_out - 1) * w->row_bytes;
    float *row;

    if (w->data == NULL)
        return;
    row = malloc((size_t)w->n_in * sizeof(*row));
    if (row == NULL)
        return;
    w->type->to_f32(w->data, row, w->n_in);
    sink += (double)row[0];
    w->type->to_f32(w->data + last, row, w->n_in);
    sink += (double)row[w->n_in - 1];
    free(row);
}

static void use_layer(const struct layer *l)
{
    const struct weight *const all[] = {
        &l->q,         &l->k,          &l->v,        &l->q_a,        &l->q_b,
        &l->kv_a,      &l->k_b,        &l->v_b,      &l->out,        &l->gate,
        &l->up,        &l->down,       &l->router,   &l->gate_exps,  &l->up_exps,
        &l->down_exps, &l->gate_shexp, &l->up_shexp, &l->down_shexp,
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        use_weight(all[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct shape shape;
    struct weights w;
    struct gguf *g = gguf_open_bytes("fuzz.gguf", data, size, &err);

    if (g == NULL)
        return 0;
    use_keys(g);
    use_mix(g, "Q4_K_M");
    use_mix(g, "IQ4_XS");
    if (shape_read(&shape, g, &err)) {
        sink += (double)shape.rope.inv_freq[shape.rope.dim / 2 - 1];
        if (weights_open(&w, g, &shape, &err)) {
            use_weight(&w.embed);
            use_weight(&w.head);
            for (int i = 0; i < w.n_layer; i++)
                use_layer(&w.layer[i]);
            weights_release(&w);
        }
        shape_release(&shape);
    }
    gguf_close(g);
    return 0;
}
