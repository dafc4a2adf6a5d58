// SPDX-License-Identifier: GPL-2.0-only
/* Text and JSON of what io_stat counted. Every figure is explained in commands/stat.rst. */
#include "cli/stat_report.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/ratio.h"
#include "cli/cli.h"

/* Columns of a name; a longer one shows its end, where paths differ. */
#define NAME_COLUMNS 22

/* Counters are all u64, so that a struct of them is an array. */
static void subtract(void *difference, const void *now, const void *before, size_t bytes)
{
	__u64 *d = difference;
	const __u64 *a = now, *b = before;

	for (size_t i = 0; i < bytes / sizeof(d[0]); i++)
		d[i] = a[i] - b[i];
}

static struct io_figures figures_between(const struct io_figures *now,
					 const struct io_figures *before)
{
	struct io_figures difference;

	subtract(&difference, now, before, sizeof(difference));
	return difference;
}

static struct io_cache cache_between(const struct io_cache *now, const struct io_cache *before)
{
	struct io_cache difference;

	subtract(&difference, now, before, sizeof(difference));
	return difference;
}

static uint64_t hits(const struct io_cache *cache)
{
	return cache->read_hits + cache->fault_hits;
}

static uint64_t misses(const struct io_cache *cache)
{
	return cache->read_misses + cache->fault_misses;
}

/*
 * Counters are not read at one instant: a page may have been used before the counter of
 * those brought in was read, and be missing there.
 */
static int64_t waiting(const struct io_cache *cache)
{
	int64_t left = (int64_t)(cache->prefetched - cache->used - cache->mapped - cache->evicted);

	return left > 0 ? left : 0;
}

/* --- Text --- */

struct screen {
	bool in_place;
	int lines_left; /* of the terminal */
};

/* What does not fit on the terminal is left out, as it would scroll. */
static bool begin_line(struct screen *screen)
{
	return !screen->in_place || screen->lines_left-- > 0;
}

static void end_line(const struct screen *screen)
{
	printf(screen->in_place ? "\033[K\n" : "\n");
}

static void show_name(const char *name)
{
	size_t length = strlen(name);

	if (length > NAME_COLUMNS)
		printf("...%s", name + length - (NAME_COLUMNS - 3));
	else
		printf("%-*s", NAME_COLUMNS, name);
}

static void show_rates(const char *name, const struct io_figures *figures, double seconds)
{
	double reads = (double)figures->reads;

	show_name(name);
	printf(" %9.1f %8.1f %8.1f %8.1f %% %8.2f", reads / seconds,
	       (double)figures->read_bytes / seconds / (1 << 20),
	       ratio((double)figures->read_bytes / 1024, reads),
	       100 * ratio((double)figures->sequential, (double)figures->timed),
	       ratio((double)figures->read_ns * 1e-6, (double)figures->timed));
}

static const char *size_name(size_t bucket, char *out, size_t room)
{
	uint64_t bytes = 1ULL << (bucket + IO_SIZE_SHIFT);

	if (bytes < 1024)
		snprintf(out, room, "%u B", (unsigned int)bytes);
	else if (bytes < 1 << 20)
		snprintf(out, room, "%u K", (unsigned int)(bytes >> 10));
	else
		snprintf(out, room, "%u M", (unsigned int)(bytes >> 20));
	return out;
}

static const char *latency_name(size_t bucket, char *out, size_t room)
{
	double us = (double)(1ULL << bucket);

	if (us < 1e3)
		snprintf(out, room, "%.0f us", us);
	else if (us < 1e6)
		snprintf(out, room, "%.3g ms", us * 1e-3);
	else
		snprintf(out, room, "%.3g s", us * 1e-6);
	return out;
}

static void show_histogram(struct screen *screen, const char *title, const __u64 *counts,
			   size_t n, const char *(*bucket_name)(size_t, char *, size_t))
{
	uint64_t sum = 0;
	char name[32];

	for (size_t i = 0; i < n; i++)
		sum += counts[i];
	if (!sum || !begin_line(screen))
		return;
	printf("  %-8s", title);
	for (size_t i = 0; i < n; i++)
		if (counts[i])
			printf("  %s+ %.0f %%", bucket_name(i, name, sizeof(name)),
			       100 * ratio((double)counts[i], (double)sum));
	end_line(screen);
}

static void show_histograms(struct screen *screen, const struct io_figures *figures)
{
	show_histogram(screen, "size", figures->sizes, IO_SIZES, size_name);
	show_histogram(screen, "latency", figures->latencies, IO_LATENCIES, latency_name);
}

