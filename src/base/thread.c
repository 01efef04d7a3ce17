/* SPDX-License-Identifier: MIT
 *
 * Threads: see thread.h.
 */
#include "config.h"

#include "src/base/thread.h"

#include <signal.h>

int thread_start(pthread_t *thread, size_t stack_bytes, void *(*run)(void *), void *arg)
{
    static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT};
    pthread_attr_t attr;
    sigset_t blocked;
    sigset_t before;
    int code;

    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&blocked, faults[i]);
    pthread_attr_init(&attr);
    if (stack_bytes > 0)
        pthread_attr_setstacksize(&attr, stack_bytes);
    /* A thread begins with the mask of the one that makes it. */
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    code = pthread_create(thread, &attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return code;
}
