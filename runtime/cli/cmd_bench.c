// SPDX-License-Identifier: GPL-2.0-only
/* colink bench: finds the benchmark and runs it. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct command benchmarks[] = {
	{ "bench device", "[PATH] [options]",
	  "Find what an I/O costs on the device under a path, for the engine to plan with.",
	  bench_device },
	{ "bench io", "MODEL --trace FILE [options]",
	  "Time what storage does for a token, by the engine, its parts, and its opponents.",
	  bench_io },
	{ "bench place", "SHAPE [options]",
	  "Place a model of a shape by each method, and tell the device time of its orders.",
	  bench_place },
	{ "bench prefetch", "[options]",
	  "Time how scattered extents of a file come into the page cache, by each method.",
	  bench_prefetch },
	{ "bench replay", "MODEL --trace FILE [options]",
	  "Read what a trace's tokens want through the whole engine, as run does, without computing.",
	  bench_replay },
	{ "bench touch", "MODEL --trace FILE [options]",
	  "Time a program that maps a model and knows nothing, with and without colink load.",
	  bench_touch },
};

static void show_benchmarks(FILE *out)
{
	fprintf(out, "usage: colink bench BENCHMARK [options]\n\n");
	for (size_t i = 0; i < COUNT_OF(benchmarks); i++)
		fprintf(out, "  %-15s %s\n", benchmarks[i].name, benchmarks[i].summary);
}

int cmd_bench(const struct command *command, int argc, char **argv)
{
	struct error err;

	if (argc < 2)
		return usage_error(command, "which benchmark?");
	if (!strcmp(argv[1], "--help")) {
		show_benchmarks(stdout);
		return finish_output(&err) < 0 ? report_failure(&err) : EXIT_DONE;
	}
	for (size_t i = 0; i < COUNT_OF(benchmarks); i++)
		if (!strcmp(argv[1], benchmarks[i].name + strlen("bench ")))
			return benchmarks[i].run(&benchmarks[i], argc - 1, argv + 1);
	return usage_error(command, "unknown benchmark '%s'", argv[1]);
}
