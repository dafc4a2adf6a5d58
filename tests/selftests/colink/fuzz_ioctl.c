// SPDX-License-Identifier: GPL-2.0-only
/*
 * 100,000 calls with hostile arguments, from two threads at once: the kernel survives
 * (the machine's log is looked at when all tests have run), and the quota is whole
 * afterwards. COLINK_SEED repeats a run.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include "colink_test.h"

#define PAGES 256
#define CALLS 50000
#define THREADS 2

struct fuzzer {
	struct rig *rig;
	int event;
	__u64 state;
	void *readonly;
	unsigned long errors;
	unsigned long done;
};

static __u64 pick(struct fuzzer *fuzzer, const __u64 *values, size_t n)
{
	return values[random_next(&fuzzer->state) % n];
}

/* A number, often one where something ends. */
static __u64 hostile(struct fuzzer *fuzzer)
{
	static const __u64 edges[] = {
		0, 1, 2, 4095, 4096, 4097, 255, 256, 65535, 65536, 65537, PAGES * 4096,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
		0x8000000000000000, 0xffffffffffffffff, 0xfffffffffffff000,
	};

	return random_next(&fuzzer->state) % 4 ? pick(fuzzer, edges, ARRAY_SIZE(edges)) :
						 random_next(&fuzzer->state);
}

static __u64 hostile_pointer(struct fuzzer *fuzzer, const void *good)
{
	const __u64 pointers[] = {
		(unsigned long)fuzzer->readonly, 0, 1, -1, -4096, 0xffff888000000000,
	};

	return random_next(&fuzzer->state) % 4 ? (unsigned long)good :
						 pick(fuzzer, pointers, ARRAY_SIZE(pointers));
}

static __u32 hostile_region(struct fuzzer *fuzzer)
{
	return random_next(&fuzzer->state) % 4 ? (__u32)fuzzer->rig->region : hostile(fuzzer);
}

static __u32 hostile_size(struct fuzzer *fuzzer, size_t good)
{
	return random_next(&fuzzer->state) % 8 ? good : hostile(fuzzer);
}

static void fill_extents(struct fuzzer *fuzzer, struct colink_extent *extents, int n)
{
	const __u64 layers[] = { COLINK_BYTES, COLINK_BYTES, 0, 1, 2, hostile(fuzzer) };
	int i;

	for (i = 0; i < n; i++)
		extents[i] = (struct colink_extent){
			.first = hostile(fuzzer),
			.count = hostile(fuzzer),
			.layer = pick(fuzzer, layers, ARRAY_SIZE(layers)),
			.reserved = random_next(&fuzzer->state) % 256 ? 0 : 1,
		};
}

static int call_register(struct fuzzer *fuzzer)
{
	struct colink_layer layers[4] = { 0 };
	const __u64 fds[] = { fuzzer->rig->file.fd, 0, -1, fuzzer->rig->device, fuzzer->event };
	struct colink_register args = {
		.size = hostile_size(fuzzer, sizeof(args)),
		.fd = pick(fuzzer, fds, ARRAY_SIZE(fds)),
		.n_layers = random_next(&fuzzer->state) % 4 ? random_next(&fuzzer->state) % 5 :
							      hostile(fuzzer),
		.flags = random_next(&fuzzer->state) % 8 ? 0 : hostile(fuzzer),
		.layers = hostile_pointer(fuzzer, layers),
		.gap_bytes = hostile(fuzzer),
	};
	int i, region;

	for (i = 0; i < 4; i++)
		layers[i] = (struct colink_layer){ hostile(fuzzer), hostile(fuzzer),
						   hostile(fuzzer) };
	region = ioctl(fuzzer->rig->device, COLINK_REGISTER, &args);
	if (region > 0)
		ioctl(fuzzer->rig->device, COLINK_UNREGISTER, region);
	return region;
}

