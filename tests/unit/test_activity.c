// SPDX-License-Identifier: GPL-2.0-only
/* Seen and unseen chunks of a trace, put together, are all of it. */
#include "helpers/activity.h"
#include "helpers/test.h"

#include <stdlib.h>

#include "base/bits.h"

/* The tokens of the chunks that `part` takes, one after the other. */
static void assert_part(const struct trace *trace, uint32_t layer, enum activity_part part,
			const struct activity *all, uint32_t chunk_tokens)
{
	size_t words = bits_words(all->n_neurons);
	struct activity activity;
	struct error err;
	uint64_t t = 0;

	assert_ok(activity_load(trace, layer, part, &activity, &err), &err);
	assert_int_equal(activity.n_neurons, all->n_neurons);
	for (uint64_t from = 0; from < all->n_tokens; from++) {
		bool unseen = trace_chunk_unseen(trace, (uint32_t)from / chunk_tokens);

		if (part != ACTIVITY_ALL && unseen != (part == ACTIVITY_UNSEEN))
			continue;
		assert_true(t < activity.n_tokens);
		assert_memory_equal(activity.fired + t * words, all->fired + from * words,
				    words * sizeof(uint64_t));
		t++;
	}
	assert_int_equal(activity.n_tokens, t);
	activity_free(&activity);
}

static void parts_are_what_was_traced(void **state)
{
	char *folder = make_folder();
	char *path = path_in(folder, "a.trace");
	struct activity layers[2] = {
		make_independent_activity(1, 77, 100, 0.1),
		make_independent_activity(2, 77, 100, 0.2),
	};
	static const uint32_t chunk_tokens[] = { 3, 60, 100 };
	struct trace *trace;
	struct error err;

	(void)state;
	for (int i = 0; i < 3; i++) {
		write_activities(path, 1, layers, 2, chunk_tokens[i]);
		assert_ok(trace_open(path, &trace, &err), &err);
		for (uint32_t layer = 0; layer < 2; layer++)
			for (int part = ACTIVITY_SEEN; part <= ACTIVITY_ALL; part++)
				assert_part(trace, layer, part, &layers[layer], chunk_tokens[i]);
		trace_close(trace);
	}
	activity_free(&layers[0]);
	activity_free(&layers[1]);
	free(path);
	remove_folder(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_what_was_traced),
	};

	return cmocka_run_group_tests_name("activity", tests, NULL, NULL);
}
