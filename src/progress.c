/* SPDX-License-Identifier: MIT
 *
 * The progress bar: see progress.h.
 */
#include "config.h"

#include "src/progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/base/buf.h"
#include "src/base/clock.h"
#include "src/base/termtext.h"
#include "src/human.h"

enum { WIDTH_UNKNOWN = 80, LINE_MAX_BYTES = 4096, BAR_CELLS = 20, NAME_CELLS = 32 };

static const double redraw_s = 0.1;

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
    double rate = rate_note(&p->rate, now, fetched);
    char left[32];
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
    } else if (human_time_left(rate, all_size - all_done, left)) {
        buf_addf(&text, "  %s left", left);
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
