// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench/device_bench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/median.h"
#include "base/proc_io.h"
#include "base/random.h"
#include "bench/device_file.h"
#include "storage/device_fit.h"
#include "storage/source.h"
#include "storage/staging.h"

#define KIB 1024u
#define PAGE 4096u

static const uint32_t sizes[] = {
	4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB,
};
static const uint32_t depths[] = { 1, 4, 8, 16, 32, 64, 128 };
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define N_DEPTHS (sizeof(depths) / sizeof(depths[0]))

/* More in flight saturates any device, and makes a sample of large reads too long. */
#define MOST_IN_FLIGHT (8u << 20)
/* Room for all that is in flight, with what alignment takes. */
#define ARENA_BYTES ((size_t)16 << 20)
#define SAMPLE_US 7000
/* The reads of a sample start and end with the device idle; these make that a small share. */
#define LEAST_FILLS 2
#define MOST_READS 4096
/* Of the time that may pass, for making the file. */
#define WRITE_SECONDS 1.2
#define LEAST_SECONDS 0.05
#define MOST_SECONDS 60.0
/* Reads up to this size say which depth is enough; larger ones need hardly any. */
#define SMALL_BYTES (64 * KIB)
#define ENOUGH 0.9
/* The kernel counts by sectors, and other threads may read at the same time. */
#define FROM_STORAGE 0.98

struct bench {
	const struct device_bench_options *options;
	struct device_result *result;
	struct device_file file;
	struct random_state random;
	char *arena;
	struct source *sources[N_DEPTHS]; /* NULL: not measured */
	struct source_read *reads; /* (MOST_READS) */
};

int device_bench_check(const struct device_bench_options *options, struct error *err)
{
	if (options->file_bytes < DEVICE_BENCH_LEAST_BYTES || options->file_bytes > INT64_MAX)
		return error_set(err, -EINVAL, "a file of %llu MiB: has to be of %llu at least",
				 (unsigned long long)(options->file_bytes >> 20),
				 (unsigned long long)(DEVICE_BENCH_LEAST_BYTES >> 20));
	if (!(options->seconds >= LEAST_SECONDS && options->seconds <= MOST_SECONDS))
		return error_set(err, -EINVAL, "%g seconds: have to be from %g to %g",
				 options->seconds, LEAST_SECONDS, MOST_SECONDS);
	return 0;
}

/* One source for each depth. What reads one after the other has but one depth. */
static int open_sources(struct bench *bench, struct error *err)
{
	const struct source *last = NULL;

	for (size_t i = 0; i < N_DEPTHS; i++) {
		int ret = source_open(bench->options->source, bench->file.open_path, bench->arena,
				      ARENA_BYTES, depths[i], &bench->sources[i], err);

		if (ret < 0)
			return ret;
		last = bench->sources[i];
		if (strcmp(source_name(last), "uring") != 0)
			break;
	}
	snprintf(bench->result->source, sizeof(bench->result->source), "%s", source_describe(last));
	return 0;
}

static int prepare(struct bench *bench, struct error *err)
{
	const struct device_bench_options *options = bench->options;
	int ret;

	ret = device_file_open(options->path, options->file_bytes, DEVICE_BENCH_LEAST_BYTES,
			       WRITE_SECONDS, options->seed, &bench->file, err);
	if (ret < 0)
		return ret;
	bench->result->file_bytes = bench->file.bytes;
	bench->reads = calloc(MOST_READS, sizeof(*bench->reads));
	bench->arena = staging_map(ARENA_BYTES);
	if (!bench->reads || !bench->arena)
		return error_no_memory(err, "the reads of a benchmark");
	/* Page faults are no cost of the device. */
	memset(bench->arena, 1, ARENA_BYTES);
	random_seed(&bench->random, options->seed);
	return open_sources(bench, err);
}

static void clean_up(struct bench *bench)
{
	for (size_t i = 0; i < N_DEPTHS; i++)
		source_close(bench->sources[i]);
	staging_unmap(bench->arena, ARENA_BYTES);
	free(bench->reads);
	device_file_close(&bench->file);
}

