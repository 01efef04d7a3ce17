/* SPDX-License-Identifier: MIT
 *
 * The progress bar: see progress.h.
 */
#include "config.h"

#include "src/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/clock.h"
#include "src/base/termtext.h"
#include "src/human.h"

enum { WIDTH_UNKNOWN = 80, LINE_MAX_BYTES = 4096, BAR_CELLS = 20, NAME_CELLS = 32 };

static const double redraw_s = 0.1;
static const double rate_window_s = 5;

void progress_init(struct progress *p, bool quiet)
{
    memset(p, 0, sizeof(*p));
    p->on = !quiet && isatty(STDERR_FILENO) == 1;
}

static int terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return WIDTH_UNKNOWN;
}

/* Bytes a second over the last seconds; 0: not known yet. */
static double rate_of(struct progress *p, double now, int64_t bytes)
{
    enum { CAP = sizeof(p->moment) / sizeof(p->moment[0]) };

    if (p->n_moments == 0 ||
        now - p->moment[p->n_moments - 1].at >= rate_window_s / CAP) {
        while (p->n_moments == CAP ||
               (p->n_moments > 1 && now - p->moment[0].at > rate_window_s))
            memmove(p->moment, p->moment + 1,
                    (size_t)--p->n_moments * sizeof(p->moment[0]));
        p->moment[p->n_moments].at = now;
        p->moment[p->n_moments++].bytes = bytes;
    }
    if (now - p->moment[0].at < redraw_s)
        return 0;
    return (double)(bytes - p->moment[0].bytes) / (now - p->moment[0].at);
}

/* "3:07", "2:03:07"; "" where it is not known. */
static void add_time_left(struct buf *line, double rate, int64_t bytes)
{
    long s = rate > 0 ? (long)((double)bytes / rate) : -1;

    if (s < 0 || s > 99L * 3600)
        return;
    if (s >= 3600)
        buf_addf(line, "  %ld:%02ld:%02ld left", s / 3600, s / 60 % 60, s % 60);
    else
        buf_addf(line, "  %ld:%02ld left", s / 60, s % 60);
}

/* As much of the text as `cells` can show, padded to `least`. */
static void add_cut(struct buf *line, const char *text, int cells, int least)
{
    size_t len = strlen(text);
    int used = 0;

    for (size_t at = 0; at < len;) {
        int width;
        size_t n = termtext_cluster(text + at, len - at, &width);

        if (used + width > cells)
            break;
        buf_add(line, text + at, n);
        used += width;
        at += n;
    }
    buf_addf(line, "%*s", used < least ? least - used : 0, "");
}

static int percent(int64_t done, int64_t size)
{
    return size > 0 ? (int)((double)done * 100 / (double)size) : 100;
}

static void add_amounts(struct buf *line, int64_t all_done, int64_t all_size,
                        double rate)
{
    char done[32], all[32], speed[32];
    int filled = percent(all_done, all_size) * BAR_CELLS / 100;

    human_bytes((size_t)all_done, done);
    human_bytes((size_t)all_size, all);
    human_bytes((size_t)rate, speed);
    buf_add_text(line, " [");
    for (int i = 0; i < BAR_CELLS; i++)
        buf_add_char(line, i < filled ? '#' : '.');
    buf_addf(line, "] %3d%%  %s of %s", percent(all_done, all_size), done, all);
    if (rate > 0)
        buf_addf(line, "  %s/s", speed);
}

void progress_draw(struct progress *p, const char *name, int64_t file_done,
                   int64_t file_size, int64_t all_done, int64_t all_size,
                   int64_t fetched, const char *trouble)
{
    double now = clock_seconds();
    double rate = rate_of(p, now, fetched);
    struct buf safe, text, line;

    if (!p->on || now - p->drawn_at < redraw_s)
        return;
    p->drawn_at = now;
    buf_init(&safe, LINE_MAX_BYTES);
    buf_init(&text, LINE_MAX_BYTES);
    buf_init(&line, 2 * LINE_MAX_BYTES);
    termtext_add_line(&safe, name, strlen(name));
    add_cut(&text, buf_text(&safe), NAME_CELLS, 0);
    if (file_size != all_size)
        buf_addf(&text, " %d%%", percent(file_done, file_size));
    add_amounts(&text, all_done, all_size, rate);
    if (trouble != NULL) {
        buf_add_text(&text, "  ");
        termtext_add_line(&text, trouble, strlen(trouble));
    } else {
        add_time_left(&text, rate, all_size - all_done);
    }
    buf_add_char(&line, '\r');
    add_cut(&line, buf_text(&text), terminal_width() - 1, 0);
    buf_add_text(&line, "\033[K");
    (void)!write(STDERR_FILENO, buf_text(&line), line.len);
    p->drawn = true;
    buf_release(&line);
    buf_release(&text);
    buf_release(&safe);
}

void progress_clear(struct progress *p)
{
    if (p->drawn)
        (void)!write(STDERR_FILENO, "\r\033[K", 4);
    p->drawn = false;
}
