// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/byte_size.h"

#define MAX_SPECS 32

int usage_error(const struct command *command, const char *format, ...)
{
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	/* One line, whatever was typed. */
	for (char *c = message; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "colink %s: %s (see 'colink %s --help')\n", command->name, message,
		command->name);
	return EXIT_USAGE;
}

bool same_file(const char *path, const char *other)
{
	struct stat a, b;

	if (!path || !other)
		return false;
	return !strcmp(path, other) || (stat(path, &a) == 0 && stat(other, &b) == 0 &&
					a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

static void show_help(const struct command *command, const struct option_spec *specs, size_t n)
{
	printf("colink %s %s\n%s\n\n", command->name, command->arguments, command->summary);
	for (size_t i = 0; i < n; i++) {
		char names[40];
		char letter[5] = "    ";

		if (specs[i].letter)
			snprintf(letter, sizeof(letter), "-%c, ", specs[i].letter);
		snprintf(names, sizeof(names), "%s--%s", letter, specs[i].name);
		printf("  %-22s %s\n", names, specs[i].help);
	}
	printf("      --help             show this\n");
}

/* The whole of `text` as a number of at most `max`. */
static bool parse_unsigned(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && !*end && *value <= max;
}

static bool parse_real(const char *text, double *value)
{
	char *end;

	errno = 0;
	*value = strtod(text, &end);
	return !errno && end != text && !*end && *value == *value;
}

static bool add_string(struct string_list *list, const char *text)
{
	const char **larger = realloc(list->values, (list->count + 1) * sizeof(*larger));

	if (!larger)
		return false;
	list->values = larger;
	list->values[list->count++] = text;
	return true;
}

static bool store_value(const struct option_spec *spec, const char *text)
{
	uint64_t number;

	switch (spec->kind) {
	case OPTION_FLAG:
		*(bool *)spec->value = true;
		return true;
	case OPTION_STRING:
		*(const char **)spec->value = text;
		return true;
	case OPTION_STRINGS:
		return add_string(spec->value, text);
	case OPTION_U32:
		if (!parse_unsigned(text, UINT32_MAX, &number))
			return false;
		*(uint32_t *)spec->value = (uint32_t)number;
		return true;
	case OPTION_U64:
		/* JSON output has signed numbers. */
		return parse_unsigned(text, INT64_MAX, spec->value);
	case OPTION_BYTES:
		return byte_size_parse(text, spec->value);
	case OPTION_REAL:
		return parse_real(text, spec->value);
	}
	return false;
}

static int refuse_value(const struct command *command, const struct option_spec *spec,
			const char *text)
{
	const char *what = spec->kind == OPTION_BYTES ?
				   "size in bytes (K, M or G may follow: 512M)" : "number";

	return usage_error(command, "--%s: '%s' is not a valid %s", spec->name, text, what);
}

static const struct option_spec *by_letter(const struct option_spec *specs, size_t n, int letter)
{
	for (size_t i = 0; i < n; i++)
		if (specs[i].letter && specs[i].letter == letter)
			return &specs[i];
	return NULL;
}

/* getopt's tables: --help is the entry after the specs. */
static void fill_tables(const struct option_spec *specs, size_t n, struct option *longs,
			char *letters)
{
	*letters++ = ':'; /* report a missing argument as ':' */
	for (size_t i = 0; i < n; i++) {
		longs[i] = (struct option){
			.name = specs[i].name,
			.has_arg = specs[i].kind == OPTION_FLAG ? no_argument : required_argument,
		};
		if (!specs[i].letter)
			continue;
		*letters++ = specs[i].letter;
		if (specs[i].kind != OPTION_FLAG)
			*letters++ = ':';
	}
	longs[n] = (struct option){ .name = "help", .has_arg = no_argument };
	longs[n + 1] = (struct option){ 0 };
	*letters = '\0';
}

int options_parse_any(const struct command *command, const struct option_spec *specs,
		      size_t n_specs, int argc, char **argv, char ***positional,
		      size_t *n_positional)
{
	struct option longs[MAX_SPECS + 2];
	char letters[2 * MAX_SPECS + 2];
	struct error err;
	int c, index;

	fill_tables(specs, n_specs, longs, letters);
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, letters, longs, &index)) != -1) {
		const struct option_spec *spec;

		if (c == ':')
			return usage_error(command, "%s needs an argument", argv[optind - 1]);
		if (c == '?' && optopt) /* getopt may still be inside a word like -xyz */
			return usage_error(command, "unknown option -%c", optopt);
		if (c == '?')
			return usage_error(command, "unknown option %s", argv[optind - 1]);
		if (c == 0 && (size_t)index == n_specs) {
			show_help(command, specs, n_specs);
			return finish_output(&err) < 0 ? report_failure(&err) : EXIT_DONE;
		}
		spec = c ? by_letter(specs, n_specs, c) : &specs[index];
		if (!store_value(spec, optarg))
			return refuse_value(command, spec, optarg);
	}
	*positional = argv + optind;
	*n_positional = (size_t)(argc - optind);
	return -1;
}

int options_parse(const struct command *command, const struct option_spec *specs, size_t n_specs,
		  int argc, char **argv, const char **positional, size_t n_positional)
{
	size_t n_given;
	char **given;
	int status;

	status = options_parse_any(command, specs, n_specs, argc, argv, &given, &n_given);
	if (status >= 0)
		return status;
	if (n_given != n_positional)
		return usage_error(command, "expected: %s", command->arguments);
	for (size_t i = 0; i < n_positional; i++)
		positional[i] = given[i];
	return -1;
}

void string_list_free(struct string_list *list)
{
	free(list->values);
}
