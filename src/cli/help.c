/* SPDX-License-Identifier: Apache-2.0 */
/* --help and the manual page, from the tables of verb.h. */
#include <stdio.h>
#include <string.h>

#include "cli/verb.h"

enum { HELP_WIDTH = 80, VERB_COLUMN = 13, OPTION_COLUMN = 29 };

static void option_head(const struct verb_option *option, char *text, size_t size)
{
    char letter[8] = "";

    if (option->letter)
        snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    snprintf(text, size, "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
}

/* Columns of a terminal, of UTF-8 text without wide characters. */
static size_t columns(const char *text, size_t size)
{
    size_t count = 0;

    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* Prints words in lines of HELP_WIDTH, from column at on; all lines but the first are indented. */
static void words_print(const char *text, size_t at, size_t indent)
{
    size_t start = at;

    while (*text) {
        size_t size = strcspn(text, " \n"), wide = columns(text, size);

        if (at > start && at + 1 + wide > HELP_WIDTH) {
            printf("\n%*s", (int)indent, "");
            start = at = indent;
        }
        at += (at > start) + wide;
        printf("%s%.*s", at > start + wide ? " " : "", (int)size, text);
        text += size;
        if (*text == '\n') {
            putchar('\n');
            start = at = 0;
        }
        text += *text != '\0';
    }
    putchar('\n');
}

static void row_print(const char *head, size_t column, const char *help)
{
    size_t at = 2 + columns(head, strlen(head));
    int gap = at + 1 < column ? (int)(column - at) : 1;

    printf("  %s%*s", head, gap, "");
    words_print(help, at + (size_t)gap, column);
}

static void options_print(const struct verb_option *options)
{
    char head[64];

    for (; options && options->name; options++) {
        option_head(options, head, sizeof(head));
        row_print(head, OPTION_COLUMN, options->help);
    }
}

void help_print_usage(const struct verb *verb, char *text, size_t size)
{
    snprintf(text, size, "vmlan %s%s%s%s%s", verb->name, verb->options ? " [options]" : "",
             verb->arguments[0] ? " " : "", verb->arguments, verb->command ? " -- CMD …" : "");
}

void help_print(void)
{
    puts("vmlan: named local networks for virtual machines, without root\n\nverbs:");
    for (size_t i = 0; verbs[i]; i++)
        row_print(verbs[i]->name, VERB_COLUMN, verbs[i]->summary);
    puts("\noptions of every verb:");
    options_print(verb_globals);
    puts("\nvmlan VERB --help says more of each.");
}

void help_print_verb(const struct verb *verb)
{
    char usage[256];

    help_print_usage(verb, usage, sizeof(usage));
    printf("usage: %s\n\n%s\n", usage, verb->summary);
    if (verb->text) {
        putchar('\n');
        words_print(verb->text, 0, 0);
    }
    if (verb->options) {
        puts("\noptions:");
        options_print(verb->options);
    }
    puts("\noptions of every verb:");
    options_print(verb_globals);
}

/* scdoc(5) marks with these; in a table's plain text they are only characters. */
static void manual_text(const char *text)
{
    for (; *text; text++) {
        if (strchr("*_\\#[]<>", *text))
            putchar('\\');
        putchar(*text);
    }
}

static void manual_options(const struct verb_option *options)
{
    char head[64];

    for (; options && options->name; options++) {
        option_head(options, head, sizeof(head));
        fputs("*", stdout);
        manual_text(head);
        fputs("*\n\t", stdout);
        manual_text(options->help);
        fputs("\n\n", stdout);
    }
}

static void manual_verb(const struct verb *verb)
{
    char usage[256];

    help_print_usage(verb, usage, sizeof(usage));
    printf("## vmlan %s\n\n", verb->name);
    manual_text(usage);
    fputs("\n\n", stdout);
    manual_text(verb->text ? verb->text : verb->summary);
    fputs("\n\n", stdout);
    manual_options(verb->options);
}

void help_print_manual(void)
{
    puts("vmlan(1)\n\n# NAME\n\nvmlan - named local networks for virtual machines, without root\n"
         "\n# SYNOPSIS\n\n*vmlan* \\[options\\] VERB ...\n\n# OPTIONS\n");
    manual_options(verb_globals);
    puts("# VERBS\n");
    for (size_t i = 0; verbs[i]; i++)
        manual_verb(verbs[i]);
    puts("# ENVIRONMENT\n\n*VMLAN_CONFIG*\n\tThe file of networks, as --config.\n\n"
         "*VMLAN_RUNTIME_DIR*, *VMLAN_STATE_DIR*\n\tDirectories for sockets and for what is kept "
         "(leases, chosen subnets, the log), instead of the usual ones.\n\n"
         "*VMLAN_DNSMASQ*, *VMLAN_SYSTEMCTL*\n\tThe dnsmasq and the systemctl to run.\n\n"
         "# FILES\n\n_$XDG_CONFIG_HOME/vmlan/networks.yaml_, root: _/etc/vmlan/networks.yaml_\n"
         "\tThe networks. Without it, the vmnet section of Lima's networks.yaml; without that, "
         "the networks shared and host.\n\n"
         "_$XDG_RUNTIME_DIR/vmlan/broker.sock_, root: _/run/vmlan/broker.sock_\n"
         "\tWhere the broker answers.\n\n"
         "_$XDG_STATE_HOME/vmlan/log_, root: _/var/lib/vmlan/log_\n"
         "\tWhat the broker and the holders of networks have to say.\n\n"
         "# SEE ALSO\n\n*libvmlan*(3), *limactl-vmlan*(1), *limactl-vmnet*(1)");
}
