/* SPDX-License-Identifier: Apache-2.0 */
/* See verb.h: takes a command line apart by the tables and runs its verb. */
#include "cli/verb.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/own.h"
#include "config/check.h"
#include "made/version.h"

enum { USAGE = 2, OPTIONS_MAX = 32, VERBS_MAX = 32 };

#define LOG_FORMATS "text or json"
#define LOG_LEVELS  "trace, debug, info, warn or error"

const struct verb_option verb_globals[] = {
    {"config", 0, "FILE", "read networks from FILE"},
    {"debug", 0, NULL, "the same as --log-level debug"},
    {"log-format", 0, "FORMAT", LOG_FORMATS},
    {"log-level", 0, "LEVEL", LOG_LEVELS},
    {"json", 0, NULL, "print JSON"},
    {"version", 0, NULL, "print the version"},
    {"help", 'h', NULL, "print help"},
    {0},
};

const char *cli_option(const struct cli *cli, const char *name)
{
    for (int i = cli->value_count; i-- > 0;)
        if (strcmp(cli->values[i].option->name, name) == 0)
            return cli->values[i].value;
    return NULL;
}

int cli_fail_text(const struct cli *cli, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "vmlan%s%s: ", cli->verb ? " " : "", cli->verb ? cli->verb->name : "");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return 1;
}

int cli_fail(const struct cli *cli, const struct error *error)
{
    char text[ERROR_TEXT_SIZE];

    return cli_fail_text(cli, "%s", error_text(error, text, sizeof(text)));
}

static int usage_fail(const struct cli *cli, const char *what, const char *value)
{
    char usage[256];

    if (cli->verb)
        help_print_usage(cli->verb, usage, sizeof(usage));
    else
        snprintf(usage, sizeof(usage), "vmlan VERB …; vmlan --help lists the verbs");
    cli_fail_text(cli, "%s%s; usage: %s", what, value, usage);
    return USAGE;
}

/* The options that count here, as getopt_long(3) wants them; val is the index + 1. */
struct parser {
    const struct verb_option *known[OPTIONS_MAX];
    struct option longs[OPTIONS_MAX + 1];
    char shorts[2 * OPTIONS_MAX + 3];
    int count;
};

static void parser_add(struct parser *parser, const struct verb_option *options)
{
    for (; options && options->name && parser->count < OPTIONS_MAX; options++) {
        int index = parser->count++;

        parser->known[index] = options;
        parser->longs[index] = (struct option){
            options->name, options->argument ? required_argument : no_argument, NULL, 256 + index};
        if (!options->letter)
            continue;
        strncat(parser->shorts, &options->letter, 1);
        if (options->argument)
            strcat(parser->shorts, ":");
    }
}

static const struct verb_option *parser_option(const struct parser *parser, int code)
{
    if (code >= 256)
        return parser->known[code - 256];
    for (int i = 0; i < parser->count; i++)
        if (parser->known[i]->letter == code)
            return parser->known[i];
    return NULL;
}

/* The option that getopt_long(3) stumbled over, as it was written. One letter of several behind a
 * dash has no word of its own. */
static const char *option_written(char **argv, char letter[3])
{
    if (optopt <= 0 || optopt >= 256)
        return argv[optind - 1];
    snprintf(letter, 3, "-%c", optopt);
    return letter;
}

/* Parses options among argv up to the first argument ('+') or everywhere; optind is then at the
 * first argument. */
static int options_parse(struct cli *cli, const struct verb_option *own, bool stop, int argc,
                         char **argv)
{
    struct parser parser = {.shorts = ""};
    char letter[3];
    int code;

    strcpy(parser.shorts, stop ? "+:" : ":");
    parser_add(&parser, verb_globals);
    parser_add(&parser, own);
    optind = 0;
    opterr = 0;
    while ((code = getopt_long(argc, argv, parser.shorts, parser.longs, NULL)) != -1) {
        const struct verb_option *option = parser_option(&parser, code);

        if (code == ':')
            return usage_fail(cli, "an argument is missing after ", option_written(argv, letter));
        if (!option)
            return usage_fail(cli, "unknown option ", option_written(argv, letter));
        if (cli->value_count == ARRAY_SIZE(cli->values))
            return usage_fail(cli, "too many options", "");
        cli->values[cli->value_count++] = (struct cli_value){option, optarg ? optarg : ""};
    }
    return 0;
}

static int value_fail(const struct cli *cli, const char *what, const char *value,
                      const char *values)
{
    cli_fail_text(cli, "unknown %s %s; use %s", what, value, values);
    return USAGE;
}

