/* SPDX-License-Identifier: MIT
 *
 * Stores one message, for the scripts in tests/cli: history_say DB SESSION ROLE TEXT
 * [THINKING]. SESSION "new" begins one. Prints the session's id.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "history/history.h"

int main(int argc, char **argv)
{
    struct history_message m = {.model = "org/tiny:Q8_0"};
    char id[HISTORY_ID_CAP];
    struct err err = {.kind = ERR_NONE};
    struct history *h;
    bool ok;

    if (argc < 5)
        return 2;
    m.role = strcmp(argv[3], "user") == 0     ? ROLE_USER
             : strcmp(argv[3], "system") == 0 ? ROLE_SYSTEM
                                              : ROLE_ASSISTANT;
    m.text = argv[4];
    m.len = strlen(argv[4]);
    if (argc > 5) {
        m.thinking = argv[5];
        m.thinking_len = strlen(argv[5]);
    }
    if (m.role == ROLE_ASSISTANT) {
        m.stop_reason = "eos";
        m.has_seed = true;
        m.seed = UINT64_MAX;
    }
    snprintf(id, sizeof(id), "%s", argv[2]);
    h = history_open(argv[1], HISTORY_WRITE, &err);
    ok = h != NULL;
    if (ok && strcmp(argv[2], "new") == 0)
        ok = history_begin_session(h, m.model, NULL, id, &err);
    ok = ok && history_add(h, id, &m, NULL, &err);
    history_close(h);
    if (!ok)
        fprintf(stderr, "history_say: %s\n", err.text);
    else
        puts(id);
    return ok ? 0 : 1;
}
