// SPDX-License-Identifier: GPL-2.0-only
/*
 * simulate_cache MODEL TRACE TOKENS: what each policy of storage/cache.h is worth.
 *
 * The tokens of a trace ask for the bundles that fire, layer by layer; what the cache does
 * not have is planned as for a real device (storage/plan.h) and offered to the cache. What
 * the device would work is counted in a, the cost of an I/O, with a/b = 16 KiB, for bundles
 * pretended to have several sizes. Nothing is read; copies into the cache are real.
 *
 * CPU times are the least of several runs, request by request, since other programs can
 * only add to them; their share is of a device with a = 8.5 us. Offers include the copies
 * of those taken.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "bench/token_slots.h"
#include "storage/bundle_hot.h"
#include "storage/cache.h"
#include "storage/plan.h"

#define GAP (16 << 10)
#define MAX_READ (1 << 20)
#define A_US 8.5
#define MAX_POLICIES 8
#define REPEATS 5
#define WARM_UP_PART 8 /* of the tokens, in which CPU time is not counted: pages are new */

struct setting {
	const struct token_slots *slots;
	const float *frequency; /* (n_layers, n_slots) */
	const char *policy;
	uint32_t stride;
	double ratio;
	double hot; /* share of the cache */
};

struct run {
	const struct setting *setting;
	struct cache *cache;
	struct plan plan;
	struct plan_limits limits;
	uint64_t *missing;
	char *content; /* (stride): what is pretended to be read */
	uint64_t lookups, hits, offers, reads, bundles;
	double device_us;
	/* Before the CPU's time counts. */
	uint32_t untimed_requests;
	uint64_t untimed_lookups, untimed_offers;
	double untimed_device_us;
};

/* What the CPU took, (n_tokens * n_layers) each: the least so far. */
struct times {
	uint32_t *lookup_ns, *offer_ns;
};

static void must(int ret, const struct error *err)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "simulate_cache: %s\n", err->message);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void look_up(struct run *run, uint32_t layer, const uint64_t *wanted)
{
	size_t n = run->setting->slots->n_slots;

	memset(run->missing, 0, bits_words(n) * sizeof(*run->missing));
	cache_begin(run->cache);
	for (size_t slot = bits_next(wanted, n, 0); slot < n; slot = bits_next(wanted, n, slot + 1)) {
		run->lookups++;
		if (cache_lookup(run->cache, layer, (uint32_t)slot))
			run->hits++;
		else
			bits_set(run->missing, slot);
	}
}

static void unpin(struct run *run, uint32_t layer, const uint64_t *wanted)
{
	size_t n = run->setting->slots->n_slots;

	for (size_t slot = bits_next(wanted, n, 0); slot < n; slot = bits_next(wanted, n, slot + 1))
		if (!bits_test(run->missing, slot))
			cache_unpin(run->cache, layer, (uint32_t)slot);
}

static void offer(struct run *run, uint32_t layer, const struct plan_read *planned)
{
	struct cache_read read = { .slots = planned->n_slots };
	size_t end = planned->first_slot + planned->n_slots;

	for (size_t slot = planned->first_slot; slot < end; slot++)
		read.bundles += bits_test(run->missing, slot);
	for (size_t slot = bits_next(run->missing, end, planned->first_slot); slot < end;
	     slot = bits_next(run->missing, end, slot + 1))
		cache_admit(run->cache, layer, (uint32_t)slot, run->content, read);
	run->offers += read.bundles;
	run->bundles += planned->n_slots;
}

static void note_least(uint32_t *least, uint64_t ns)
{
	if (ns < *least)
		*least = (uint32_t)ns;
}

static void ask(struct run *run, uint32_t token, uint32_t layer, struct times *least)
{
	const struct token_slots *slots = run->setting->slots;
	const uint64_t *wanted = token_slots_of(slots, token, layer);
	struct error err;
	size_t request = (size_t)token * slots->n_layers + layer;
	uint64_t times[5] = { now_ns() };

	look_up(run, layer, wanted);
	times[1] = now_ns();
	must(plan_make(run->missing, slots->n_slots, &run->limits, &run->plan, &err), &err);
	run->reads += run->plan.n_reads;
	run->device_us += run->plan.predicted_us;
	times[2] = now_ns();
	unpin(run, layer, wanted);
	times[3] = now_ns();
	for (uint32_t i = 0; i < run->plan.n_reads; i++)
		offer(run, layer, &run->plan.reads[i]);
	times[4] = now_ns();
	note_least(&least->lookup_ns[request], times[1] - times[0] + times[3] - times[2]);
	note_least(&least->offer_ns[request], times[4] - times[3]);
}

