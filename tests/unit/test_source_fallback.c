// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the uring source wants and may not get: each is taken away by a seccomp
 * filter on the thread that opens the source, and reading has to work all the same.
 */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helpers/arena.h"
#include "helpers/random_file.h"
#include "storage/source.h"

#define N_READS 100
#define STEP 5001
#define LENGTH 3000
#define FILE_BYTES (N_READS * STEP)
#define ARENA_BYTES (4u << 20)

struct fixture {
	struct random_file file; /* of FILE_BYTES */
	char *arena; /* (ARENA_BYTES) */
	struct source_read reads[N_READS];
	bool have_uring;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	random_file_make(&fixture->file, 7, FILE_BYTES);
	fixture->arena = arena_map(ARENA_BYTES);
	fixture->have_uring = have_uring(fixture->file.path);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	arena_unmap(fixture->arena, ARENA_BYTES);
	random_file_remove(&fixture->file);
	free(fixture);
	return 0;
}

static int read_some(struct fixture *fixture, struct source *source, struct error *err)
{
	char *room = fixture->arena;
	int ret;

	for (uint32_t i = 0; i < N_READS; i++) {
		fixture->reads[i] = (struct source_read){
			.offset = i * STEP, .length = LENGTH, .room = room,
		};
		room += source_room(source, LENGTH);
	}
	ret = source_submit(source, fixture->reads, N_READS, err);
	return ret < 0 ? ret : source_wait(source, fixture->reads, N_READS, err);
}

static bool same_content(const struct fixture *fixture)
{
	for (uint32_t i = 0; i < N_READS; i++)
		if (memcmp(fixture->reads[i].data, fixture->file.content + i * STEP, LENGTH) != 0)
			return false;
	return true;
}

/* What one thread may not do: a system call, or it with `flags` set in an argument. */
struct denial {
	int call;
	int error;
	int argument;
	uint32_t flags; /* 0: always denied */
};

struct denied_run {
	struct fixture *fixture;
	struct denial denial;
	const char *name;
	bool filtered;
	int ret;
	struct error err;
	bool same;
	struct source_counts counts;
	char used[16];
	char description[256];
};

static bool deny(const struct denial *denial)
{
	uint32_t argument = (uint32_t)(offsetof(struct seccomp_data, args) +
				       8 * (unsigned int)denial->argument);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)denial->call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
		BPF_JUMP(BPF_JMP | (denial->flags ? BPF_JSET : BPF_JGE) | BPF_K, denial->flags,
			 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)denial->error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *run_denied(void *arg)
{
	struct denied_run *run = arg;
	struct source *source;

	run->filtered = deny(&run->denial);
	run->ret = source_open(run->name, run->fixture->file.path, run->fixture->arena, ARENA_BYTES,
			       8, &source, &run->err);
	if (run->ret < 0)
		return NULL;
	snprintf(run->used, sizeof(run->used), "%s", source_name(source));
	snprintf(run->description, sizeof(run->description), "%s", source_describe(source));
	run->ret = read_some(run->fixture, source, &run->err);
	run->same = run->ret == 0 && same_content(run->fixture);
	source_get_counts(source, &run->counts, NULL);
	source_close(source);
	return NULL;
}

static struct denied_run run_with(struct fixture *fixture, const char *name, struct denial denial)
{
	struct denied_run run = { .fixture = fixture, .denial = denial, .name = name };
	pthread_t thread;

	if (!fixture->have_uring)
		skip();
	assert_int_equal(pthread_create(&thread, NULL, run_denied, &run), 0);
	pthread_join(thread, NULL);
	if (!run.filtered)
		skip();
	return run;
}

/* Nothing is denied: also where the system really has no io_uring. */
static void auto_uses_what_is_there(void **state)
{
	struct fixture *fixture = *state;
	struct source *source;
	struct error err;

	assert_ok(source_open("auto", fixture->file.path, fixture->arena, ARENA_BYTES, 8, &source,
			      &err),
		  &err);
	assert_string_equal(source_name(source), fixture->have_uring ? "uring" : "pread");
	assert_int_equal(!strstr(source_describe(source), "(no io_uring: "), fixture->have_uring);
	assert_ok(read_some(fixture, source, &err), &err);
	assert_true(same_content(fixture));
	source_close(source);
}

static void without_io_uring_auto_uses_pread(void **state)
{
	struct denial denial = { .call = __NR_io_uring_setup, .error = EPERM };
	struct denied_run run = run_with(*state, "auto", denial);

	assert_ok(run.ret, &run.err);
	assert_true(run.same);
	assert_int_equal(run.counts.reads, N_READS);
	assert_string_equal(run.used, "pread");
	assert_non_null(strstr(run.description, "Operation not permitted"));

	run = run_with(*state, "uring", denial);
	assert_int_equal(run.ret, -EPERM);
	assert_says(&run.err, "io_uring");
}

static void without_locked_memory_buffers_are_plain(void **state)
{
	struct denial denial = { .call = __NR_io_uring_register, .error = ENOMEM };
	struct denied_run run = run_with(*state, "uring", denial);

	assert_ok(run.ret, &run.err);
	assert_true(run.same);
	assert_int_equal(run.counts.reads, N_READS);
	assert_non_null(strstr(run.description, "plain buffers"));
}

static void without_direct_io_the_page_cache_is_used(void **state)
{
	struct denial denial = {
		.call = __NR_fcntl, .error = EINVAL, .argument = 2, .flags = O_DIRECT,
	};
	struct denied_run run = run_with(*state, "uring", denial);

	assert_ok(run.ret, &run.err);
	assert_true(run.same);
	assert_int_equal(run.counts.reads, N_READS);
	assert_non_null(strstr(run.description, "page cache"));
}

static void a_refused_trial_read_means_no_direct_io(void **state)
{
	struct denial denial = { .call = __NR_pread64, .error = EINVAL };
	struct denied_run run = run_with(*state, "uring", denial);

	assert_ok(run.ret, &run.err);
	assert_true(run.same);
	assert_int_equal(run.counts.reads, N_READS);
	assert_non_null(strstr(run.description, "page cache"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_trial_read_means_no_direct_io),
		cmocka_unit_test(auto_uses_what_is_there),
		cmocka_unit_test(without_direct_io_the_page_cache_is_used),
		cmocka_unit_test(without_io_uring_auto_uses_pread),
		cmocka_unit_test(without_locked_memory_buffers_are_plain),
	};

	return cmocka_run_group_tests_name("source fallback", tests, set_up, tear_down);
}
