// SPDX-License-Identifier: GPL-2.0-only
/*
 * The merge loop against the definition, on random merges and sequences: small
 * alphabets, so that pairs overlap, and merges in random order, so that a merge
 * often brings up a better one.
 */
#include "helpers/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "model/bpe.h"

#define MAX_TOKENS 64
#define MAX_COUNT 40

/* Tokens by their text, as merges make them. */
struct lexicon {
	char texts[MAX_TOKENS][MAX_COUNT];
	uint32_t n_tokens;
	struct bpe_merge merges[MAX_TOKENS];
	uint32_t n_merges;
};

static uint32_t token_of(struct lexicon *lexicon, const char *text)
{
	for (uint32_t id = 0; id < lexicon->n_tokens; id++)
		if (!strcmp(lexicon->texts[id], text))
			return id;
	strcpy(lexicon->texts[lexicon->n_tokens], text);
	return lexicon->n_tokens++;
}

/* Letters, then merges of random tokens; a text may be made in several ways. */
static void random_lexicon(struct random_state *random, struct lexicon *lexicon)
{
	uint32_t n_letters = 1 + (uint32_t)random_below(random, 3);
	uint32_t n_wanted = (uint32_t)random_below(random, 24);

	lexicon->n_tokens = 0;
	lexicon->n_merges = 0;
	for (uint32_t i = 0; i < n_letters; i++)
		token_of(lexicon, (char[]){ (char)('a' + i), '\0' });
	for (uint32_t i = 0; i < n_wanted; i++) {
		struct bpe_merge merge = {
			.left = (uint32_t)random_below(random, lexicon->n_tokens),
			.right = (uint32_t)random_below(random, lexicon->n_tokens),
		};
		char text[2 * MAX_COUNT] = "";
		uint32_t j = 0;

		strcat(strcat(text, lexicon->texts[merge.left]), lexicon->texts[merge.right]);
		while (j < lexicon->n_merges && (lexicon->merges[j].left != merge.left ||
						 lexicon->merges[j].right != merge.right))
			j++;
		if (strlen(text) >= 12 || j < lexicon->n_merges)
			continue;
		merge.result = token_of(lexicon, text);
		lexicon->merges[lexicon->n_merges++] = merge;
	}
	for (uint32_t i = lexicon->n_merges; i > 1; i--) {
		uint32_t j = (uint32_t)random_below(random, i);
		struct bpe_merge moved = lexicon->merges[j];

		lexicon->merges[j] = lexicon->merges[i - 1];
		lexicon->merges[i - 1] = moved;
	}
}

/* The definition, word by word. */
static size_t naive(const struct lexicon *lexicon, uint32_t *ids, size_t count)
{
	for (;;) {
		const struct bpe_merge *best = NULL;
		size_t n = 0;

		for (uint32_t rank = 0; !best && rank < lexicon->n_merges; rank++)
			for (size_t i = 0; i + 1 < count; i++)
				if (ids[i] == lexicon->merges[rank].left &&
				    ids[i + 1] == lexicon->merges[rank].right)
					best = &lexicon->merges[rank];
		if (!best)
			return count;
		for (size_t i = 0; i < count; n++)
			if (i + 1 < count && ids[i] == best->left && ids[i + 1] == best->right) {
				ids[n] = best->result;
				i += 2;
			} else {
				ids[n] = ids[i++];
			}
		count = n;
	}
}

static void equals_the_definition(void **state)
{
	struct bpe_workspace workspace = { 0 };
	struct random_state random;
	struct lexicon lexicon;

	(void)state;
	random_seed(&random, 1);
	for (int round = 0; round < 3000; round++) {
		uint32_t duplicate;
		struct bpe *bpe;

		random_lexicon(&random, &lexicon);
		assert_int_equal(bpe_create(lexicon.merges, lexicon.n_merges, &bpe, &duplicate), 0);
		for (int text = 0; text < 20; text++) {
			size_t count = random_below(&random, MAX_COUNT);
			uint32_t ids[MAX_COUNT], expected[MAX_COUNT];
			size_t left;

			for (size_t i = 0; i < count; i++)
				ids[i] = expected[i] =
					(uint32_t)random_below(&random, lexicon.n_tokens);
			left = naive(&lexicon, expected, count);
			assert_int_equal(bpe_apply(bpe, &workspace, ids, count), left);
			assert_memory_equal(ids, expected, left * sizeof(*ids));
		}
		bpe_destroy(bpe);
	}
	bpe_workspace_free(&workspace);
}

/* "ab a" ranks before "a b", but only comes up after it: both "a b" merge first. */
static void a_better_pair_waits_for_the_next_pass(void **state)
{
	const struct bpe_merge merges[] = { { 2, 0, 3 }, { 0, 1, 2 } };
	uint32_t ids[] = { 0, 1, 0, 1 };
	struct bpe_workspace workspace = { 0 };
	uint32_t duplicate;
	struct bpe *bpe;

	(void)state;
	assert_int_equal(bpe_create(merges, 2, &bpe, &duplicate), 0);
	assert_int_equal(bpe_apply(bpe, &workspace, ids, 4), 2);
	assert_int_equal(ids[0], 2);
	assert_int_equal(ids[1], 2);
	bpe_workspace_free(&workspace);
	bpe_destroy(bpe);
}

static void a_pair_twice_is_refused(void **state)
{
	const struct bpe_merge merges[] = { { 0, 1, 2 }, { 1, 0, 3 }, { 0, 1, 2 } };
	uint32_t duplicate = 0;
	struct bpe *bpe;

	(void)state;
	assert_int_equal(bpe_create(merges, 3, &bpe, &duplicate), -EEXIST);
	assert_int_equal(duplicate, 2);
}

/* aa, aaaa, ... 2^19 times: a million letters become what their number is in binary. */
static void a_million_symbols(void **state)
{
	enum { COUNT = 1000000, LEVELS = 19 };
	uint32_t *ids = calloc(COUNT, sizeof(*ids));
	struct bpe_workspace workspace = { 0 };
	struct bpe_merge merges[LEVELS];
	size_t total = 0;
	uint32_t duplicate;
	struct bpe *bpe;
	int64_t left;

	(void)state;
	assert_non_null(ids);
	for (uint32_t i = 0; i < LEVELS; i++)
		merges[i] = (struct bpe_merge){ i, i, i + 1 };
	assert_int_equal(bpe_create(merges, LEVELS, &bpe, &duplicate), 0);
	left = bpe_apply(bpe, &workspace, ids, COUNT);
	assert_int_equal(left, __builtin_popcount(COUNT));
	for (int64_t i = 0; i < left; i++) {
		total += (size_t)1 << ids[i];
		assert_true(i == 0 || ids[i] < ids[i - 1]);
	}
	assert_int_equal(total, COUNT);
	bpe_workspace_free(&workspace);
	bpe_destroy(bpe);
	free(ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_better_pair_waits_for_the_next_pass),
		cmocka_unit_test(a_million_symbols),
		cmocka_unit_test(a_pair_twice_is_refused),
		cmocka_unit_test(equals_the_definition),
	};

	return cmocka_run_group_tests_name("bpe", tests, NULL, NULL);
}