static void end_warm_up(struct run *run, uint32_t token)
{
	run->untimed_requests = token * run->setting->slots->n_layers;
	run->untimed_lookups = run->lookups;
	run->untimed_offers = run->offers;
	run->untimed_device_us = run->device_us;
}

static void load_hot(struct run *run, uint32_t n_hot)
{
	const struct token_slots *slots = run->setting->slots;
	size_t words = bits_words(slots->n_slots);
	uint64_t *sets = calloc(slots->n_layers * words, sizeof(*sets));
	struct error err;

	if (!sets)
		abort();
	must(bundle_hot_find(run->setting->frequency, slots->n_layers, slots->n_slots, n_hot, sets,
			     &err), &err);
	for (uint32_t layer = 0; layer < slots->n_layers; layer++)
		for (uint32_t slot = 0; slot < slots->n_slots; slot++)
			if (bits_test(sets + layer * words, slot))
				cache_keep(run->cache, layer, slot, run->content);
	free(sets);
}

static void prepare(struct run *run, const struct setting *setting)
{
	const struct token_slots *slots = setting->slots;
	uint64_t n = (uint64_t)slots->n_layers * slots->n_slots;
	struct cache_options options = {
		.n_layers = slots->n_layers,
		.slots = slots->n_slots,
		.stride = setting->stride,
		.capacity = (uint64_t)(setting->ratio * (double)n),
		.policy = setting->policy,
		.frequency = setting->frequency,
		.break_even_bytes = GAP,
	};
	struct error err;

	*run = (struct run){
		.setting = setting,
		.limits = {
			.cost = { .a_us = A_US, .b_us_per_mib = A_US * (1 << 20) / GAP },
			.gap_bytes = GAP,
			.stride = setting->stride,
			.max_read_bytes = MAX_READ,
		},
		.missing = calloc(bits_words(slots->n_slots), sizeof(*run->missing)),
		.content = calloc(1, setting->stride),
	};
	if (!run->missing || !run->content)
		abort();
	options.n_hot = bundle_hot_count(setting->frequency, n,
					 (uint64_t)(setting->hot * (double)options.capacity));
	must(cache_create(&options, &run->cache, &err), &err);
	load_hot(run, options.n_hot);
}

static void replay(const struct setting *setting, struct run *result, struct times *least)
{
	const struct token_slots *slots = setting->slots;
	struct run run;

	prepare(&run, setting);
	for (uint32_t token = 0; token < slots->n_tokens; token++) {
		if (token == slots->n_tokens / WARM_UP_PART)
			end_warm_up(&run, token);
		for (uint32_t layer = 0; layer < slots->n_layers; layer++)
			ask(&run, token, layer, least);
	}
	cache_destroy(run.cache);
	plan_free(&run.plan);
	free(run.content);
	free(run.missing);
	*result = run;
}

static struct times allocate_times(size_t n)
{
	struct times times = {
		.lookup_ns = malloc(n * sizeof(*times.lookup_ns)),
		.offer_ns = malloc(n * sizeof(*times.offer_ns)),
	};

	if (!times.lookup_ns || !times.offer_ns)
		abort();
	memset(times.lookup_ns, 0xff, n * sizeof(*times.lookup_ns));
	memset(times.offer_ns, 0xff, n * sizeof(*times.offer_ns));
	return times;
}

static double sum(const uint32_t *values, size_t from, size_t n)
{
	double total = 0;

	for (size_t i = from; i < n; i++)
		total += values[i];
	return total;
}

/* Prints a line; returns the device's time per token, in a. */
static double simulate(const struct setting *setting, double against)
{
	const struct token_slots *slots = setting->slots;
	size_t n = (size_t)slots->n_tokens * slots->n_layers;
	struct times least = allocate_times(n);
	double time, lookup_ns, offer_ns;
	struct run run;

	for (int i = 0; i < REPEATS; i++)
		replay(setting, &run, &least);
	time = run.device_us / A_US / slots->n_tokens;
	lookup_ns = sum(least.lookup_ns, run.untimed_requests, n);
	offer_ns = sum(least.offer_ns, run.untimed_requests, n);
	printf("%3u %6.2f %5.2f  %-9s %8.2f %7.1f%% %6.1f%% %8.1f %8.1f %7.1f %7.1f %6.2f%%\n",
	       setting->stride >> 10, setting->ratio, setting->hot, setting->policy, time,
	       against > 0 ? (time / against - 1) * 100 : 0,
	       100.0 * (double)run.hits / (double)run.lookups,
	       (double)run.reads / slots->n_tokens, (double)run.bundles / slots->n_tokens,
	       lookup_ns / (double)(run.lookups - run.untimed_lookups),
	       offer_ns / (double)(run.offers - run.untimed_offers),
	       (lookup_ns + offer_ns) / 10 / (run.device_us - run.untimed_device_us));
	free(least.lookup_ns);
	free(least.offer_ns);
	return time;
}