static void show_heading(struct screen *screen, const char *what, const char *more)
{
	if (begin_line(screen))
		end_line(screen);
	if (!begin_line(screen))
		return;
	printf("%-*s %9s %8s %8s %10s %8s%s", NAME_COLUMNS, what, "reads/s", "MiB/s", "KiB/read",
	       "sequential", "mean ms", more);
	end_line(screen);
}

static void show_disks(struct screen *screen, const struct stat_interval *interval)
{
	if (interval->now->n_disks)
		show_heading(screen, "disk", "  writes/s");
	for (size_t i = 0; i < interval->now->n_disks; i++) {
		const struct io_stat_disk *disk = &interval->now->disks[i];
		struct io_figures figures = figures_between(&disk->figures,
							    &interval->before->disks[i].figures);

		if (!disk->name[0] || !begin_line(screen))
			continue;
		show_rates(disk->name, &figures, interval->seconds);
		printf(" %9.1f", (double)figures.writes / interval->seconds);
		end_line(screen);
		show_histograms(screen, &figures);
	}
}

static void show_prefetched(struct screen *screen, const struct io_cache *all)
{
	if (!all->asked || !begin_line(screen))
		return;
	printf("  prefetched since the start: %llu pages: %llu used, %llu mapped, %llu evicted "
	       "unused, %lld waiting", (unsigned long long)all->prefetched,
	       (unsigned long long)all->used, (unsigned long long)all->mapped,
	       (unsigned long long)all->evicted, (long long)waiting(all));
	end_line(screen);
}

static void show_files(struct screen *screen, const struct stat_interval *interval)
{
	if (interval->now->n_files)
		show_heading(screen, "file", "    hits/s  misses/s");
	for (size_t i = 0; i < interval->now->n_files; i++) {
		const struct io_stat_file *file = &interval->now->files[i];
		const struct io_stat_file *before = &interval->before->files[i];
		struct io_figures figures = figures_between(&file->figures, &before->figures);
		struct io_cache cache = cache_between(&file->cache, &before->cache);

		if (!begin_line(screen))
			continue;
		show_rates(file->name, &figures, interval->seconds);
		printf(" %9.1f %9.1f", (double)hits(&cache) / interval->seconds,
		       (double)misses(&cache) / interval->seconds);
		end_line(screen);
		show_histograms(screen, &figures);
		show_prefetched(screen, &file->cache);
	}
}

static uint64_t total_lost(const struct io_stat_snapshot *snapshot)
{
	uint64_t sum = snapshot->lost_events;

	for (size_t i = 0; i < IO_LOST_COUNTERS; i++)
		sum += snapshot->lost[i];
	return sum;
}

static int terminal_lines(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : 24;
}

void stat_show(const struct stat_interval *interval, const char *missing, bool in_place)
{
	struct screen screen = { in_place, in_place ? terminal_lines() - 1 : 0 };

	if (in_place)
		printf("\033[H");
	if (begin_line(&screen)) {
		printf("%.1f s, the last %.1f s:", interval->end, interval->seconds);
		end_line(&screen);
	}
	if (missing && begin_line(&screen)) {
		printf("Not seen: %s", missing);
		end_line(&screen);
	}
	if (total_lost(interval->now) && begin_line(&screen)) {
		printf("Lost since the start: %llu events (--json says which)",
		       (unsigned long long)total_lost(interval->now));
		end_line(&screen);
	}
	show_disks(&screen, interval);
	show_files(&screen, interval);
	printf(in_place ? "\033[J" : "\n");
}

/* --- JSON --- */

static json_int_t integer(uint64_t value)
{
	return (json_int_t)value;
}

/* Buckets that are not empty, each with where it begins. */
static json_t *histogram_json(const char *unit, const __u64 *counts, size_t n,
			      unsigned int shift)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (counts[i])
			json_array_append_new(array, json_pack("{s:I, s:I}", unit,
				integer(1ULL << (i + shift)), "reads", integer(counts[i])));
	return array;
}

static json_t *figures_json(const char *name, const struct io_figures *figures)
{
	return json_pack("{s:o, s:I, s:I, s:f, s:f, s:f, s:o, s:o}",
		"name", json_text(name),
		"reads", integer(figures->reads),
		"read_bytes", integer(figures->read_bytes),
		"read_bytes_mean", ratio((double)figures->read_bytes, (double)figures->reads),
		"sequential_share", ratio((double)figures->sequential, (double)figures->timed),
		"latency_us_mean", ratio((double)figures->read_ns * 1e-3, (double)figures->timed),
		"sizes", histogram_json("bytes", figures->sizes, IO_SIZES, IO_SIZE_SHIFT),
		"latencies", histogram_json("us", figures->latencies, IO_LATENCIES, 0));
}

