/* SPDX-License-Identifier: MIT
 *
 * main: reads the command line, runs what it says, and turns a failure into one line
 * and an exit code. Everything else is behind command.h.
 */
#include "config.h"

#include <stdlib.h>

#include "src/command.h"
#include "src/exit_code.h"
#include "src/output.h"

int main(int argc, char **argv)
{
    struct err err = {.kind = ERR_NONE};
    struct options opt;
    int code = 0;

    /* Before any thread, and before OpenBLAS may be opened: it would start its own. */
    (void)setenv("OPENBLAS_NUM_THREADS", "1", 1);
    output_prepare();
    options_init(&opt);
    /* err means something only on failure: what was tried in vain and did not matter
     * may have left its words there. */
    if (!command_dispatch(&opt, argc, argv, &err)) {
        exit_report(&err);
        code = exit_code(&err);
    }
    options_release(&opt);
    return code;
}
