/* SPDX-License-Identifier: MIT
 *
 * Starting threads that take no signals: those are the main thread's.
 */
#ifndef HADAL_BASE_THREAD_H
#define HADAL_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Starts a joinable thread with a stack of stack_bytes (0: the system's default) and
 * every signal blocked but those of its own faults: a fault whose signal is blocked
 * would end the program without a word, and a model's file that is cut while it is
 * mapped should end it with a message. Returns 0 or an errno value. */
int thread_start(pthread_t *thread, size_t stack_bytes, void *(*run)(void *),
                 void *arg);

#endif
