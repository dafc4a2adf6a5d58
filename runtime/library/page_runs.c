// SPDX-License-Identifier: GPL-2.0-only
#include "library/page_runs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int reserve(struct page_runs *runs, size_t n, struct error *err)
{
	runs->n = 0;
	if (n <= runs->capacity)
		return 0;
	page_runs_free(runs);
	if (n <= SIZE_MAX / sizeof(*runs->runs))
		runs->runs = malloc(n * sizeof(*runs->runs));
	if (!runs->runs)
		return error_no_memory(err, "ranges to prefetch");
	runs->capacity = n;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct page_run *one = a, *other = b;

	return (one->begin > other->begin) - (one->begin < other->begin);
}

/* Callers mostly ask in order, which costs them no sorting. */
static bool is_sorted(const struct page_runs *runs)
{
	for (size_t i = 1; i < runs->n; i++)
		if (runs->runs[i].begin < runs->runs[i - 1].begin)
			return false;
	return true;
}

static void join(struct page_runs *runs)
{
	size_t n = 0;

	for (size_t i = 0; i < runs->n; i++) {
		struct page_run run = runs->runs[i];

		if (n && run.begin <= runs->runs[n - 1].end) {
			if (run.end > runs->runs[n - 1].end)
				runs->runs[n - 1].end = run.end;
		} else {
			runs->runs[n++] = run;
		}
	}
	runs->n = n;
}

int page_runs_make(struct page_runs *runs, const struct colink_range *ranges, size_t n,
		   uint64_t file_bytes, unsigned int page_shift, struct error *err)
{
	int ret = reserve(runs, n, err);

	if (ret < 0)
		return ret;
	for (size_t i = 0; i < n; i++) {
		uint64_t offset = ranges[i].offset, bytes = ranges[i].bytes;

		if (offset > INT64_MAX || bytes > INT64_MAX) {
			runs->n = 0;
			return error_set(err, -EINVAL, "range %zu of %zu: %s over INT64_MAX "
					 "(was it negative?)", i, n,
					 offset > INT64_MAX ? "an offset" : "a length");
		}
		if (bytes == 0 || offset >= file_bytes)
			continue;
		if (bytes > file_bytes - offset)
			bytes = file_bytes - offset;
		runs->runs[runs->n++] = (struct page_run){
			.begin = offset >> page_shift,
			.end = ((offset + bytes - 1) >> page_shift) + 1,
		};
	}
	if (!is_sorted(runs))
		qsort(runs->runs, runs->n, sizeof(*runs->runs), compare);
	join(runs);
	return 0;
}

int page_runs_copy(struct page_runs *to, const struct page_runs *from, struct error *err)
{
	int ret = reserve(to, from->n, err);

	if (ret < 0 || from->n == 0)
		return ret;
	memcpy(to->runs, from->runs, from->n * sizeof(*from->runs));
	to->n = from->n;
	return 0;
}

uint64_t page_runs_drop_resident(struct page_runs *runs, page_runs_resident *resident,
				 void *context)
{
	uint64_t found = 0;
	size_t n = 0;

	for (size_t i = 0; i < runs->n; i++) {
		struct page_run run = runs->runs[i];
		uint64_t pages = resident(context, run.begin, run.end);

		found += pages;
		if (pages < run.end - run.begin)
			runs->runs[n++] = run;
	}
	runs->n = n;
	return found;
}

uint64_t page_runs_collapse(struct page_runs *runs, uint64_t gap_pages,
			    page_runs_resident *resident, void *context)
{
	uint64_t gaps = 0;
	size_t n = 0;

	for (size_t i = 0; i < runs->n; i++) {
		struct page_run run = runs->runs[i];
		uint64_t from = n ? runs->runs[n - 1].end : 0;

		/* A gap that is partly there would be two gaps and no I/O less. */
		if (n && run.begin - from <= gap_pages &&
		    (!resident || resident(context, from, run.begin) == 0)) {
			gaps += run.begin - from;
			runs->runs[n - 1].end = run.end;
		} else {
			runs->runs[n++] = run;
		}
	}
	runs->n = n;
	return gaps;
}

uint64_t page_runs_pages(const struct page_runs *runs)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < runs->n; i++)
		pages += runs->runs[i].end - runs->runs[i].begin;
	return pages;
}

void page_runs_free(struct page_runs *runs)
{
	free(runs->runs);
	*runs = (struct page_runs){ 0 };
}
