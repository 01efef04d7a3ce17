/* SPDX-License-Identifier: MIT
 *
 * The table of commands, and the dispatch: see command.h.
 */
#include "config.h"

#include "src/command.h"

#include <stdio.h>
#include <string.h>

#include "src/config_file.h"
#include "src/help.h"
#include "src/output.h"

enum {
    ANY = OPTIONS_HELP | OPTIONS_COMMON,
    DATA = ANY | OPTIONS_JSON,
};

/* clang-format off */
static const struct command bare = {
    "", "[COMMAND]", "chat on the terminal; where standard input or output is none: as 'hadal run'",
    NULL,
    DATA | OPTIONS_VERSION | OPTIONS_CHAT, 0, 0, cmd_bare,
};

static const struct command table[] = {
    {"run", "[PROMPT...]", "one answer on standard output",
     "The message is PROMPT, its words joined by one space, then the files of -f, then\n"
     "standard input where it is no terminal; a word '-' stands for standard input in\n"
     "place. Thinking goes to standard error where standard output is no terminal.",
     DATA | OPTIONS_CHAT | OPTIONS_RUN, 0, -1, cmd_run},
    {"pull", "MODEL", "download weights",
     "MODEL is org/repo (hadal picks what runs here, and says why), org/repo:QUANT,\n"
     "org/repo/file.gguf, or the https:// address of a .gguf file. What has come is kept\n"
     "when the transfer ends early: the same command goes on where it stood.",
     DATA | OPTIONS_PULL, 1, 1, cmd_pull},
    {"list", "", "list the models that are here", NULL, DATA, 0, 0, cmd_list},
    {"show", "[MODEL]", "what a model is", NULL, DATA, 0, 1, cmd_show},
    {"rm", "MODEL", "remove a model from the cache",
     "Removes the files of MODEL from the Hugging Face cache, and their bytes where no other\n"
     "file of the repository shares them.",
     ANY, 1, 1, cmd_rm},
    {"verify", "MODEL", "compare a model's bytes with their digest", NULL, ANY, 1, 1,
     cmd_verify},
    {"gc", "", "remove from the cache what nothing refers to",
     "Removes parts of transfers that ended early and bytes that no model's file leads to.",
     ANY | OPTIONS_GC, 0, 0, cmd_gc},
    {"search", "QUERY", "full-text search of past sessions",
     "Finds messages that hold every word of QUERY, newest first. \"a phrase\" and prefix*\n"
     "are understood; any other character is only text.",
     DATA | OPTIONS_SEARCH, 1, -1, cmd_search},
    {"log", "[SESSION]", "list sessions, or print one",
     "SESSION is an id, or its unique beginning.", DATA, 0, 1, cmd_log},
    {"export", "[SESSION...]", "write sessions to standard output",
     "All sessions, or those named, oldest first. json and jsonl hold all that is stored\n"
     "and can be imported again; md and html are for reading and leave thinking out.",
     ANY | OPTIONS_EXPORT, 0, -1, cmd_export},
    {"import", "FILE", "read sessions from a file",
     "FILE is an export of hadal (json, jsonl), a logs.db of llm, conversations.json of a\n"
     "ChatGPT export, or messages as OpenAI has them ({\"messages\": [...]}, also as JSON\n"
     "Lines). A session that is already here is left alone.",
     DATA, 1, 1, cmd_import},
    {"tokenize", "", "bytes of standard input to token ids", NULL,
     ANY | OPTIONS_TOKENIZE, 0, 0, cmd_tokenize},
    {"detokenize", "", "token ids of standard input to bytes", NULL, ANY, 0, 0,
     cmd_detokenize},
    {"render", "", "messages of standard input to the exact prompt text",
     "Standard input: {\"messages\": [{\"role\", \"content\", \"thinking\"}...],\n"
     "\"add_generation_prompt\": bool, \"thinking\": bool}.",
     DATA, 0, 0, cmd_render},
    {"logits", "", "logits after a prompt of token ids", NULL,
     DATA | OPTIONS_LOGITS, 0, 0, cmd_logits},
    {"perplexity", "[FILE]", "perplexity of a text", NULL, DATA | OPTIONS_PERPLEXITY, 0, 1,
     cmd_perplexity},
    {"bench", "", "speed of prefill and decode", NULL, DATA | OPTIONS_BENCH, 0, 0, cmd_bench},
    {"quantize", "IN OUT", "convert weights to another type",
     "Writes the weights of IN, a .gguf file or a name of 'hadal list', to the GGUF file OUT,\n"
     "which appears when it is complete. Types: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1,\n"
     "Q2_K, Q2_K_S, Q3_K_S, Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M, Q6_K, IQ4_NL,\n"
     "IQ4_XS. Q4_K_M is small and good; Q8_0 is nearly as good as the original.",
     ANY | OPTIONS_QUANTIZE, 2, 2, cmd_quantize},
    {"doctor", "", "what this build and machine can do", NULL, DATA | OPTIONS_DOCTOR, 0, 0,
     cmd_doctor},
    {"help", "[COMMAND]", "help about a command", NULL, ANY, 0, 1, cmd_help},
};
/* clang-format on */

const struct command *command_table(size_t *n)
{
    *n = sizeof(table) / sizeof(table[0]);
    return table;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const struct command *command_bare(void)
{
    return &bare;
}

static bool check_words(const struct options *opt, struct err *err)
{
    const struct command *command = opt->command;

    if (opt->words.n < (size_t)command->min_words)
        return err_set(err, ERR_USAGE, "%s: %s is missing; see 'hadal help %s'",
                       command->name, command->arguments, command->name);
    if (command->max_words >= 0 && opt->words.n > (size_t)command->max_words)
        return err_set(err, ERR_USAGE, "%s: surplus argument; see 'hadal %s%s--help'",
                       opt->words.item[command->max_words], command->name,
                       command == &bare ? "" : " ");
    return true;
}

static bool print_version(struct err *err)
{
    static const char text[] = "hadal " PACKAGE_VERSION " (" HADAL_COMMIT ")\n";

    return output_write(text, sizeof(text) - 1, err);
}

/* The options once more, over what the configuration says. */
static bool parse_over_config(struct options *opt, int argc, char **argv, int skip,
                              struct err *err)
{
    const struct command *command = opt->command;
    double started_at = opt->started_at;

    options_release(opt);
    options_init(opt);
    opt->command = command;
    opt->started_at = started_at;
    return config_file_load(opt, err) &&
           options_parse(opt, command->options, argc, argv, skip, err);
}

bool command_dispatch(struct options *opt, int argc, char **argv, struct err *err)
{
    int at = options_find_word(bare.options, argc, argv);

    opt->command = at < argc ? command_find(argv[at]) : &bare;
    if (opt->command == NULL)
        return err_set(err, ERR_USAGE, "%s: unknown command; see 'hadal help'",
                       argv[at]);
    if (!options_parse(opt, opt->command->options, argc, argv, at, err))
        return false;
    if (opt->help)
        return help_print(opt->command, err);
    if (opt->version)
        return print_version(err);
    if (!check_words(opt, err))
        return false;
    if (opt->command->run != cmd_help && opt->command->run != cmd_doctor &&
        !parse_over_config(opt, argc, argv, at, err))
        return false;
    return opt->command->run(opt, err);
}
