/* SPDX-License-Identifier: MIT
 *
 * Signals: see signals.h.
 */
#include "config.h"

#include "src/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const int waiting[] = {SIGINT,  SIGTERM,  SIGHUP, SIGQUIT,
                              SIGTSTP, SIGWINCH, SIGCONT};
static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};

static int pipe_fd[2] = {-1, -1};
static void (*restore_terminal)(void);
static void *crash_stack; /* a stack overflow leaves no other room */

/* A full pipe drops the signal: as many wait already, and those that repeat (SIGWINCH)
 * say nothing that the ones before did not. */
static void note(int number)
{
    unsigned char byte = (unsigned char)number;
    int saved = errno;

    (void)!write(pipe_fd[1], &byte, 1);
    errno = saved;
}

static void crash(int number)
{
    if (restore_terminal != NULL)
        restore_terminal();
    signal(number, SIG_DFL);
    raise(number);
}

static void set_handlers(const int *number, size_t n, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < n; i++)
        sigaction(number[i], &action, NULL);
}

bool signals_open(void (*restore)(void), struct err *err)
{
    stack_t stack = {.ss_size = 64 * 1024};

    if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_set_errno(err, ERR_FAILED, errno, "cannot make a pipe");
    restore_terminal = restore;
    crash_stack = malloc(stack.ss_size);
    stack.ss_sp = crash_stack;
    if (crash_stack != NULL)
        sigaltstack(&stack, NULL);
    set_handlers(waiting, sizeof(waiting) / sizeof(waiting[0]), note, (int)SA_RESTART);
    set_handlers(fatal, sizeof(fatal) / sizeof(fatal[0]), crash,
                 crash_stack != NULL ? (int)SA_ONSTACK : 0);
    signal(SIGPIPE, SIG_IGN);
    return true;
}

void signals_close(void)
{
    stack_t none = {.ss_flags = (int)SS_DISABLE};

    if (pipe_fd[0] < 0)
        return;
    set_handlers(waiting, sizeof(waiting) / sizeof(waiting[0]), SIG_DFL, 0);
    set_handlers(fatal, sizeof(fatal) / sizeof(fatal[0]), SIG_DFL, 0);
    sigaltstack(&none, NULL);
    free(crash_stack);
    crash_stack = NULL;
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    pipe_fd[0] = pipe_fd[1] = -1;
}

int signals_fd(void)
{
    return pipe_fd[0];
}

int signals_take(void)
{
    unsigned char byte;

    return read(pipe_fd[0], &byte, 1) == 1 ? byte : 0;
}

void signals_stop(void)
{
    static const int stop[] = {SIGTSTP};

    set_handlers(stop, 1, SIG_DFL, 0);
    kill(0, SIGTSTP); /* the whole job, as the terminal's ^Z would */
    set_handlers(stop, 1, note, (int)SA_RESTART);
}
