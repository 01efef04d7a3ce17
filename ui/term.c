/* SPDX-License-Identifier: MIT
 *
 * The terminal through ncurses: see term.h.
 *
 * Widths: curses advances by wcwidth(), whose table in the C library is old, so this
 * file defines wcwidth() for the whole program from termtext's widths. A grapheme
 * cluster that curses cannot hold in one cell, or that terminals draw in different
 * widths, is shown by a part of it whose width is certain: columns never shift.
 */
#include "config.h"

#include "ui/term.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>
#include <utf8proc.h>
#include <wchar.h>

#include "src/base/buf.h"
#include "src/base/mem.h"
#include "src/base/termtext.h"
#include "src/base/utf8.h"

/* Two texts that terminals draw in different widths, and the question where the cursor
 * is after each: on row 2 a woman of medium skin at a computer (one emoji of two cells,
 * or several), on row 3 a consonant with a spacing vowel (one cell, or two). */
static const char probe[] =
    "\0337\033[2;1H"
    "\xF0\x9F\x91\xA9\xF0\x9F\x8F\xBD\xE2\x80\x8D\xF0\x9F\x92\xBB"
    "\033[6n\033[2;1H\033[K\033[3;1H"
    "\xE0\xA4\xA8\xE0\xA4\xBF"
    "\033[6n\033[3;1H\033[K\0338";
static const char paste_on[] = "\033[?2004h";
static const char paste_off[] = "\033[?2004l";

enum { ZERO_WIDTH_JOINER = 0x200D, EMOJI_PRESENTATION = 0xFE0F };

/* What xterm and tmux take at once. */
enum { MAX_COPY_BYTES = 74 * 1024 };

/* What a signal handler needs to give the terminal back: written before `armed` is set,
 * read only while it is. The one state that cannot hang off a struct: handlers have no
 * argument. */
static struct {
    volatile sig_atomic_t armed;
    struct termios saved;
    char bytes[256];
    size_t len;
} restore;

struct terminal {
    SCREEN *screen;
    enum theme theme;
    struct cell *shown; /* [rows][cols] as last sent, owned */
    size_t shown_cap;
    int rows, cols;
    bool is_stale;    /* everything is to be sent */
    int n_asked;      /* probes without an answer yet */
    bool joins_emoji; /* joined emoji take two cells here */
    bool joins_marks; /* a spacing mark shares the cell of its base here */
};

/* Overrides the C library's, for curses too. */
int wcwidth(wchar_t c)
{
    if (c < 0 || (c != 0 && c < 0x20) || (c >= 0x7F && c < 0xA0))
        return -1;
    return termtext_char_width((uint32_t)c);
}

/* --- giving back --------------------------------------------------------------------
 */

void term_restore_now(void)
{
    int saved_errno = errno;

    if (restore.armed) {
        restore.armed = 0;
        if (write(STDOUT_FILENO, restore.bytes, restore.len) < 0) {
            /* The terminal is gone; there is nothing to give back. */
        }
        tcsetattr(STDIN_FILENO, TCSANOW, &restore.saved);
    }
    errno = saved_errno;
}

/* Adds a terminfo string without its padding marks ($<5>). */
static void add_capability(struct buf *out, const char *name)
{
    const char *s = tigetstr(name);

    if (s == NULL || s == (const char *)-1)
        return;
    while (*s != '\0') {
        const char *end = s[0] == '$' && s[1] == '<' ? strchr(s, '>') : NULL;

        if (end != NULL)
            s = end + 1;
        else
            buf_add_char(out, *s++);
    }
}

static void arm_restore(const struct termios *saved)
{
    struct buf bytes;

    restore.armed = 0;
    buf_init(&bytes, sizeof(restore.bytes));
    buf_add_text(&bytes, paste_off);
    add_capability(&bytes, "sgr0");
    add_capability(&bytes, "cnorm");
    add_capability(&bytes, "rmcup");
    buf_add_text(&bytes, "\r");
    memcpy(restore.bytes, buf_text(&bytes), bytes.len);
    restore.len = bytes.len;
    restore.saved = *saved;
    buf_release(&bytes);
    restore.armed = 1;
}

/* --- opening ------------------------------------------------------------------------
 */

static void send(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);

        if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
}

/* Characters go out as UTF-8 whatever the locale says: there is no other way to show
 * what models write. */
