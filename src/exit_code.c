/* SPDX-License-Identifier: MIT
 *
 * Exit codes: see exit_code.h; the numbers are the contract's.
 */
#include "config.h"

#include "src/exit_code.h"

#include "src/output.h"

int exit_code(const struct err *err)
{
    static const int code[] = {
        [ERR_NONE] = 0,      [ERR_USAGE] = 2,   [ERR_IO] = 1,     [ERR_FAILED] = 1,
        [ERR_MODEL] = 3,     [ERR_SESSION] = 3, [ERR_NET] = 4,    [ERR_DB] = 5,
        [ERR_CONTEXT] = 6,   [ERR_MEMORY] = 7,  [ERR_DEVICE] = 7, [ERR_CONSTRAINT] = 9,
        [ERR_TIMEOUT] = 124,
    };

    return err->kind == ERR_CANCELLED ? err->code : code[err->kind];
}

void exit_report(const struct err *err)
{
    if (err->kind != ERR_CANCELLED)
        output_note("%s", err->text);
}
