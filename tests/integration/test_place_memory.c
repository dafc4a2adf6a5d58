// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink place --memory: of a trace whose layers do not fit into it, the kernel says that no
 * more than the budget was taken; a smaller one is refused with what is needed.
 */
#define _GNU_SOURCE
#include "helpers/activity.h"
#include "helpers/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"

#define N_NEURONS 2048
#define N_TOKENS 200000

struct outcome {
	int status; /* of wait(2) */
	uint64_t peak_bytes; /* resident */
	char *output; /* stdout and stderr */
};

/* Place, by two threads. */
static struct outcome place(const char *folder, const char *result, const char *method,
			    const char *memory)
{
	char *trace = path_in(folder, "a.trace"), *order = path_in(folder, result);
	char *path = path_in(folder, "output");
	int output = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	const char *program = getenv("COLINK");
	struct outcome outcome;
	struct rusage usage;
	size_t length;
	pid_t pid;

	assert_true(output >= 0);
	pid = fork();
	if (pid == 0) {
		dup2(output, STDOUT_FILENO);
		dup2(output, STDERR_FILENO);
		execl(program, program, "place", trace, "-o", order, "-t", "2", "--method", method,
		      "--memory", memory, NULL);
		_exit(99);
	}
	assert_int_equal(wait4(pid, &outcome.status, 0, &usage), pid);
	outcome.peak_bytes = (uint64_t)usage.ru_maxrss << 10;
	close(output);
	outcome.output = file_contents(path, &length);
	free(path);
	free(order);
	free(trace);
	return outcome;
}

static char *make_trace(void)
{
	char *folder = make_folder(), *path = path_in(folder, "a.trace");
	struct activity layer = make_clustered_activity(1, N_NEURONS, N_TOKENS, 16, 0.02);

	write_activities(path, 1, &layer, 1, 512);
	activity_free(&layer);
	free(path);
	return folder;
}

/* What the refusal of a tiny budget asks for. */
static uint64_t least(const char *folder, const char *method)
{
	struct outcome outcome = place(folder, "none", method, "1");
	const char *least = strstr(outcome.output, " at least ");
	unsigned long long bytes = 0;

	assert_int_equal(outcome.status, 1 << 8);
	assert_non_null(least);
	assert_int_equal(sscanf(least, " at least %llu (", &bytes), 1);
	assert_string_equal(strchr(outcome.output, '\n'), "\n");
	free(outcome.output);
	return bytes;
}

static void assert_stays_within(const char *folder, const char *method, uint64_t budget)
{
	char *result = path_in(folder, "a.placement");
	struct outcome outcome;
	char memory[32];

	snprintf(memory, sizeof(memory), "%llu", (unsigned long long)budget);
	outcome = place(folder, "a.placement", method, memory);
	if (outcome.status)
		fail_msg("status 0x%x: %s", (unsigned int)outcome.status, outcome.output);
	assert_int_equal(unlink(result), 0);
#ifndef __SANITIZE_ADDRESS__
	assert_in_range(outcome.peak_bytes, budget / 2, budget);
#endif
	free(outcome.output);
	/* What it asks for has some room for what a program's start varies by. */
	snprintf(memory, sizeof(memory), "%llu", (unsigned long long)(budget - (1 << 20)));
	outcome = place(folder, "none", method, memory);
	assert_int_equal(outcome.status, 1 << 8);
	free(outcome.output);
	free(result);
}

static void a_layer_need_not_fit(void **state)
{
	char *folder = make_trace();
	uint64_t budget = least(folder, "linked");

	(void)state;
	/* All of the layer's bits, without the tokens that are measured on. */
	assert_true(budget < N_TOKENS / 10 * 9 * (uint64_t)bits_words(N_NEURONS) * 8);
	assert_stays_within(folder, "linked", budget);
	remove_folder(folder);
}

static void a_search_stays_within(void **state)
{
	char *folder = make_trace();

	(void)state;
	assert_stays_within(folder, "best", least(folder, "best"));
	remove_folder(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_layer_need_not_fit),
		cmocka_unit_test(a_search_stays_within),
	};

	return cmocka_run_group_tests_name("place_memory", tests, NULL, NULL);
}