static void use_utf8(void)
{
    static const char *const names[] = {"C.UTF-8", "C.utf8", "en_US.UTF-8"};

    if (setlocale(LC_CTYPE, "") != NULL && strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (setlocale(LC_CTYPE, names[i]) != NULL)
            return;
}

static bool check_terminal(struct err *err)
{
    const char *name = getenv("TERM");
    int status;

    if (name == NULL || name[0] == '\0')
        return err_set(err, ERR_FAILED,
                       "no terminal type: TERM is not set; use 'hadal run'");
    if (setupterm(name, STDOUT_FILENO, &status) != OK)
        return err_set(err, ERR_FAILED,
                       "terminal type '%.40s' is not known here; set TERM, or use "
                       "'hadal run'",
                       name);
    if (tigetstr("cup") == NULL || tigetstr("clear") == NULL)
        return err_set(err, ERR_FAILED,
                       "terminal type '%.40s' cannot move its cursor; use 'hadal run'",
                       name);
    return true;
}

static void start_colours(struct terminal *t)
{
    if (t->theme == THEME_COLOUR && has_colors() && start_color() == OK) {
        use_default_colors();
        for (short i = 0; i < 8; i++)
            init_pair((short)(i + 1), i, -1);
    } else {
        t->theme = THEME_MONO;
    }
}

/* Sequences beyond terminfo are sent only where it describes a terminal of this kind.
 */
static bool is_ansi(void)
{
    const char *cup = tigetstr("cup");

    return cup != NULL && strncmp(cup, "\033[", 2) == 0;
}

struct terminal *term_open(enum theme theme, struct err *err)
{
    struct termios saved;
    struct terminal *t;

    use_utf8();
    if (!check_terminal(err))
        return NULL;
    if (tcgetattr(STDIN_FILENO, &saved) != 0) {
        err_set_errno(err, ERR_FAILED, errno, "cannot read the terminal's settings");
        return NULL;
    }
    t = mem_zalloc(sizeof(*t));
    t->theme = theme;
    t->is_stale = true;
    arm_restore(&saved);
    del_curterm(cur_term); /* of check_terminal; newterm makes its own */
    t->screen = newterm(NULL, stdout, stdin);
    if (t->screen == NULL) {
        term_restore_now();
        free(t);
        err_set(err, ERR_FAILED, "the terminal cannot be used; use 'hadal run'");
        return NULL;
    }
    start_colours(t);
    raw();
    noecho();
    nonl();
    typeahead(-1);
    refresh();
    if (is_ansi()) {
        send(probe, sizeof(probe) - 1);
        t->n_asked = 2;
        send(paste_on, sizeof(paste_on) - 1);
    }
    return t;
}

void term_close(struct terminal *t)
{
    if (t == NULL)
        return;
    if (is_ansi())
        send(paste_off, sizeof(paste_off) - 1);
    endwin();
    restore.armed = 0;
    if (t->n_asked > 0)
        tcflush(STDIN_FILENO, TCIFLUSH); /* the answers are not for the shell */
    tcsetattr(STDIN_FILENO, TCSANOW, &restore.saved);
    delscreen(t->screen);
    free(t->shown);
    free(t);
}

bool term_copy(struct terminal *t, const char *text, size_t len)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf out;

    (void)t;
    if (!is_ansi() || len > MAX_COPY_BYTES)
        return false;
    buf_init(&out, 2 * MAX_COPY_BYTES);
    buf_add_text(&out, "\033]52;c;");
    for (size_t i = 0; i < len; i += 3) {
        unsigned char b[3] = {0};
        size_t n = len - i < 3 ? len - i : 3;
        unsigned bits;

        memcpy(b, text + i, n);
        bits = (unsigned)b[0] << 16 | (unsigned)b[1] << 8 | b[2];
        for (size_t k = 0; k < 4; k++)
            buf_add_char(&out, k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=');
    }
    buf_add_text(&out, "\a");
    send(buf_text(&out), out.len);
    buf_release(&out);
    return true;
}

void term_suspend(struct terminal *t)
{
    (void)t;
    if (is_ansi())
        send(paste_off, sizeof(paste_off) - 1);
    endwin();
    restore.armed = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &restore.saved);
}

void term_resume(struct terminal *t)
{
    restore.armed = 1;
    reset_prog_mode();
    if (is_ansi())
        send(paste_on, sizeof(paste_on) - 1);
    term_forget(t);
}

/* --- input and size -----------------------------------------------------------------
 */

int term_fd(const struct terminal *t)
{
    (void)t;
    return STDIN_FILENO;
}

int term_read(struct terminal *t, char *out, size_t cap)
{
    struct pollfd p = {.fd = term_fd(t), .events = POLLIN};
    ssize_t n;

    if (poll(&p, 1, 0) <= 0)
        return 0;
    n = read(p.fd, out, cap);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    return n <= 0 ? -1 : (int)n;
}

void term_size(const struct terminal *t, int *rows, int *cols)
{
    struct winsize size;

    (void)t;
    *rows = 24;
    *cols = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 &&
        size.ws_col > 0) {
        *rows = size.ws_row > 1000 ? 1000 : size.ws_row;
        *cols = size.ws_col > 1000 ? 1000 : size.ws_col;
    }
}

void term_set_probe(struct terminal *t, int row, int col)
{
    if (row == 2)
        t->joins_emoji = col == 3;
    else if (row == 3)
        t->joins_marks = col == 2;
    t->n_asked--;
    term_forget(t);
}

/* --- output -------------------------------------------------------------------------
 */

void term_forget(struct terminal *t)
{
    t->is_stale = true;
}

