/* SPDX-License-Identifier: MIT
 *
 * How `hadal run` shows an answer: as text while it comes, as one JSON object at the
 * end, or as events, a JSON object a line.
 *
 * Text on a pipe is the answer's exact bytes with one newline at the end; on a terminal
 * it goes through termtext. Thinking is dim on a terminal, else on standard error.
 */
#ifndef HADAL_ANSWER_H
#define HADAL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/buf.h"
#include "src/base/err.h"
#include "src/options.h"
#include "src/worker.h"

struct answer {
    const struct options *opt;
    bool on_terminal;
    bool dim;
    struct buf text, thinking;   /* all that came */
    struct buf held;             /* newlines that may turn out to be the last ones */
    enum chat_part part;         /* of what was shown last */
    bool any_text, any_thinking; /* shown, that is */
};

/* What the end of an answer tells beside its text. */
struct answer_facts {
    const char *model;
    const char *session; /* NULL: none */
    double load_s;
    uint64_t seed;
    const struct report *done;
};

void answer_init(struct answer *a, const struct options *opt);
void answer_release(struct answer *a);

/* Each fails where standard output cannot be written: ERR_IO, or ERR_CANCELLED (141).
 */
bool answer_start(struct answer *a, const struct answer_facts *facts, int prompt_tokens,
                  struct err *err) MUST_USE;
bool answer_prefill(struct answer *a, int done, int total, struct err *err) MUST_USE;
bool answer_add(struct answer *a, enum chat_part part, const char *text, size_t len,
                struct err *err) MUST_USE;
/* The last newline, object or event. */
bool answer_end(struct answer *a, const struct answer_facts *facts,
                struct err *err) MUST_USE;
/* The turn failed: only what makes the next line on the terminal begin at its left. */
void answer_break_off(struct answer *a);

#endif
