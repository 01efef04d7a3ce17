/* SPDX-License-Identifier: MIT
 *
 * Words: how text is cut for the search index and how a query is cut to meet it.
 *
 * - Letters and digits of any script make words; case, width (full and half), ligatures
 *   and the accents of alphabetic scripts are folded away: Élan, ELAN and elan are one.
 * - Scripts written without spaces (Chinese, Japanese, Korean, Thai, Lao, Khmer,
 * Burmese) are cut into overlapping pairs of characters, and the last character of a
 * run alone: A B C gives AB BC C. A run in a query is the same pairs in order, so that
 * any part of a text is found; a single character is asked for as the beginning of a
 * pair.
 * - '_' and everything else separates, so that a part of snake_case is found, and all
 * of it as a phrase. camelCase counts as one word, and in a text its parts are found
 * too.
 * - Pictures (emoji) are words of one character.
 *
 * The version number is in the tokenizer's name, which the schema holds: a change of
 * any rule above is a new name and a migration that builds the index again.
 */
#ifndef HADAL_HISTORY_WORDS_H
#define HADAL_HISTORY_WORDS_H

#include <sqlite3.h>
#include <stdbool.h>

#include "history/db.h"
#include "src/base/err.h"

#define WORDS_TOKENIZER "hadal1"

enum words_use { WORDS_OF_TEXT, WORDS_OF_QUERY };

/* One word: folded UTF-8, and the bytes start..end of the text that it comes from.
 * flags: FTS5_TOKEN_COLOCATED for a part of the word before it, or 0. A result other
 * than SQLITE_OK ends the cutting and is returned. */
typedef int (*words_fn)(void *ctx, int flags, const char *word, int len, int start,
                        int end);

int words_cut(const char *text, int len, enum words_use use, words_fn fn, void *ctx);

/* What a query's phrase comes to: how many words it has, and whether its end must be
 * asked for as the beginning of a word (a single character of a script without spaces).
 */
struct words_shape {
    int n_words;
    bool open_end;
};
struct words_shape words_of_phrase(const char *text, int len);

/* Makes the tokenizer known to this connection. */
bool words_register(struct db *db, fts5_api *fts5, struct err *err) MUST_USE;

#endif
