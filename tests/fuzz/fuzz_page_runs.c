// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a file's size, a gap, what is resident, and ranges; the runs of pages have to
 * be those of a reference that goes page by page.
 */
#include <errno.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "helpers/page_set.h"

#define MAX_RANGES 64

struct input {
	uint8_t gap_pages;
	uint8_t odd_bytes; /* of the file, beyond whole pages */
	uint16_t file_pages;
	uint8_t resident[PAGE_SET_MAX / 8];
};

/* Offset and length in quarters of a page, or, by the upper bits, far too large or negative. */
struct input_range {
	uint16_t offset;
	uint16_t bytes;
};

static uint64_t scale(uint16_t number)
{
	uint64_t quarter = (uint64_t)1 << (PAGE_SET_SHIFT - 2);

	if (number & 0xc000)
		return (uint64_t)number << 48 | number;
	return (number & 0x7ff) * quarter;
}

static size_t read_ranges(const uint8_t *data, size_t size, struct colink_range *ranges)
{
	size_t n = size / sizeof(struct input_range);

	if (n > MAX_RANGES)
		n = MAX_RANGES;
	for (size_t i = 0; i < n; i++) {
		struct input_range range;

		memcpy(&range, data + i * sizeof(range), sizeof(range));
		ranges[i] = (struct colink_range){
			.offset = scale(range.offset),
			.bytes = scale(range.bytes),
		};
	}
	return n;
}

static bool has_negative(const struct colink_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ranges[i].offset > INT64_MAX || ranges[i].bytes > INT64_MAX)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct page_runs runs;
	struct colink_range ranges[MAX_RANGES];
	struct page_set set = { 0 };
	struct input input;
	uint64_t file_bytes;
	size_t n;
	int ret;

	if (size < sizeof(input))
		return 0;
	memcpy(&input, data, sizeof(input));
	n = read_ranges(data + sizeof(input), size - sizeof(input), ranges);
	file_bytes = ((uint64_t)(input.file_pages % PAGE_SET_MAX) << PAGE_SET_SHIFT) +
		     input.odd_bytes;
	for (size_t page = 0; page < PAGE_SET_MAX; page++)
		set.resident[page] = input.resident[page / 8] >> page % 8 & 1;

	ret = page_runs_make(&runs, ranges, n, file_bytes, PAGE_SET_SHIFT, NULL);
	require(ret == (has_negative(ranges, n) ? -EINVAL : 0));
	if (ret < 0)
		return 0;
	page_set_want(&set, ranges, n, file_bytes);
	page_set_ask(&set, input.gap_pages);
	require(page_set_is(&runs, set.wanted, PAGE_SET_MAX));
	require(page_runs_drop_resident(&runs, page_set_resident, &set) == set.resident_pages);
	require(page_runs_collapse(&runs, input.gap_pages, page_set_resident, &set) ==
		set.gap_pages);
	require(page_set_is(&runs, set.asked, PAGE_SET_MAX));
	return 0;
}