static int call_prefetch(struct fuzzer *fuzzer)
{
	struct colink_extent extents[16] = { 0 };
	const __u64 events[] = { -1, -1, fuzzer->event, fuzzer->rig->file.fd, hostile(fuzzer) };
	struct colink_prefetch args = {
		.size = hostile_size(fuzzer, sizeof(args)),
		.region = hostile_region(fuzzer),
		.flags = random_next(&fuzzer->state) % 8 ? random_next(&fuzzer->state) % 4 :
							   hostile(fuzzer),
		.n_extents = random_next(&fuzzer->state) % 8 ? random_next(&fuzzer->state) % 17 :
							       hostile(fuzzer),
		.extents = hostile_pointer(fuzzer, extents),
		.gap_bytes = hostile(fuzzer),
		.eventfd = pick(fuzzer, events, ARRAY_SIZE(events)),
		.reserved = random_next(&fuzzer->state) % 16 ? 0 : 1,
	};

	fill_extents(fuzzer, extents, 16);
	return ioctl(fuzzer->rig->device, COLINK_PREFETCH, &args);
}

static int call_drop(struct fuzzer *fuzzer)
{
	struct colink_extent extents[16] = { 0 };
	struct colink_drop args = {
		.size = hostile_size(fuzzer, sizeof(args)),
		.region = hostile_region(fuzzer),
		.flags = random_next(&fuzzer->state) % 8 ? 0 : hostile(fuzzer),
		.n_extents = random_next(&fuzzer->state) % 8 ? random_next(&fuzzer->state) % 17 :
							       hostile(fuzzer),
		.extents = hostile_pointer(fuzzer, extents),
	};

	fill_extents(fuzzer, extents, 16);
	return ioctl(fuzzer->rig->device, COLINK_DROP, &args);
}

/* Any number of call, with an argument that leads nowhere. */
static int call_nonsense(struct fuzzer *fuzzer)
{
	const __u64 commands[] = { COLINK_REGISTER, COLINK_PREFETCH, COLINK_DROP, hostile(fuzzer) };
	__u64 command = pick(fuzzer, commands, ARRAY_SIZE(commands));

	return ioctl(fuzzer->rig->device, command, hostile_pointer(fuzzer, fuzzer->readonly));
}

static void *fuzz(void *data)
{
	int (*const calls[])(struct fuzzer *) = {
		call_register, call_prefetch, call_prefetch, call_drop, call_nonsense,
	};
	struct fuzzer *fuzzer = data;

	for (; fuzzer->done < CALLS; fuzzer->done++) {
		int call = random_next(&fuzzer->state) % ARRAY_SIZE(calls);

		fuzzer->errors += calls[call](fuzzer) < 0;
	}
	return NULL;
}

FIXTURE(fuzz_ioctl) {
	struct rig rig;
};

FIXTURE_SETUP(fuzz_ioctl)
{
	struct colink_layer layers[] = { { 0, 1000, 500 }, { PAGES * PAGE / 2, PAGE, 1000 } };

	rig_open(&self->rig, disk(), PAGES * PAGE);
	self->rig.region = register_layers(self->rig.device, self->rig.file.fd, layers, 2);
	need(self->rig.region > 0, "COLINK_REGISTER");
}

FIXTURE_TEARDOWN(fuzz_ioctl)
{
	rig_close(&self->rig);
}

TEST_F(fuzz_ioctl, hostile_arguments)
{
	__u64 seed = getenv("COLINK_SEED") ? strtoull(getenv("COLINK_SEED"), NULL, 0) : 42;
	struct colink_extent all = pages_extent(0, PAGES);
	struct colink_prefetch args = prefetch_args(self->rig.region, &all, 1);
	struct fuzzer fuzzers[THREADS];
	pthread_t threads[THREADS];
	int i;

	TH_LOG("seed %llu", seed);
	for (i = 0; i < THREADS; i++) {
		fuzzers[i] = (struct fuzzer){
			.rig = &self->rig,
			.event = eventfd(0, EFD_NONBLOCK),
			.state = seed + i,
			.readonly = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, fuzz, &fuzzers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(CALLS, fuzzers[i].done);
		TH_LOG("%lu calls of %d refused", fuzzers[i].errors, CALLS);
		/* Neither all refused nor all let through: the calls got somewhere. */
		EXPECT_LT(CALLS / 10, fuzzers[i].errors);
		EXPECT_GT(CALLS * 9 / 10, fuzzers[i].errors);
	}
	/* No quota has leaked. */
	EXPECT_LT(0, register_file(self->rig.device, self->rig.file.fd));
	EXPECT_EQ(0, prefetch(self->rig.device, &args));
	EXPECT_EQ(PAGES, count_resident(&self->rig.file));
}

TEST_HARNESS_MAIN
