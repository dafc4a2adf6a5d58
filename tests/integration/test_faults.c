// SPDX-License-Identifier: GPL-2.0-only
/*
 * Import, pack, a picture and a forward pass with the 1st, 2nd, 3rd ... allocation or
 * system call failing, until none is left to fail. Every failure must be reported, must
 * leave the file that was there before and nothing else, and must not leak; what
 * is no failure (short reads and writes, signals) must not change a byte.
 *
 * System calls are wrapped by the linker (see the Makefile), which reaches our own
 * objects only. malloc() and its kin are defined here, which reaches libraries too;
 * under ASan, which has its own, they are wrapped as well, and leaks are its business.
 */
#define _GNU_SOURCE
#include "helpers/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helpers/activity.h"
#include "helpers/import_folder.h"
#include "infer/pack.h"
#include "infer/session.h"
#include "model/import_opt.h"
#include "placement/picture.h"
#include "placement/placement_private.h"

enum call {
	CALL_ALLOCATE,
	CALL_FSTAT,
	CALL_FSYNC,
	CALL_LINKAT,
	CALL_OPEN,
	CALL_PREAD,
	CALL_PWRITE,
	CALL_RENAME,
};

/* What is to fail; read by every thread, changed while only one runs. */
static struct {
	bool armed;
	enum call call;
	size_t nth; /* the nth of these calls; 0: every other one */
	int error; /* errno; 0: transfer half of what is asked */
	atomic_size_t seen;
	atomic_bool happened;
	atomic_long live; /* blocks allocated and not freed */
	bool no_nameless_files; /* the file system has no O_TMPFILE */
} plan;

static bool happens(enum call call)
{
	size_t seen;

	if (!plan.armed || plan.call != call)
		return false;
	seen = ++plan.seen;
	if (plan.nth ? seen != plan.nth : seen % 2)
		return false;
	plan.happened = true;
	return true;
}

static bool fails(enum call call)
{
	if (!happens(call))
		return false;
	errno = plan.error;
	return true;
}

#ifdef __SANITIZE_ADDRESS__
#define ALLOCATION_STEP 17 /* it is slow, and all are tried without it */
#define INTERPOSED(name) __wrap_##name
#define REAL(name) __real_##name
#else
#define ALLOCATION_STEP 1
#define INTERPOSED(name) name
#define REAL(name) __libc_##name
#define __libc_aligned_alloc __libc_memalign
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *block, size_t size);
void *REAL(aligned_alloc)(size_t alignment, size_t size);
void *INTERPOSED(malloc)(size_t size);
void *INTERPOSED(calloc)(size_t n, size_t size);
void *INTERPOSED(realloc)(void *block, size_t size);
void *INTERPOSED(aligned_alloc)(size_t alignment, size_t size);

static void *counted(void *block)
{
	plan.live += block != NULL;
	return block;
}

void *INTERPOSED(malloc)(size_t size)
{
	return fails(CALL_ALLOCATE) ? NULL : counted(REAL(malloc)(size));
}

void *INTERPOSED(calloc)(size_t n, size_t size)
{
	return fails(CALL_ALLOCATE) ? NULL : counted(REAL(calloc)(n, size));
}

void *INTERPOSED(realloc)(void *block, size_t size)
{
	if (fails(CALL_ALLOCATE))
		return NULL;
	return block ? REAL(realloc)(block, size) : counted(REAL(realloc)(block, size));
}

void *INTERPOSED(aligned_alloc)(size_t alignment, size_t size)
{
	return fails(CALL_ALLOCATE) ? NULL : counted(REAL(aligned_alloc)(alignment, size));
}

#ifdef __SANITIZE_ADDRESS__
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

char *__wrap_strdup(const char *text)
{
	return fails(CALL_ALLOCATE) ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t length)
{
	return fails(CALL_ALLOCATE) ? NULL : __real_strndup(text, length);
}
#else
void __libc_free(void *block);

void free(void *block)
{
	plan.live -= block != NULL;
	__libc_free(block);
}
#endif

int __real_open(const char *path, int flags, mode_t mode);
int __real_fstat(int fd, struct stat *st);
int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __real_rename(const char *from, const char *to);
ssize_t __real_pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t __real_pwrite(int fd, const void *buffer, size_t length, off_t offset);
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fsync(int fd);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_rename(const char *from, const char *to);
ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buffer, size_t length, off_t offset);

/* A refused O_TMPFILE is no failure, it has a fallback. */
int __wrap_open(const char *path, int flags, mode_t mode)
{
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		if (!plan.no_nameless_files)
			return __real_open(path, flags, mode);
		errno = EOPNOTSUPP;
		return -1;
	}
	return fails(CALL_OPEN) ? -1 : __real_open(path, flags, mode);
}