static void make_cells(struct bench *bench)
{
	struct device_result *result = bench->result;

	for (size_t s = 0; s < N_SIZES; s++)
		for (size_t d = 0; d < N_DEPTHS && bench->sources[d]; d++)
			if ((uint64_t)sizes[s] * depths[d] <= MOST_IN_FLIGHT)
				result->cells[result->n_cells++] = (struct device_cell){
					.bytes = sizes[s],
					.depth = depths[d],
					.n_reads = LEAST_FILLS * depths[d],
				};
}

static struct source *source_of(const struct bench *bench, uint32_t depth)
{
	size_t d = 0;

	while (depths[d] != depth)
		d++;
	return bench->sources[d];
}

/*
 * Pages anywhere in the file. Nobody looks at what was read, so that reads may share room:
 * as much as there is in flight is enough.
 */
static void draw_reads(struct bench *bench, const struct device_cell *cell, size_t room)
{
	uint64_t places = (bench->file.bytes - cell->bytes) / PAGE + 1;
	size_t step = (room + PAGE - 1) / PAGE * PAGE, n_rooms = ARENA_BYTES / step;

	for (uint32_t i = 0; i < cell->n_reads; i++)
		bench->reads[i] = (struct source_read){
			.offset = random_below(&bench->random, places) * PAGE,
			.length = cell->bytes,
			.room = bench->arena + i % n_rooms * step,
		};
}

/* As many reads as take the time that a sample should, by what this one took. */
static uint32_t next_reads(const struct device_cell *cell, double us)
{
	double reads = fmin(SAMPLE_US / us, MOST_READS);
	uint32_t least = LEAST_FILLS * cell->depth;

	return reads > least ? (uint32_t)reads : least;
}

static int take_sample(struct bench *bench, struct device_cell *cell, struct error *err)
{
	struct source *source = source_of(bench, cell->depth);
	double begin, us;
	int ret;

	draw_reads(bench, cell, source_room(source, cell->bytes));
	if (!source_is_direct(source))
		device_file_evict(&bench->file);
	begin = clock_ms();
	ret = source_submit(source, bench->reads, cell->n_reads, err);
	if (ret == 0)
		ret = source_wait(source, bench->reads, cell->n_reads, err);
	if (ret < 0)
		return ret;
	us = (clock_ms() - begin) * 1e3 / cell->n_reads;
	cell->us[cell->n_samples++] = us;
	cell->n_reads = next_reads(cell, us);
	return 0;
}

/* The first round is measured whatever it takes; it is what there has to be. */
static int measure(struct bench *bench, struct progress *progress, struct error *err)
{
	struct device_result *result = bench->result;
	double begin = clock_ms(), most = bench->options->seconds * 1e3, spent = 0;
	uint32_t order[DEVICE_BENCH_CELLS];

	for (uint32_t round = 0; round < DEVICE_BENCH_ROUNDS && spent < most; round++) {
		random_permutation(&bench->random, order, result->n_cells);
		for (uint32_t i = 0; i < result->n_cells && (round == 0 || spent < most); i++) {
			int ret = take_sample(bench, &result->cells[order[i]], err);

			if (ret < 0)
				return ret;
			spent = clock_ms() - begin;
			progress_report(progress, fmin(spent, most), most);
		}
	}
	return 0;
}

static int count_bytes(const struct bench *bench, uint64_t *bytes, struct error *err)
{
	*bytes = 0;
	for (size_t i = 0; i < N_DEPTHS && bench->sources[i]; i++) {
		struct source_counts counts;
		int ret = source_get_counts(bench->sources[i], &counts, err);

		if (ret < 0)
			return ret;
		*bytes += counts.bytes;
	}
	return 0;
}

/* What memory answers costs nothing, and would be taken for a miracle of a device. */
static int check_storage(const struct bench *bench, const struct proc_io *before, struct error *err)
{
	struct proc_io after;
	uint64_t asked, came;
	int ret;

	if (proc_io_read(&after) < 0)
		return 0;
	ret = count_bytes(bench, &asked, err);
	if (ret < 0)
		return ret;
	came = after.read_bytes - before->read_bytes;
	if ((double)came < FROM_STORAGE * (double)asked)
		return error_set(err, -ENODATA, "%s: of %llu MiB that were read %llu came from "
				 "storage: it is not, or not all, on a disk", bench->file.path,
				 (unsigned long long)(asked >> 20),
				 (unsigned long long)(came >> 20));
	return 0;
}