static json_t *cache_json(const struct io_cache *cache)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:f}",
		"read_hits", integer(cache->read_hits),
		"read_misses", integer(cache->read_misses),
		"fault_hits", integer(cache->fault_hits),
		"fault_misses", integer(cache->fault_misses),
		"hit_share", ratio((double)hits(cache), (double)(hits(cache) + misses(cache))));
}

static json_t *prefetch_json(const struct io_cache *cache)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"asked", integer(cache->asked),
		"prefetched", integer(cache->prefetched),
		"wanted", integer(cache->wanted),
		"used", integer(cache->used),
		"mapped", integer(cache->mapped),
		"evicted_unused", integer(cache->evicted),
		"waiting", (json_int_t)waiting(cache));
}

static json_t *disk_json(const struct io_stat_disk *disk)
{
	const struct io_figures *figures = &disk->figures;
	json_t *object = figures_json(disk->name, figures);

	json_object_set_new(object, "writes", json_integer(integer(figures->writes)));
	json_object_set_new(object, "write_bytes", json_integer(integer(figures->write_bytes)));
	return object;
}

static json_t *file_json(const struct io_stat_file *file)
{
	json_t *object = figures_json(file->name, &file->figures);

	json_object_set_new(object, "cache", cache_json(&file->cache));
	json_object_set_new(object, "prefetch", prefetch_json(&file->cache));
	return object;
}

static json_t *sample_json(const char *name, const struct io_figures *figures, double seconds)
{
	return json_pack("{s:o, s:f, s:f, s:f, s:f, s:f}",
		"name", json_text(name),
		"reads_per_s", (double)figures->reads / seconds,
		"read_bytes_per_s", (double)figures->read_bytes / seconds,
		"read_bytes_mean", ratio((double)figures->read_bytes, (double)figures->reads),
		"sequential_share", ratio((double)figures->sequential, (double)figures->timed),
		"latency_us_mean", ratio((double)figures->read_ns * 1e-3, (double)figures->timed));
}

static json_t *disk_samples(const struct stat_interval *interval)
{
	json_t *array = json_array();

	for (size_t i = 0; i < interval->now->n_disks; i++) {
		const struct io_stat_disk *disk = &interval->now->disks[i];
		struct io_figures figures = figures_between(&disk->figures,
							    &interval->before->disks[i].figures);

		/* Idle ones would fill the memory of a long run. */
		if (figures.reads)
			json_array_append_new(array, sample_json(disk->name, &figures,
								 interval->seconds));
	}
	return array;
}

static json_t *file_samples(const struct stat_interval *interval)
{
	json_t *array = json_array(), *object;

	for (size_t i = 0; i < interval->now->n_files; i++) {
		const struct io_stat_file *file = &interval->now->files[i];
		const struct io_stat_file *before = &interval->before->files[i];
		struct io_figures figures = figures_between(&file->figures, &before->figures);
		struct io_cache cache = cache_between(&file->cache, &before->cache);

		object = sample_json(file->name, &figures, interval->seconds);
		json_object_set_new(object, "hits", json_integer(integer(hits(&cache))));
		json_object_set_new(object, "misses", json_integer(integer(misses(&cache))));
		json_object_set_new(object, "prefetched", json_integer(integer(cache.prefetched)));
		json_object_set_new(object, "used", json_integer(integer(cache.used)));
		json_array_append_new(array, object);
	}
	return array;
}

json_t *stat_sample_json(const struct stat_interval *interval)
{
	return json_pack("{s:f, s:f, s:o, s:o}",
		"end_s", interval->end,
		"seconds", interval->seconds,
		"disks", disk_samples(interval),
		"files", file_samples(interval));
}

static json_t *lost_json(const struct io_stat_snapshot *snapshot)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}",
		"events", integer(snapshot->lost_events),
		"latencies", integer(snapshot->lost[IO_LOST_FLIGHTS]),
		"pages", integer(snapshot->lost[IO_LOST_PAGES]),
		"reads", integer(snapshot->lost[IO_LOST_READS]),
		"disks", integer(snapshot->lost[IO_LOST_DISKS]));
}

json_t *stat_json(const struct io_stat_snapshot *now, double seconds, double interval,
		  const char *missing, json_t *samples)
{
	json_t *disks = json_array(), *files = json_array();

	for (size_t i = 0; i < now->n_disks; i++)
		if (now->disks[i].name[0])
			json_array_append_new(disks, disk_json(&now->disks[i]));
	for (size_t i = 0; i < now->n_files; i++)
		json_array_append_new(files, file_json(&now->files[i]));
	return json_pack("{s:f, s:f, s:s?, s:o, s:o, s:o, s:o}",
		"seconds", seconds,
		"interval_s", interval,
		"missing", missing,
		"lost", lost_json(now),
		"disks", disks,
		"files", files,
		"samples", samples);
}