int __wrap_fstat(int fd, struct stat *st)
{
	return fails(CALL_FSTAT) ? -1 : __real_fstat(fd, st);
}

/* It takes long, and no power fails here. */
int __wrap_fsync(int fd)
{
	(void)fd;
	return fails(CALL_FSYNC) ? -1 : 0;
}

int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	return fails(CALL_LINKAT) ? -1 : __real_linkat(from_fd, from, to_fd, to, flags);
}

int __wrap_rename(const char *from, const char *to)
{
	return fails(CALL_RENAME) ? -1 : __real_rename(from, to);
}

ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset)
{
	if (fails(CALL_PREAD)) {
		if (plan.error)
			return -1;
		length = (length + 1) / 2;
	}
	return __real_pread(fd, buffer, length, offset);
}

ssize_t __wrap_pwrite(int fd, const void *buffer, size_t length, off_t offset)
{
	if (fails(CALL_PWRITE)) {
		if (plan.error)
			return -1;
		length = (length + 1) / 2;
	}
	return __real_pwrite(fd, buffer, length, offset);
}

static void arm(enum call call, size_t nth, int error)
{
	plan.call = call;
	plan.nth = nth;
	plan.error = error;
	plan.seen = 0;
	plan.happened = false;
	plan.armed = true;
}

/* Whether it happened. */
static bool disarm(void)
{
	plan.armed = false;
	return plan.happened;
}

#define N_COPIES 3 /* of bundles in a layer */

struct fixture {
	struct import_folder *folder;
	char *model; /* an imported one, beside the results */
	char *packed; /* of it, with copies of bundles */
	char *trace; /* of it */
	struct placement *placement;
	struct predictor *predictor;
	long library_leaks; /* blocks that a library may lose when its allocation fails */
	char *expected; /* what the results should be */
	size_t expected_length;
};

typedef int subject(const struct fixture *fixture, struct error *err);

static int import(const struct fixture *fixture, struct error *err)
{
	return import_opt(fixture->folder->source, fixture->folder->output, NULL, err);
}

static int pack(const struct fixture *fixture, struct error *err)
{
	struct model_file *model;
	int ret = model_file_open(fixture->model, &model, err);

	if (ret < 0)
		return ret;
	ret = pack_model(model, fixture->placement, fixture->predictor, fixture->folder->output,
			 NULL, err);
	model_file_close(model);
	return ret;
}

static int forward(const struct fixture *fixture, struct error *err)
{
	static const uint32_t ids[] = { 2, 70, 80, 90 };
	const struct session_options options = {
		.mode = SESSION_DENSE,
		.threads = 1,
		.store = { .source = "pread", .cache_ratio = 0.5, .cost = DEVICE_COST_UFS4 },
	};
	struct session *session = NULL;
	struct model *model;
	int ret = model_load(fixture->packed, &model, err);

	if (ret < 0)
		return ret;
	ret = session_open(model, &options, &session, err);
	if (ret == 0)
		ret = session_forward(session, ids, 4, err);
	session_close(session);
	model_unload(model);
	return ret;
}

static int picture(const struct fixture *fixture, struct error *err)
{
	struct picture_subject drawn = { .placement = fixture->placement, .name = "trace" };
	struct trace *trace;
	int ret = trace_open(fixture->trace, &trace, err);

	if (ret < 0)
		return ret;
	drawn.trace = trace;
	ret = picture_write(&drawn, 0, fixture->folder->output, NULL, err);
	trace_close(trace);
	return ret;
}

/* Reversed, with some hints and copies; a predictor that wants every third neuron. */
static void make_linking(struct fixture *fixture, uint64_t model_id)
{
	const struct opt_shape shape = opt_small();
	const struct placement form = {
		.n_layers = shape.n_layers, .n_neurons = shape.n_ffn,
		.n_positions = shape.n_ffn + N_COPIES, .model_id = model_id, .n_tokens = 5,
	};
	struct placement *placement;
	struct error err;

	assert_ok(placement_create(&form, &placement, &err), &err);
	assert_ok(predictor_create(shape.n_layers, shape.d_model, shape.n_ffn, 4, model_id,
				   &fixture->predictor, &err), &err);
	for (uint32_t layer = 0; layer < shape.n_layers; layer++) {
		struct placement_layer *order = &placement->layers[layer];

		for (uint32_t i = 0; i < form.n_positions; i++)
			order->slot_at[i] = i < N_COPIES ? N_COPIES - i : i - N_COPIES;
		for (uint32_t slot = 0; slot < shape.n_ffn; slot++) {
			order->slot_to_neuron[slot] = shape.n_ffn - 1 - slot;
			order->frequency[slot] = 1.0f / (float)(slot + 1);
			fixture->predictor->layers[layer].bias[slot] = slot % 3 ? -1 : 1;
		}
	}
	fixture->placement = placement;
}

