// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink run --memory N inside a memory cgroup whose limit is N: the kernel itself sees to it
 * that no more is taken, and ends who tries. Skipped where no group can be made.
 */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/memory_group.h"

#define MIB (UINT64_C(1) << 20)
#define MAX_ARGUMENTS 32

static const char *program, *model;

/* What a process printed and how it ended. */
struct outcome {
	int status; /* of wait(2) */
	char *output; /* stdout and stderr */
};

struct limit {
	uint64_t bytes;
	struct memory_group group;
};

static void child(const struct limit *limit, int output, const char *const *arguments)
{
	const char *argv[MAX_ARGUMENTS] = {
		program, "run", model, "-p", "And it came to pass in those days", "-n", "24",
		"--ignore-eos", "--json",
	};
	size_t n = 9;

	for (; *arguments; arguments++)
		argv[n++] = *arguments;
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	if (!limit || memory_group_enter(&limit->group, NULL) == 0)
		execv(program, (char *const *)argv);
	_exit(99);
}

/* `arguments` ends with NULL; `limit` may be NULL. */
static struct outcome run(const struct limit *limit, const char *const *arguments)
{
	char *folder = make_folder(), *path = path_in(folder, "output");
	int output = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	struct outcome outcome;
	size_t length;
	pid_t pid;

	assert_true(output >= 0);
	pid = fork();
	if (pid == 0)
		child(limit, output, arguments);
	assert_int_equal(waitpid(pid, &outcome.status, 0), pid);
	close(output);
	outcome.output = file_contents(path, &length);
	free(path);
	remove_folder(folder);
	return outcome;
}

static json_t *report_of(const struct outcome *outcome)
{
	json_t *report = json_loads(outcome->output, 0, NULL);

	if (outcome->status || !report)
		fail_msg("status 0x%x: %s", (unsigned int)outcome->status, outcome->output);
	return report;
}

static uint64_t least_budget(const char *source)
{
	const char *const arguments[] = { "--io", source, "--memory", "1", NULL };
	struct outcome outcome = run(NULL, arguments);
	const char *at = strstr(outcome.output, "at least ");
	uint64_t least;

	if (!at)
		fail_msg("no least budget in: %s", outcome.output);
	least = strtoull(at + strlen("at least "), NULL, 10);
	free(outcome.output);
	return least;
}

static struct limit limit_of(uint64_t bytes)
{
	/* In whole pages, as the kernel counts. */
	struct limit limit = { .bytes = bytes / 4096 * 4096 };
	struct error err;

	if (memory_group_create(&MEMORY_CONTROLLER_SOURCES, limit.bytes, &limit.group, &err) < 0) {
		print_message("# skipped: %s\n", err.message);
		skip();
	}
	return limit;
}

static void assert_same_tokens(const json_t *report, const char *source)
{
	const char *const arguments[] = { "--io", source, NULL };
	struct outcome outcome = run(NULL, arguments);
	json_t *free_report = report_of(&outcome);

	assert_true(json_equal(json_object_get(report, "tokens"),
			       json_object_get(free_report, "tokens")));
	json_decref(free_report);
	free(outcome.output);
}

static void runs_within(const char *source, bool dense, uint64_t budget)
{
	struct limit limit = limit_of(budget);
	char text[24];
	const char *const arguments[] = {
		"--io", source, "--memory", text, dense ? "--dense" : NULL, NULL,
	};
	struct outcome outcome;
	json_t *report, *peak;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)budget);
	outcome = run(&limit, arguments);
	memory_group_remove(&limit.group);
	report = report_of(&outcome);
	peak = json_object_get(json_object_get(report, "memory"), "peak_bytes");
	assert_in_range(json_integer_value(peak), 8 * MIB, budget);
	if (!dense)
		assert_same_tokens(report, source);
	json_decref(report);
	free(outcome.output);
}

static void every_budget(const char *source)
{
	static const uint64_t more[] = { 4096, MIB, 4 * MIB, 12 * MIB };
	const char *const arguments[] = { "--io", source, NULL };
	struct outcome outcome = run(NULL, arguments);
	bool there = outcome.status == 0;
	uint64_t least;

	free(outcome.output);
	if (!there) {
		print_message("# skipped: %s is not to be had here\n", source);
		skip();
	}
	least = least_budget(source);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		for (int dense = 0; dense < 2; dense++)
			runs_within(source, dense, least + more[i]);
}

static void uring_within_a_group(void **state)
{
	(void)state;
	every_budget("uring");
}

/* Its reads fill the page cache, which the kernel takes back when the group is full. */
static void pread_within_a_group(void **state)
{
	(void)state;
	every_budget("pread");
}

/* The group does limit: who has no budget, and keeps all bundles, is ended by the kernel. */
static void without_a_budget_it_is_ended(void **state)
{
	static const char *const arguments[] = { "--dense", "--cache-ratio", "1", NULL };
	struct limit limit = limit_of(16 * MIB);
	struct outcome outcome;

	(void)state;
	outcome = run(&limit, arguments);
	memory_group_remove(&limit.group);
	assert_true(WIFSIGNALED(outcome.status));
	assert_int_equal(WTERMSIG(outcome.status), 9);
	free(outcome.output);
}

static int set_up(void **state)
{
	static char path[4096];

	(void)state;
	program = getenv("COLINK");
	if (!program || !getenv("COLINK_BUILD"))
		return -1;
	snprintf(path, sizeof(path), "%s/demo/linked.gguf", getenv("COLINK_BUILD"));
	model = path;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pread_within_a_group),
		cmocka_unit_test(uring_within_a_group),
		cmocka_unit_test(without_a_budget_it_is_ended),
	};

#ifdef __SANITIZE_ADDRESS__
	print_message("# the sanitizer has memory of its own\n");
	return 77;
#else
	return cmocka_run_group_tests_name("memory_limit", tests, set_up, NULL);
#endif
}
