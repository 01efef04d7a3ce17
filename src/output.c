/* SPDX-License-Identifier: MIT
 *
 * Output: see output.h.
 */
#include "config.h"

#include "src/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/termtext.h"

enum { NOTE_MAX_BYTES = 1 << 16 };

void output_prepare(void)
{
    /* Opened the wrong way round on purpose: EBADF stays what its user sees. */
    static const int flags[] = {O_WRONLY, O_RDONLY, O_WRONLY};

    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", flags[fd]) < 0)
            _exit(1);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

bool output_set_reader_gone(struct err *err)
{
    err_set(err, ERR_CANCELLED, "the reader of standard output went away");
    if (err != NULL)
        err->code = 128 + SIGPIPE;
    return false;
}

bool output_write(const void *data, size_t len, struct err *err)
{
    if (file_write_fd(STDOUT_FILENO, "standard output", data, len, err))
        return true;
    if (err != NULL && err->code == EPIPE)
        return output_set_reader_gone(err);
    return false;
}

bool output_write_text(const char *text, size_t len, struct err *err)
{
    struct buf safe;
    bool ok;

    if (!isatty(STDOUT_FILENO))
        return output_write(text, len, err);
    buf_init(&safe, BUF_UNLIMITED);
    termtext_add(&safe, text, len);
    ok = output_write(buf_text(&safe), safe.len, err);
    buf_release(&safe);
    return ok;
}

void output_note(const char *fmt, ...)
{
    va_list args;
    char text[2048];
    struct buf line;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    buf_init(&line, NOTE_MAX_BYTES);
    buf_add_text(&line, "hadal: ");
    termtext_add_line(&line, text, strlen(text));
    buf_add_char(&line, '\n');
    /* Where standard error cannot be written there is nobody to tell. */
    (void)!write(STDERR_FILENO, buf_text(&line), line.len);
    buf_release(&line);
}

void output_notice(const char *text, size_t len)
{
    struct buf safe;

    buf_init(&safe, BUF_UNLIMITED);
    termtext_add(&safe, text, len);
    (void)!write(STDERR_FILENO, buf_text(&safe), safe.len);
    buf_release(&safe);
}

bool output_wants_color(const struct options *opt, int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (opt->color != COLOR_AUTO)
        return opt->color == COLOR_ALWAYS;
    return isatty(fd) && (no_color == NULL || *no_color == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}