static int set_up(void **state)
{
	const struct opt_shape shape = opt_small();
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct model_file *file;
	struct error err;

	assert_non_null(fixture);
	import_folder_make((void **)&fixture->folder);
	write_source(fixture->folder, &shape);
	fixture->model = path_in(fixture->folder->path, "model");
	assert_ok(import_opt(fixture->folder->source, fixture->model, NULL, &err), &err);
	assert_ok(model_file_open(fixture->model, &file, &err), &err);
	make_linking(fixture, file->origin.model_id);
	fixture->packed = path_in(fixture->folder->path, "packed");
	assert_ok(pack_model(file, fixture->placement, fixture->predictor, fixture->packed, NULL,
			     &err), &err);
	fixture->trace = independent_trace(fixture->folder->path, file->origin.model_id,
					   shape.n_layers, shape.n_ffn);
	model_file_close(file);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	import_folder_remove((void **)&fixture->folder);
	free(fixture->model);
	free(fixture->packed);
	free(fixture->trace);
	placement_free(fixture->placement);
	predictor_free(fixture->predictor);
	free(fixture->expected);
	free(fixture);
	return 0;
}

/* One run without failures: what it should give, and what libraries keep for good. */
static void expect(struct fixture *fixture, subject *run)
{
	struct error err;

	assert_ok(run(fixture, &err), &err);
	free(fixture->expected);
	fixture->expected = NULL;
	unlink(fixture->folder->output);
	if (run == forward)
		return;
	assert_ok(run(fixture, &err), &err);
	fixture->expected = file_contents(fixture->folder->output, &fixture->expected_length);
	write_file(fixture->folder->output, "old", 3);
}

static void assert_results(const struct fixture *fixture, const char *text, size_t length)
{
	size_t found;
	char *contents = file_contents(fixture->folder->output, &found);

	assert_int_equal(found, length);
	assert_memory_equal(contents, text, length);
	free(contents);
}

/* After a success or a failure, the one file there is must be the right one. */
static void assert_clean(const struct fixture *fixture, bool succeeded)
{
	assert_int_equal(count_entries(fixture->folder->results), fixture->expected ? 1 : 0);
	if (!fixture->expected)
		return;
	if (!succeeded) {
		assert_results(fixture, "old", 3);
		return;
	}
	assert_results(fixture, fixture->expected, fixture->expected_length);
	write_file(fixture->folder->output, "old", 3);
}

/* Run once; returns whether the fault happened. */
static bool run_with(const struct fixture *fixture, subject *run, enum call call, size_t nth,
		     int error, int *ret, struct error *err)
{
	long live;
	bool happened;

	memset(err, 0, sizeof(*err));
	live = plan.live;
	arm(call, nth, error);
	*ret = run(fixture, err);
	happened = disarm();
	live = plan.live - live;
#ifndef __SANITIZE_ADDRESS__
	if (live < 0 || live > (*ret < 0 ? fixture->library_leaks : 0))
		fail_msg("number %zu: %ld blocks leaked after: %s", nth, live, err->message);
#endif
	if (*ret < 0 && (err->code != *ret || !err->message[0] || strchr(err->message, '\n')))
		fail_msg("number %zu: returned %d, but the message is \"%s\"", nth, *ret,
			 err->message);
	return happened;
}

/* Every allocation in turn. Libraries may do without some (a sort's scratch memory). */
static void starve(struct fixture *fixture, subject *run)
{
	bool happened = true;
	struct error err;
	size_t refused = 0;
	int ret;

	expect(fixture, run);
	for (size_t nth = 1; happened; nth += ALLOCATION_STEP) {
		happened = run_with(fixture, run, CALL_ALLOCATE, nth, ENOMEM, &ret, &err);
		if (ret < 0 && ret != -ENOMEM)
			fail_msg("allocation %zu failed, reported as: %s", nth, err.message);
		refused += ret < 0;
		assert_clean(fixture, ret == 0);
	}
	assert_int_equal(ret, 0);
	assert_true(refused * ALLOCATION_STEP > 10);
}