static int globals_apply(struct cli *cli)
{
    const char *level_text = cli_option(cli, "log-level"),
               *format_text = cli_option(cli, "log-format");
    enum log_level level = cli_option(cli, "debug") ? LOG_DEBUG : LOG_INFO;
    enum log_format format = LOG_TEXT;

    if (level_text && !log_level_parse(level_text, &level))
        return value_fail(cli, "log level", level_text, LOG_LEVELS);
    if (format_text && !log_format_parse(format_text, &format))
        return value_fail(cli, "log format", format_text, LOG_FORMATS);
    log_init("vmlan", level, format);
    cli->config = cli_option(cli, "config");
    cli->json = cli_option(cli, "json");
    return 0;
}

static int verb_unknown(const struct cli *cli, const char *name)
{
    const char *names[VERBS_MAX], *nearest;
    size_t count = 0;

    for (; verbs[count] && count < VERBS_MAX; count++)
        names[count] = verbs[count]->name;
    nearest = check_nearest(name, names, sizeof(names[0]), count);
    if (!nearest)
        return usage_fail(cli, "unknown verb ", name);
    cli_fail_text(cli, "unknown verb %s; did you mean %s? vmlan --help lists the verbs", name,
                  nearest);
    return USAGE;
}

static const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; verbs[i]; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

/* What stands behind the first "--" is the command, and its options are not ours. Of some verbs it
 * is also what stands behind the argument: VERB ARGUMENT CMD …. */
static void command_split(struct cli *cli, int *argc, char **argv)
{
    if (cli->verb->command_bare && *argc > 2 && argv[1][0] != '-' && argv[2][0] != '-') {
        cli->command = argv + 2;
        *argc = 2;
        return;
    }
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        cli->command = argv + i + 1;
        argv[i] = NULL;
        *argc = i;
        return;
    }
}

/* Says which word of "NET add|rm|ls" it is. */
static int missing_fail(const struct cli *cli)
{
    const char *word = cli->verb->arguments;
    char name[64];

    for (int i = 0; i < cli->argument_count; i++)
        word += strcspn(word, " ") + 1;
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, " …"), word);
    return usage_fail(cli, name, " is missing");
}

static int arguments_check(const struct cli *cli)
{
    const struct verb *verb = cli->verb;

    if (cli->argument_count < verb->arguments_min)
        return missing_fail(cli);
    if (verb->arguments_max >= 0 && cli->argument_count > verb->arguments_max)
        return usage_fail(cli, "unexpected argument ", cli->arguments[verb->arguments_max]);
    if (verb->command && (!cli->command || !cli->command[0]))
        return usage_fail(cli, "the command to run is missing: write it behind --", "");
    if (!verb->command && cli->command)
        return usage_fail(cli, "takes no command behind --", "");
    return 0;
}

/* An answer that did not get out is none. */
static int output_end(const struct cli *cli, int status)
{
    int error = fflush(stdout) == 0 ? 0 : errno;

    if (!error && !ferror(stdout))
        return status;
    return cli_fail_text(cli, "cannot write to standard output: %s",
                         error ? strerror(error) : "what was printed before got lost");
}

static int verb_run(struct cli *cli, int argc, char **argv)
{
    int r;

    command_split(cli, &argc, argv);
    r = options_parse(cli, cli->verb->options, false, argc, argv);
    if (r == 0)
        r = globals_apply(cli);
    if (r != 0)
        return r;
    if (cli_option(cli, "help")) {
        help_print_verb(cli->verb);
        return 0;
    }
    cli->arguments = argv + optind;
    cli->argument_count = argc - optind;
    r = arguments_check(cli);
    return r != 0 ? r : cli->verb->run(cli);
}

static int help_asked(struct cli *cli, int argc, char **argv)
{
    const struct verb *verb = argc > 0 ? verb_find(argv[0]) : NULL;

    if (argc > 0 && !verb)
        return verb_unknown(cli, argv[0]);
    if (verb)
        help_print_verb(verb);
    else
        help_print();
    return 0;
}

static int words_run(struct cli *cli, int argc, char **argv)
{
    int r = options_parse(cli, NULL, true, argc, argv);
    int at = optind;

    if (r != 0)
        return r;
    if (cli_option(cli, "version")) {
        puts("vmlan " VMLAN_VERSION);
        return 0;
    }
    if (at >= argc && !cli_option(cli, "help"))
        return usage_fail(cli, "no verb", "");
    if (at >= argc)
        return help_asked(cli, 0, NULL);
    if (strcmp(argv[at], "help") == 0) /* vmlan help VERB is vmlan VERB --help */
        return help_asked(cli, argc - at - 1, argv + at + 1);
    cli->verb = verb_find(argv[at]);
    if (!cli->verb)
        return verb_unknown(cli, argv[at]);
    return verb_run(cli, argc - at, argv + at);
}

int cli_main(int argc, char **argv)
{
    struct cli cli = {0};

    return output_end(&cli, words_run(&cli, argc, argv));
}
