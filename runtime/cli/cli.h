/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the commands share: options, one-line errors, JSON, progress. Each command
 * is one file, cmd_NAME.c, with one function; main.c has the table.
 */
#ifndef COLINK_CLI_CLI_H
#define COLINK_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

struct command {
	const char *name;
	const char *arguments; /* as the usage line shows them */
	const char *summary;
	int (*run)(const struct command *command, int argc, char **argv);
};

int cmd_bench(const struct command *command, int argc, char **argv);
int cmd_eval(const struct command *command, int argc, char **argv);
int cmd_import(const struct command *command, int argc, char **argv);
int cmd_info(const struct command *command, int argc, char **argv);
int cmd_link(const struct command *command, int argc, char **argv);
int cmd_load(const struct command *command, int argc, char **argv);
int cmd_logits(const struct command *command, int argc, char **argv);
int cmd_pack(const struct command *command, int argc, char **argv);
int cmd_place(const struct command *command, int argc, char **argv);
int cmd_run(const struct command *command, int argc, char **argv);
int cmd_stat(const struct command *command, int argc, char **argv);
int cmd_synth(const struct command *command, int argc, char **argv);
int cmd_tokenize(const struct command *command, int argc, char **argv);
int cmd_trace(const struct command *command, int argc, char **argv);
int cmd_train(const struct command *command, int argc, char **argv);
int cmd_unload(const struct command *command, int argc, char **argv);
int cmd_verify(const struct command *command, int argc, char **argv);

/* The benchmarks that cmd_bench() knows: bench_NAME.c. */
int bench_device(const struct command *command, int argc, char **argv);
int bench_io(const struct command *command, int argc, char **argv);
int bench_place(const struct command *command, int argc, char **argv);
int bench_prefetch(const struct command *command, int argc, char **argv);
int bench_replay(const struct command *command, int argc, char **argv);
int bench_touch(const struct command *command, int argc, char **argv);

/* --- options.c --- */

/* Whether both name one file, that is there or, by the same words, is to be: NULL never does. */
bool same_file(const char *path, const char *other);

/* Values of an option that may be given more than once. */
struct string_list {
	const char **values;
	size_t count;
};

enum option_kind {
	OPTION_FLAG, /* bool */
	OPTION_STRING, /* const char * */
	OPTION_STRINGS, /* struct string_list */
	OPTION_U32, /* uint32_t */
	OPTION_U64, /* uint64_t */
	OPTION_BYTES, /* uint64_t, as base/byte_size.h reads it */
	OPTION_REAL, /* double */
};

struct option_spec {
	const char *name; /* without "--" */
	char letter; /* short form, or 0 */
	enum option_kind kind;
	void *value; /* of the kind's type; keeps its default when not given */
	const char *help; /* with the argument's name first: "FILE: write to FILE" */
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Parse argv against the specs; exactly `n_positional` other arguments go to
 * `positional`. -1: go on; otherwise the status to exit with (--help was shown, or
 * one line on what is wrong).
 */
int options_parse(const struct command *command, const struct option_spec *specs, size_t n_specs,
		  int argc, char **argv, const char **positional, size_t n_positional);

/* The same for any number of other arguments: *positional points to them in argv. */
int options_parse_any(const struct command *command, const struct option_spec *specs,
		      size_t n_specs, int argc, char **argv, char ***positional,
		      size_t *n_positional);

void string_list_free(struct string_list *list);

/* "colink NAME: message" and the hint to --help on stderr; EXIT_USAGE. */
int usage_error(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* --- output.c --- */

/* "colink: message" on stderr; EXIT_FAILED. */
int report_failure(const struct error *err);

/* Print one JSON object and a newline on stdout, and release it. */
int print_json(json_t *object, struct error *err);

/* Flush stdout; a full disk or a closed pipe shows here. */
int finish_output(struct error *err);

/*
 * A JSON string of a name from outside, whose bytes need not be UTF-8: what is not, is replaced
 * by U+FFFD. NULL: no memory, or no text.
 */
json_t *json_text(const char *text);

/* A JSON number, or null for one that is too large for JSON. */
json_t *json_u64(uint64_t value);

/* A JSON array of unsigned numbers. */
json_t *json_u32s(const uint32_t *values, size_t count);

/* "1.5 GiB" into a buffer of HUMAN_SIZE bytes; returns the buffer. */
#define HUMAN_SIZE 32
char *human_bytes(uint64_t bytes, char out[HUMAN_SIZE]);

/* Bytes in so many MiB, or in as many as can be counted. */
uint64_t mib_bytes(uint64_t mib);

/* Seconds on a clock that only goes forward. */
double now_seconds(void);

/* --- progress_bar.c --- */

#define PROGRESS_DOING_SIZE 32

/*
 * A bar with the time left, and with what is being done where the work tells, on stderr when
 * that is a terminal, and how long the step took when it is done; nothing otherwise. It fits
 * into 80 columns. One step at a time.
 */
struct progress_bar {
	struct progress progress; /* give this to the work */
	const char *step;
	char doing[PROGRESS_DOING_SIZE]; /* "": the work does not tell */
	double started;
	double drawn;
	double share; /* of the work that is done, 0 to 1 */
	bool terminal;
};

void progress_begin(struct progress_bar *bar, const char *step);
/* The step is over (well or not): take the bar away, say how long it took if it went well. */
void progress_end(struct progress_bar *bar, bool done);

#endif
