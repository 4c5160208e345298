/* SPDX-License-Identifier: Apache-2.0 */
/* See completion.h. */
#include "cli/completion.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/paths.h"
#include "cli/verb.h"
#include "config/networks.h"

/* The line as far as it has been typed. */
struct line {
    const char *typed;                /* the word that is to be completed */
    const struct verb *verb;          /* NULL: not there yet */
    const struct verb_option *option; /* typed is its argument; NULL: it is not */
    int arguments;                    /* of the verb, before typed */
    int command;                      /* where the command behind -- begins; -1: not there */
};

static void word_print(const struct line *line, const char *word, const char *help)
{
    if (strncmp(word, line->typed, strlen(line->typed)) == 0)
        printf("%s%s%s\n", word, help ? "\t" : "", help ? help : "");
}

/* "a|b|c" or "a, b or c": each of the words. */
static void words_print(const struct line *line, const char *text)
{
    char word[64];

    while (*text) {
        size_t length = strcspn(text, "|, ");

        snprintf(word, sizeof(word), "%.*s", (int)length, text);
        if (length && strcmp(word, "or") != 0)
            word_print(line, word, NULL);
        text += length + (text[length] != '\0');
    }
}

/* --- networks: those of the configuration, and those that run --- */

static void networks_running(json_t *names)
{
    char path[PATHS_MAX + 8];
    struct dirent *entry;
    OWN(dir) DIR *dir = NULL;

    if (paths_runtime(path, NULL) < 0)
        return;
    strcat(path, "/net");
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            json_object_set_new(names, entry->d_name, json_null());
}

static void networks_print(const struct line *line)
{
    OWN(networks) struct networks networks = {0};
    OWN(faults) struct faults faults = {0};
    OWN(json) json_t *names = json_object();
    const char *name;
    json_t *value;

    if (networks_load(NULL, &networks, &faults) >= 0)
        json_object_update(names, networks.vmnet);
    networks_running(names);
    json_object_foreach(names, name, value)
        word_print(line, name, NULL);
}

/* What a place in a usage line stands for: "NET", "FILE", "add|rm|ls", with or without [ ] and ….
 */
static void place_print(const struct line *line, const char *place)
{
    place += *place == '[';
    if (strncmp(place, "NET", 3) == 0)
        networks_print(line);
    else if (strncmp(place, "FILE", 4) == 0)
        puts(":files");
    else if (strchr(place, '|'))
        words_print(line, place);
}

/* --- options --- */

static const struct verb_option *option_in(const struct verb_option *options, const char *word)
{
    for (; options && options->name; options++) {
        bool letter = options->letter && word[1] == options->letter && word[2] == '\0';

        if (letter || (word[1] == '-' && strcmp(word + 2, options->name) == 0))
            return options;
    }
    return NULL;
}

static const struct verb_option *option_find(const struct verb *verb, const char *word)
{
    const struct verb_option *option = option_in(verb_globals, word);

    return option || !verb ? option : option_in(verb->options, word);
}

static void options_print(const struct line *line, const struct verb_option *options)
{
    char word[64];

    for (; options && options->name; options++) {
        snprintf(word, sizeof(word), "--%s", options->name);
        word_print(line, word, options->help);
    }
}

/* The help of an option with a few possible words is the list of these: "text or json". */
static void option_argument_print(const struct line *line)
{
    const struct verb_option *option = line->option;

    if (strcmp(option->argument, "FORMAT") == 0 || strcmp(option->argument, "LEVEL") == 0)
        words_print(line, option->help);
    else
        place_print(line, option->argument);
}

/* --- the line --- */

static void line_word(struct line *line, int at, const char *word)
{
    if (line->option) {
        line->option = NULL;
    } else if (strcmp(word, "--") == 0) {
        line->command = at + 1;
    } else if (word[0] == '-' && word[1]) {
        line->option = option_find(line->verb, word);
        if (line->option && !line->option->argument)
            line->option = NULL;
    } else if (line->verb) {
        line->arguments++;
    } else {
        for (size_t i = 0; verbs[i] && !line->verb; i++)
            if (strcmp(verbs[i]->name, word) == 0)
                line->verb = verbs[i];
    }
}

static void argument_print(const struct line *line)
{
    const char *place = line->verb->arguments, *next;
    char word[64];
    bool repeats;

    for (int i = 0; i < line->arguments; i++) {
        next = strchr(place, ' ');
        repeats = strstr(place, "…") != NULL;
        if (!next && !repeats)
            return;
        place = next ? next + 1 : place;
    }
    snprintf(word, sizeof(word), "%.*s", (int)strcspn(place, " "), place);
    place_print(line, word);
}

static void line_print(const struct line *line)
{
    if (line->option) {
        option_argument_print(line);
        return;
    }
    if (line->typed[0] == '-') {
        options_print(line, verb_globals);
        options_print(line, line->verb ? line->verb->options : NULL);
        return;
    }
    if (line->verb) {
        argument_print(line);
        return;
    }
    for (size_t i = 0; verbs[i]; i++)
        word_print(line, verbs[i]->name, verbs[i]->summary);
}

void completion_print(int count, char **words)
{
    struct line line = {.typed = count > 0 ? words[count - 1] : "", .command = -1};

    for (int i = 0; i < count - 1 && line.command < 0; i++)
        line_word(&line, i, words[i]);
    if (line.command >= 0)
        printf(":command %d\n", line.command);
    else
        line_print(&line);
}
