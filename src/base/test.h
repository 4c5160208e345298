/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests: a program with a table of named functions that speaks TAP
 * (https://testanything.org). A failed CHECK ends its test function and is reported with its place;
 * the other functions still run.
 */
#pragma once

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

static jmp_buf test_failed;

struct test {
    const char *title;
    void (*run)(void);
};

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            longjmp(test_failed, 1);                                           \
        }                                                                      \
    } while (0)

#define CHECK_TEXT(actual, expected)                                                              \
    do {                                                                                          \
        const char *check_a = (actual), *check_e = (expected);                                    \
        if (strcmp(check_a, check_e) != 0) {                                                      \
            printf("# %s:%d: %s\n#   is       \"%s\"\n#   expected \"%s\"\n", __FILE__, __LINE__, \
                   #actual, check_a, check_e);                                                    \
            longjmp(test_failed, 1);                                                              \
        }                                                                                         \
    } while (0)

#define CHECK_INT(actual, expected)                                                              \
    do {                                                                                         \
        long long check_a = (long long)(actual), check_e = (long long)(expected);                \
        if (check_a != check_e) {                                                                \
            printf("# %s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #actual, check_a, \
                   check_e);                                                                     \
            longjmp(test_failed, 1);                                                             \
        }                                                                                        \
    } while (0)

static inline int test_main(const struct test *tests, size_t count)
{
    volatile int failed = 0; /* gcc: "might be clobbered by longjmp" */

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        if (setjmp(test_failed) == 0) {
            tests[i].run();
            printf("ok %zu - %s\n", i + 1, tests[i].title);
        } else {
            printf("not ok %zu - %s\n", i + 1, tests[i].title);
            failed = 1;
        }
    }
    return failed;
}

/* In a unit test: static const struct test tests[] = {...}; TEST_MAIN(tests) */
#define TEST_MAIN(tests)                                             \
    int main(void)                                                   \
    {                                                                \
        return test_main(tests, sizeof(tests) / sizeof((tests)[0])); \
    }
