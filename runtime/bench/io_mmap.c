// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file mapped, and each wanted bundle touched page by page, in the order of neurons: a
 * program that leaves all of it to the kernel. What the page cache may hold is limited by a
 * memory cgroup to what the other methods have in DRAM, so the replay runs in a process of
 * its own, which leaves its figures in memory that both share.
 *
 * Reads are major faults: how the kernel cuts them into I/Os, and what it reads ahead, it
 * does not say by process. Bytes are the process's read_bytes (/proc/self/io), read ahead
 * or not. A bundle counts as cached when touching it had to wait for no fault.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/clock.h"
#include "base/proc_io.h"
#include "bench/io_method.h"
#include "bench/memory_group.h"
#include "storage/read_ahead.h"

/*
 * Beside the cache's share: for the process itself and a read-ahead in flight, and for the
 * page tables of the file, at 8 bytes a page of 4 KiB.
 */
#define ALLOWANCE_BYTES (UINT64_C(8) << 20)
#define PAGE_TABLE_SHARE 512

/* What both processes see. */
struct shared {
	struct error err;
	bool missing; /* it cannot be had here: err says why */
	struct io_token tokens[];
};

struct mapped {
	const struct io_method *method;
	const struct io_inputs *inputs;
	const struct io_setting *setting;
	int fd;
	const uint8_t *map;
	uint32_t n_tokens; /* to replay */
};

static uint64_t major_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_majflt;
}

static void touch_layer(const struct mapped *mapped, uint32_t token, uint32_t layer,
			struct io_token *result)
{
	const uint64_t *wanted = io_wanted(mapped->method, mapped->inputs, token, layer);
	const struct bundle_geometry *geometry = &mapped->inputs->geometry;
	const struct io_setting *setting = mapped->setting;
	uint64_t faults = major_faults();
	size_t n = geometry->slots, run_end = n;

	for (size_t slot = bits_next(wanted, n, 0); slot < n;
	     slot = bits_next(wanted, n, slot + 1)) {
		uint64_t offset = geometry->offsets[layer] + (uint64_t)slot * geometry->stride;
		uint64_t before = faults;

		setting->consume(setting->consume_arg, token, layer, (uint32_t)slot,
				 mapped->map + offset, geometry->stride);
		faults = major_faults();
		result->wanted++;
		result->cached += faults == before;
		result->runs += slot != run_end;
		run_end = slot + 1;
	}
}

static int replay_token(const struct mapped *mapped, uint32_t token, struct io_token *result,
			struct error *err)
{
	struct proc_io before, after;
	uint64_t faults = major_faults();
	double begin;

	if (proc_io_read(&before) < 0)
		return error_set(err, -ENODATA, "the kernel does not count what a process reads");
	begin = clock_ms();
	for (uint32_t layer = 0; layer < mapped->inputs->geometry.n_layers; layer++)
		touch_layer(mapped, token, layer, result);
	result->io_ms = clock_ms() - begin;
	if (proc_io_read(&after) < 0)
		return error_set(err, -ENODATA, "the kernel does not count what a process reads");
	result->reads = major_faults() - faults;
	result->bytes = after.read_bytes - before.read_bytes;
	result->run_bundles = result->wanted;
	result->predicted_ms =
		device_time_us(mapped->setting->cost, result->reads, result->bytes) / 1e3;
	return 0;
}

static int replay_all(struct mapped *mapped, const struct memory_group *group,
		      struct shared *shared)
{
	const struct io_inputs *inputs = mapped->inputs;
	struct error *err = &shared->err;
	void *map;
	int ret = memory_group_enter(group, err);

	shared->missing = ret < 0;
	if (ret < 0)
		return ret;
	map = mmap(NULL, inputs->file_bytes, PROT_READ, MAP_SHARED, mapped->fd, 0);
	if (map == MAP_FAILED)
		return error_set(err, -errno, "%s: cannot map: %s", inputs->path, strerror(errno));
	mapped->map = map;
	if (mapped->method->readahead == IO_READAHEAD_NONE &&
	    madvise(map, inputs->file_bytes, MADV_RANDOM))
		return error_set(err, -errno, "%s: MADV_RANDOM: %s", inputs->path,
				 strerror(errno));
	for (uint32_t token = 0; ret == 0 && token < mapped->n_tokens; token++)
		ret = replay_token(mapped, token, &shared->tokens[token], err);
	return ret;
}

/* In the process of its own: it ends with its parent, and says nothing but in `shared`. */
static void child(struct mapped *mapped, const struct memory_group *group, pid_t parent,
		  struct shared *shared)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		replay_all(mapped, group, shared);
	_exit(0);
}

static int run_child(struct mapped *mapped, const struct memory_group *group,
		     struct shared *shared, uint64_t limit_bytes, struct error *err)
{
	pid_t parent = getpid(), pid = fork();
	int status = 0;

	if (pid < 0)
		return error_set(err, -errno, "cannot start a process: %s", strerror(errno));
	if (pid == 0)
		child(mapped, group, parent, shared);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		return error_set(err, -EIO,
				 "%s: the process that maps it ended by signal %d, in a memory "
				 "cgroup of %llu bytes",
				 mapped->method->name, WTERMSIG(status),
				 (unsigned long long)limit_bytes);
	if (shared->err.code)
		*err = shared->err;
	return shared->missing ? 1 : shared->err.code;
}

static int open_file(const struct io_method *method, const char *path, struct error *err)
{
	int fd;

	if (method->readahead == IO_READAHEAD_128K)
		return read_ahead_open(path, 128, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : error_set(err, -errno, "%s: %s", path, strerror(errno));
}

static int with_group(struct mapped *mapped, const struct memory_group *group,
		      uint64_t limit_bytes, struct io_token *tokens, struct error *err)
{
	size_t tokens_bytes = mapped->n_tokens * sizeof(*tokens);
	size_t bytes = sizeof(struct shared) + tokens_bytes;
	struct shared *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ret;

	if (shared == MAP_FAILED)
		return error_no_memory(err, "figures of tokens");
	ret = run_child(mapped, group, shared, limit_bytes, err);
	if (ret == 0)
		memcpy(tokens, shared->tokens, tokens_bytes);
	munmap(shared, bytes);
	return ret;
}

int io_mmap_replay(const struct io_method *method, const struct io_inputs *inputs,
		   const struct io_setting *setting, struct io_outcome *outcome, struct error *err)
{
	struct mapped mapped = { .method = method, .inputs = inputs, .setting = setting };
	uint64_t cache_bytes =
		(uint64_t)(setting->cache_ratio * (double)io_inputs_bundle_bytes(inputs));
	uint64_t limit_bytes =
		cache_bytes + ALLOWANCE_BYTES + inputs->file_bytes / PAGE_TABLE_SHARE;
	struct memory_group group;
	int ret;

	if (outcome->n_tokens > setting->mmap_tokens)
		outcome->n_tokens = setting->mmap_tokens;
	mapped.n_tokens = outcome->n_tokens;
	outcome->cache_bytes = limit_bytes;
	mapped.fd = open_file(method, inputs->path, err);
	if (mapped.fd < 0)
		return 1;
	if (memory_group_create(&setting->groups, limit_bytes, &group, err) < 0) {
		ret = 1;
	} else {
		ret = with_group(&mapped, &group, limit_bytes, outcome->tokens, err);
		memory_group_remove(&group);
	}
	close(mapped.fd);
	return ret;
}