static double best_us(const struct device_result *result, uint32_t bytes)
{
	double best = INFINITY;

	for (uint32_t i = 0; i < result->n_cells; i++)
		if (result->cells[i].bytes == bytes)
			best = fmin(best, result->cells[i].median_us);
	return best;
}

static const struct device_cell *cell_at(const struct device_result *result, uint32_t bytes,
					 uint32_t depth)
{
	const struct device_cell *deepest = NULL;

	for (uint32_t i = 0; i < result->n_cells; i++) {
		const struct device_cell *cell = &result->cells[i];

		if (cell->bytes == bytes && cell->depth <= depth)
			deepest = cell;
	}
	return deepest;
}

const struct device_cell *device_result_cell(const struct device_result *result, uint32_t bytes)
{
	return cell_at(result, bytes, result->queue_depth);
}

/* The mean over small sizes of the I/Os per second at a depth, as a share of the most. */
static double share_at(const struct device_result *result, uint32_t depth)
{
	double sum = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < result->n_cells; i++) {
		const struct device_cell *cell = &result->cells[i];

		if (cell->bytes > SMALL_BYTES || cell->depth != depth)
			continue;
		sum += best_us(result, cell->bytes) / cell->median_us;
		n++;
	}
	return n ? sum / n : 0;
}

/* Cells are by size, then by depth: the first of them have all depths. */
static uint32_t choose_depth(const struct device_result *result)
{
	double most = 0;

	for (uint32_t i = 0; i < result->n_cells; i++)
		most = fmax(most, share_at(result, result->cells[i].depth));
	for (uint32_t i = 0; i < result->n_cells; i++)
		if (share_at(result, result->cells[i].depth) >= ENOUGH * most)
			return result->cells[i].depth;
	return 0;
}

/*
 * More does not come faster: as many reads are in flight as are enough, or as many bytes as
 * there are in so many of the larger small ones.
 */
static bool is_saturated(const struct device_result *result, const struct device_cell *cell)
{
	return cell->depth >= result->queue_depth ||
	       (uint64_t)cell->depth * cell->bytes >= (uint64_t)result->queue_depth * SMALL_BYTES;
}

int device_result_fit(struct device_result *result, struct error *err)
{
	struct device_point *points;
	size_t n = 0;
	int ret;

	for (uint32_t i = 0; i < result->n_cells; i++) {
		struct device_cell *cell = &result->cells[i];

		cell->median_us = median(cell->us, cell->n_samples);
	}
	result->queue_depth = choose_depth(result);
	points = calloc(DEVICE_BENCH_CELLS * DEVICE_BENCH_ROUNDS, sizeof(*points));
	if (!points)
		return error_no_memory(err, "the samples of a device");
	for (uint32_t i = 0; i < result->n_cells; i++) {
		const struct device_cell *cell = &result->cells[i];

		if (!is_saturated(result, cell))
			continue;
		for (uint32_t s = 0; s < cell->n_samples; s++)
			points[n++] = (struct device_point){ cell->bytes, cell->us[s] };
	}
	ret = device_fit(points, n, &result->cost, err);
	free(points);
	return ret;
}

int device_bench(const struct device_bench_options *options, struct device_result *result,
		 struct progress *progress, struct error *err)
{
	struct bench bench = { .options = options, .result = result, .file.fd = -1 };
	double begin = clock_ms();
	struct proc_io before;
	bool counted;
	int ret;

	*result = (struct device_result){ 0 };
	ret = device_bench_check(options, err);
	if (ret == 0)
		ret = prepare(&bench, err);
	if (ret < 0)
		goto out;
	make_cells(&bench);
	counted = proc_io_read(&before) == 0;
	ret = measure(&bench, progress, err);
	if (ret == 0 && counted)
		ret = check_storage(&bench, &before, err);
	if (ret == 0)
		ret = device_result_fit(result, err);
out:
	clean_up(&bench);
	result->seconds = (clock_ms() - begin) * 1e-3;
	return ret;
}
