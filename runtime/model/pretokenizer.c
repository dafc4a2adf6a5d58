// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pattern is the one of GPT-2's encoder. Blanks are written out as the
 * characters with Unicode's property White_Space, as Python's `regex` module has
 * them; PCRE2's own \s is another set: without PCRE2_UCP it knows six ASCII
 * characters, with it also U+180E, which lost the property in Unicode 6.3.
 *
 * Letters and numbers are those of the Unicode version PCRE2 was built with (14
 * for 10.42). Characters assigned later count as signs.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/pretokenizer.h"

#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>

#define BLANKS \
	"\\x09-\\x0d\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}" \
	"\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

/* Of a run of blanks before a word, the last one is left to the word. */
static const char pattern[] = "'s|'t|'re|'ve|'m|'ll|'d"
			      "| ?\\p{L}+"
			      "| ?\\p{N}+"
			      "| ?[^" BLANKS "\\p{L}\\p{N}]+"
			      "|[" BLANKS "]+(?![^" BLANKS "])"
			      "|[" BLANKS "]+";

struct pretokenizer {
	pcre2_code *code;
};

struct splitter {
	const pcre2_code *code;
	pcre2_match_data *match;
};

static int pcre2_failure(struct error *err, int number, const char *what)
{
	char why[128];

	if (number == PCRE2_ERROR_NOMEMORY)
		return error_no_memory(err, what);
	if (pcre2_get_error_message(number, (PCRE2_UCHAR *)why, sizeof(why)) < 0)
		why[0] = '\0';
	return error_set(err, -EINVAL, "%s: PCRE2 error %d: %s", what, number, why);
}

int pretokenizer_create(bool jit, struct pretokenizer **result, struct error *err)
{
	struct pretokenizer *pretokenizer = malloc(sizeof(*pretokenizer));
	PCRE2_SIZE offset;
	int number;

	if (!pretokenizer)
		return error_no_memory(err, "pre-tokenizer");
	pretokenizer->code = pcre2_compile((PCRE2_SPTR)pattern, sizeof(pattern) - 1,
					   PCRE2_UTF | PCRE2_ANCHORED, &number, &offset, NULL);
	if (!pretokenizer->code) {
		free(pretokenizer);
		/* Numbers above 0 are of compilation; the one for memory is 121. */
		if (number == PCRE2_ERROR_HEAP_FAILED)
			return error_no_memory(err, "pre-tokenizer");
		return pcre2_failure(err, number, "pre-tokenizer");
	}
	/* When this fails, pcre2_match() interprets the pattern. */
	if (jit)
		pcre2_jit_compile(pretokenizer->code, PCRE2_JIT_COMPLETE);
	*result = pretokenizer;
	return 0;
}

void pretokenizer_destroy(struct pretokenizer *pretokenizer)
{
	if (!pretokenizer)
		return;
	pcre2_code_free(pretokenizer->code);
	free(pretokenizer);
}

int splitter_create(const struct pretokenizer *pretokenizer, struct splitter **result,
		    struct error *err)
{
	struct splitter *splitter = malloc(sizeof(*splitter));

	if (!splitter)
		return error_no_memory(err, "splitting text");
	splitter->code = pretokenizer->code;
	splitter->match = pcre2_match_data_create(1, NULL);
	if (!splitter->match) {
		free(splitter);
		return error_no_memory(err, "splitting text");
	}
	*result = splitter;
	return 0;
}

void splitter_destroy(struct splitter *splitter)
{
	if (!splitter)
		return;
	pcre2_match_data_free(splitter->match);
	free(splitter);
}

int splitter_next(struct splitter *splitter, const char *text, size_t length, size_t from,
		  size_t *end, struct error *err)
{
	/* Checking the text again at every piece would make the time quadratic. */
	int matched = pcre2_match(splitter->code, (PCRE2_SPTR)text, length, from,
				  PCRE2_NO_UTF_CHECK, splitter->match, NULL);

	if (matched < 0)
		return pcre2_failure(err, matched, "splitting text");
	*end = pcre2_get_ovector_pointer(splitter->match)[1];
	return 0;
}
