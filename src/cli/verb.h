/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line as tables: a verb is one entry that holds its arguments, options and help, and
 * everything else (parsing, usage errors, --help, the manual page) is made from it.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"

struct cli;

struct verb_option {
    const char *name;     /* long; NULL ends the table */
    char letter;          /* short form, 0: none */
    const char *argument; /* name of its argument, NULL: takes none */
    const char *help;
};

struct verb {
    const char *name;
    const char *arguments;             /* as in the usage line, without options */
    const char *summary;               /* one line */
    const char *text;                  /* paragraphs for --help and the manual; may be NULL */
    const struct verb_option *options; /* may be NULL */
    int arguments_min, arguments_max;  /* before "--"; max -1: any number */
    bool command;                      /* takes "-- CMD …" */
    bool command_bare;                 /* … behind its only argument also without the "--" */
    int (*run)(struct cli *cli);       /* exit status */
};

/* What was typed. */
struct cli {
    const struct verb *verb;
    const char *config; /* --config */
    bool json;          /* --json */
    char **arguments;   /* before "--" */
    int argument_count;
    char **command; /* behind "--", NULL-terminated; NULL: none */
    struct cli_value {
        const struct verb_option *option;
        const char *value; /* "" for an option without argument */
    } values[64];
    int value_count;
};

extern const struct verb *const verbs[]; /* NULL-terminated; main.c */
extern const struct verb_option verb_globals[];

/* Runs the verb in argv; exit status. */
int cli_main(int argc, char **argv);

/* The value given for an option, the last if it was repeated; NULL: not given. */
const char *cli_option(const struct cli *cli, const char *name);

/* Prints "vmlan VERB: message" and returns 1, the status of a failure. */
int cli_fail(const struct cli *cli, const struct error *error);
int cli_fail_text(const struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* help.c */
void help_print(void);
void help_print_verb(const struct verb *verb);
void help_print_usage(const struct verb *verb, char *text, size_t size);
void help_print_manual(void);
