/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can stand at the end of a command line that is being typed, from the verb table. The scripts
 * of the shells (share/completions) ask with "vmlan --complete -- WORD…", where the last word is
 * the one that is typed, "" at first.
 *
 * Printed are words, one a line, with a help text behind a tab; or one line for the shell to do the
 * rest: ":files", or ":command N", where a command of its own begins at WORD number N (from 0).
 */
#pragma once

void completion_print(int count, char **words);