static attr_t attributes(struct look look)
{
    attr_t a = A_NORMAL;

    a |= look.flags & LOOK_BOLD ? A_BOLD : 0;
    a |= look.flags & LOOK_DIM ? A_DIM : 0;
    a |= look.flags & LOOK_UNDERLINE ? A_UNDERLINE : 0;
    a |= look.flags & LOOK_REVERSE ? A_REVERSE : 0;
    a |= look.flags & LOOK_ITALIC ? A_ITALIC : 0;
    return a;
}

/* Characters of a cell's text, without those that ask for a presentation: terminals
 * differ in the width that they give them. */
static int decode_cell(const struct cell *cell, wchar_t out[CELL_TEXT_BYTES])
{
    size_t len = strlen(cell->text);
    int n = 0;

    for (size_t at = 0; at < len;) {
        uint32_t c;

        at += utf8_decode(cell->text + at, len - at, &c, NULL);
        if (c != EMOJI_PRESENTATION)
            out[n++] = (wchar_t)c;
    }
    return n;
}

static void put_wide(const struct terminal *t, int row, int col, const wchar_t *text,
                     int n, enum style style)
{
    struct look look = theme_look(t->theme, style);
    cchar_t cc;
    wchar_t w[CCHARW_MAX + 1] = {0};

    for (int i = 0; i < n && i < CCHARW_MAX; i++)
        w[i] = text[i];
    if (setcchar(&cc, w, attributes(look), (short)(look.colour + 1), NULL) != OK)
        return;
    /* setcchar stops at a second character that has a width, even where the terminal is
     * known to join them. */
    for (int i = 1; i < n && i < CCHARW_MAX; i++)
        cc.chars[i] = text[i];
    mvadd_wch(row, col, &cc);
}

/* Width of a character beside those before it in its cell. */
static int part_width(const struct terminal *t, wchar_t c)
{
    int width = wcwidth(c);

    if (width == 1 && t->joins_marks &&
        utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_MC)
        return 0;
    return width < 0 ? 0 : width;
}

/* Emoji that are joined: whole where that is known to work, else the first. */
static void put_joined(const struct terminal *t, int row, int col, const wchar_t *text,
                       int n, enum style style)
{
    if (n > CCHARW_MAX)
        n = CCHARW_MAX;
    while (n > 1 && text[n - 1] == ZERO_WIDTH_JOINER)
        n--;
    put_wide(t, row, col, text, t->joins_emoji ? n : 1, style);
}

/* Sends one cell. A cluster of several characters with a width that add up to its own
 * (Thai, Hindi, flags) is written as so many cells; what is left is blank. */
static void put_cell(const struct terminal *t, int row, int col,
                     const struct cell *cell)
{
    wchar_t text[CELL_TEXT_BYTES];
    int n = decode_cell(cell, text);
    int sum = 0;
    int done = 0;

    for (int i = 0; i < n; i++)
        sum += part_width(t, text[i]);
    if (sum > cell->width) {
        put_joined(t, row, col, text, n, (enum style)cell->style);
        return;
    }
    for (int at = 0, end; at < n; at = end) {
        int width = part_width(t, text[at]);

        for (end = at + 1; end < n && part_width(t, text[end]) == 0; end++)
            ;
        put_wide(t, row, col + done, text + at, end - at, (enum style)cell->style);
        done += width > 0 ? width : 1;
    }
    if (done < cell->width)
        put_wide(t, row, col + done, L" ", 1, (enum style)cell->style);
}

static void put_row(const struct terminal *t, const struct canvas *c, int row)
{
    move(row, 0);
    clrtoeol();
    for (int col = 0; col < c->cols; col++) {
        const struct cell *cell = canvas_at(c, row, col);

        if (cell->width > 0)
            put_cell(t, row, col, cell);
    }
}

static void fit(struct terminal *t, const struct canvas *c)
{
    size_t n = (size_t)c->rows * (size_t)c->cols;

    if (t->rows == c->rows && t->cols == c->cols && !t->is_stale)
        return;
    if (t->rows != c->rows || t->cols != c->cols || LINES != c->rows || COLS != c->cols)
        resizeterm(c->rows, c->cols);
    t->rows = c->rows;
    t->cols = c->cols;
    t->shown = mem_grow(t->shown, &t->shown_cap, n, sizeof(*t->shown));
    memset(t->shown, 0, n * sizeof(*t->shown));
    clearok(curscr, TRUE);
    erase();
    t->is_stale = false;
}

void term_show(struct terminal *t, const struct canvas *c)
{
    size_t row_bytes = (size_t)c->cols * sizeof(struct cell);

    fit(t, c);
    for (int row = 0; row < c->rows; row++) {
        struct cell *shown = &t->shown[(size_t)row * (size_t)c->cols];

        if (memcmp(shown, canvas_at(c, row, 0), row_bytes) == 0)
            continue;
        memcpy(shown, canvas_at(c, row, 0), row_bytes);
        put_row(t, c, row);
    }
    if (c->cursor_row >= 0)
        move(c->cursor_row, c->cursor_col);
    curs_set(c->cursor_row >= 0 ? 1 : 0);
    refresh();
}
