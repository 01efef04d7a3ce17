/* SPDX-License-Identifier: MIT
 *
 * Signals: see interrupt.h.
 */
#include "config.h"

#include "src/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/termtext.h"

enum { EXIT_MODEL = 3, LINE_CAP = 1024 };

static volatile sig_atomic_t came;
static int wake_fd = -1;

static char bus_line[LINE_CAP];
static size_t bus_line_len;
static void (*bus_restore)(void);

static void note_signal(int signal_number)
{
    const uint64_t one = 1;
    int saved = errno;

    came = signal_number;
    (void)!write(wake_fd, &one, sizeof(one));
    errno = saved;
}

bool interrupt_watch(struct err *err)
{
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = note_signal,
                               .sa_flags = (int)SA_RESETHAND};

    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return err_set_errno(err, ERR_FAILED, errno, "cannot make an event descriptor");
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
        struct sigaction before;

        if (sigaction(watched[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(watched[i], &action, NULL);
    }
    return true;
}

int interrupt_fd(void)
{
    return wake_fd;
}

int interrupt_signal(void)
{
    return came;
}

static void model_is_gone(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (bus_restore != NULL)
        bus_restore();
    if (info->si_code <= 0) { /* sent by somebody, not by the kernel for a read */
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    (void)!write(STDERR_FILENO, bus_line, bus_line_len);
    _exit(EXIT_MODEL);
}

void interrupt_guard_model(const char *path, void (*restore)(void))
{
    struct sigaction action = {.sa_sigaction = model_is_gone,
                               .sa_flags = (int)SA_SIGINFO};
    struct buf line;

    /* The whole line now: the handler may only write. */
    buf_init(&line, LINE_CAP - 1);
    buf_add_text(&line, "hadal: ");
    termtext_add_line(&line, path, strlen(path));
    buf_add_text(&line, ": changed while in use\n");
    memcpy(bus_line, buf_text(&line), line.len + 1);
    bus_line_len = line.len;
    bus_restore = restore;
    buf_release(&line);
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
