/* SPDX-License-Identifier: MIT
 *
 * The engine's parts, for the session and for tests of this room.
 */
#ifndef HADAL_MODEL_ENGINE_PRIV_H
#define HADAL_MODEL_ENGINE_PRIV_H

#include "model/backend.h"
#include "model/engine.h"
#include "model/format/gguf.h"
#include "model/shape.h"
#include "model/weights.h"

struct engine {
    struct gguf *gguf; /* NULL for a folder */
    struct shape shape;
    struct weights weights;
    struct tokenizer *tokenizer;
    enum chat_format chat_format;
    const struct backend_ops *ops;
    struct backend *be; /* NULL: vocabulary only */
    bool adopted;       /* the back end has the weights */
    struct engine_info info;
    char *path, *name, *architecture, *chat_note; /* what info points to */
};

#endif