static void print_head(const char *title)
{
	printf("\n%s\nKiB  cache   hot  policy      a/token  against   hits    reads  bundles  "
	       "lookup   offer    CPU\n", title);
}

static void all_policies(struct setting setting)
{
	static const uint32_t strides[] = { 1 << 10, 4 << 10, 8 << 10, 16 << 10 };
	static const double ratios[] = { 0.05, 0.2, 0.5 };
	double log_sums[MAX_POLICIES] = { 0 };

	print_head("All policies");
	for (size_t k = 0; k < 4; k++) {
		for (size_t r = 0; r < 3; r++) {
			double first = 0;

			setting.stride = strides[k];
			setting.ratio = ratios[r];
			for (size_t p = 0; (setting.policy = cache_policy_at(p)) != NULL; p++) {
				double time = simulate(&setting, first);

				if (p == 0)
					first = time;
				log_sums[p] += log(time / first);
			}
		}
	}
	printf("\nMean against %s, of all the above (geometric)\n", cache_policy_at(0));
	for (size_t p = 0; cache_policy_at(p); p++)
		printf("%-9s %+6.2f%%\n", cache_policy_at(p), (exp(log_sums[p] / 12) - 1) * 100);
}

static void hot_shares(struct setting setting)
{
	static const char *const policies[] = { "clock", "s3-fifo", "forecast" };
	static const double ratios[] = { 0.05, 0.2, 0.5 }, hot[] = { 0, 0.1, 0.25, 0.5, 0.75 };

	print_head("Hot bundles, against none");
	setting.stride = 4 << 10;
	for (size_t p = 0; p < 3; p++) {
		for (size_t r = 0; r < 3; r++) {
			double first = 0;

			setting.policy = policies[p];
			setting.ratio = ratios[r];
			for (size_t h = 0; h < 5; h++) {
				double time;

				setting.hot = hot[h];
				time = simulate(&setting, first);
				if (h == 0)
					first = time;
			}
		}
	}
}

static void print_sizes(struct setting setting)
{
	printf("\nTables besides the bundles, of a cache of all of them: bytes per bundle\n");
	setting.stride = 1 << 10;
	setting.ratio = 1;
	for (size_t p = 0; (setting.policy = cache_policy_at(p)) != NULL; p++) {
		const struct token_slots *slots = setting.slots;
		struct run run;

		prepare(&run, &setting);
		printf("%-9s %5.1f\n", setting.policy, (double)cache_table_bytes(run.cache) /
			       (double)slots->n_layers / slots->n_slots);
		cache_destroy(run.cache);
		free(run.content);
		free(run.missing);
	}
}

static float *read_frequencies(const struct model_file *model)
{
	size_t n = model->config.n_ffn;
	float *frequency = calloc(model->config.n_layers * n, sizeof(*frequency));
	struct error err;

	if (!frequency)
		abort();
	for (uint32_t layer = 0; layer < model->config.n_layers; layer++)
		must(model_file_read(model, model_file_find(model, MODEL_HINT_FREQUENCY, layer),
				     frequency + layer * n, &err), &err);
	return frequency;
}

int main(int argc, char **argv)
{
	struct model_file *model;
	struct trace *trace;
	struct token_slots slots;
	struct error err;
	float *frequency;

	if (argc != 4) {
		fprintf(stderr, "usage: simulate_cache MODEL TRACE TOKENS\n");
		return 2;
	}
	must(model_file_open(argv[1], &model, &err), &err);
	must(trace_open(argv[2], &trace, &err), &err);
	must(token_slots_read(model, trace, argv[2], 0, (uint32_t)atoi(argv[3]), &slots, &err),
	     &err);
	frequency = read_frequencies(model);
	printf("simulate_cache: device's time per token in a (a/b %d KiB), %u tokens, %u layers of %u "
	       "bundles;\n"
	       "reads and bundles (gaps included) are per token, lookup and offer in ns (least of "
	       "%d runs),\nCPU in shares of the device's time with a = %.1f us\n",
	       GAP >> 10, slots.n_tokens, slots.n_layers, slots.n_slots, REPEATS, A_US);
	all_policies((struct setting){ .slots = &slots, .frequency = frequency });
	hot_shares((struct setting){ .slots = &slots, .frequency = frequency });
	print_sizes((struct setting){ .slots = &slots, .frequency = frequency });
	free(frequency);
	token_slots_free(&slots);
	trace_close(trace);
	model_file_close(model);
	return 0;
}