/* Every call of a kind in turn; the message must name a file of this test. */
static void break_calls(struct fixture *fixture, subject *run, enum call call, int error)
{
	bool happened = true;
	struct error err;
	int ret;

	expect(fixture, run);
	for (size_t nth = 1; happened; nth++) {
		bool committed;

		happened = run_with(fixture, run, call, nth, error, &ret, &err);
		if (!happened)
			break;
		if (ret != -error || !strstr(err.message, fixture->folder->path) ||
		    !strstr(err.message, strerror(error)))
			fail_msg("call %zu of kind %d: returned %d: %s", nth, call, ret,
				 err.message);
		/* The directory's fsync comes after the rename. */
		committed = call == CALL_FSYNC && strstr(err.message, "its directory");
		assert_clean(fixture, committed);
	}
	assert_int_equal(ret, 0);
	assert_clean(fixture, true);
}

/* Every other call is cut short (error 0) or interrupted. */
static void disturb_calls(struct fixture *fixture, subject *run, enum call call, int error)
{
	struct error err = { 0 };
	bool happened;
	int ret;

	expect(fixture, run);
	happened = run_with(fixture, run, call, 0, error, &ret, &err);
	assert_ok(ret, &err);
	assert_true(happened || call == CALL_FSYNC || call == CALL_PWRITE);
	assert_clean(fixture, true);
}

static void import_from(struct fixture *fixture, enum test_form form)
{
	const struct opt_shape shape = opt_small();
	struct opt_checkpoint *checkpoint =
		opt_checkpoint_make(&shape, OPT_PREFIX, CHECKPOINT_F16);

	clear_folder(fixture->folder->source);
	opt_checkpoint_write(checkpoint, fixture->folder->source, form);
	opt_checkpoint_free(checkpoint);
}

static void import_safetensors_without_memory(void **state)
{
	import_from(*state, TEST_SAFETENSORS);
	starve(*state, import);
}

static void import_safetensors_shards_without_memory(void **state)
{
	import_from(*state, TEST_SAFETENSORS_SHARDS);
	starve(*state, import);
}

/* zip_fopen_index() of libzip 1.7 loses a block when its second allocation fails. */
static void import_torch_without_memory(void **state)
{
	((struct fixture *)*state)->library_leaks = 1;
	import_from(*state, TEST_TORCH);
	starve(*state, import);
}

static void import_torch_shards_without_memory(void **state)
{
	((struct fixture *)*state)->library_leaks = 1;
	import_from(*state, TEST_TORCH_SHARDS);
	starve(*state, import);
}

static void others_without_memory(void **state)
{
	starve(*state, pack);
	starve(*state, picture);
	starve(*state, forward);
}

static void break_writer(struct fixture *fixture, subject *writer)
{
	break_calls(fixture, writer, CALL_OPEN, EIO);
	break_calls(fixture, writer, CALL_FSTAT, EIO);
	break_calls(fixture, writer, CALL_PREAD, EIO);
	break_calls(fixture, writer, CALL_PWRITE, ENOSPC);
	break_calls(fixture, writer, CALL_PWRITE, EIO);
	break_calls(fixture, writer, CALL_FSYNC, EIO);
	break_calls(fixture, writer, CALL_FSYNC, ENOSPC);
	break_calls(fixture, writer, CALL_LINKAT, EIO);
	break_calls(fixture, writer, CALL_RENAME, EIO);
}

static void calls_that_fail(void **state)
{
	for (int named = 0; named < 2; named++) {
		plan.no_nameless_files = named;
		break_writer(*state, import);
		break_writer(*state, pack);
		break_writer(*state, picture);
	}
	plan.no_nameless_files = false;
	break_calls(*state, forward, CALL_OPEN, EMFILE);
	break_calls(*state, forward, CALL_PREAD, EIO);
}

static void calls_that_are_disturbed(void **state)
{
	static subject *const subjects[] = { import, pack, picture, forward };
	static const enum call calls[] = { CALL_OPEN, CALL_PREAD, CALL_PWRITE, CALL_FSYNC };

	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		for (size_t k = 0; k < 4; k++)
			disturb_calls(*state, subjects[i], calls[k], EINTR);
		disturb_calls(*state, subjects[i], CALL_PREAD, 0);
		disturb_calls(*state, subjects[i], CALL_PWRITE, 0);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(import_safetensors_without_memory),
		CASE(import_safetensors_shards_without_memory),
		CASE(import_torch_without_memory),
		CASE(import_torch_shards_without_memory),
		CASE(others_without_memory),
		CASE(calls_that_fail),
		CASE(calls_that_are_disturbed),
	};

	/* Without it, libc makes a new copy of the default whenever libzip asks for the time. */
	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
