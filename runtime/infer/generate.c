// SPDX-License-Identifier: GPL-2.0-only
#include "infer/generate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "infer/logits.h"

int generate_prompt(struct session *session, const uint32_t *ids, size_t n_ids, struct error *err)
{
	int ret = 0;

	for (size_t done = 0; done < n_ids && ret == 0;) {
		uint32_t max = session_max_batch(session);
		uint32_t part = n_ids - done < max ? (uint32_t)(n_ids - done) : max;

		ret = session_forward(session, ids + done, part, err);
		done += part;
	}
	return ret;
}

uint64_t generate_bytes(uint32_t n_vocab)
{
	return n_vocab * (uint64_t)sizeof(float) + sampler_bytes(n_vocab);
}

int generate_tokens(struct session *session, uint32_t n_vocab,
		    const struct generate_options *options, uint32_t *ids, uint32_t *n_made,
		    struct error *err)
{
	struct sampler *sampler;
	float *logits;
	int ret;

	*n_made = 0;
	ret = sampler_create(&options->sampler, n_vocab, &sampler, err);
	if (ret < 0)
		return ret;
	logits = malloc(n_vocab * sizeof(*logits));
	if (!logits) {
		ret = error_no_memory(err, "logits");
		goto out;
	}
	while (*n_made < options->n_tokens) {
		uint32_t id;

		session_logits(session, session_batch(session) - 1, 1, logits);
		ret = logits_check(logits, n_vocab, err);
		if (ret < 0)
			break;
		id = sampler_pick(sampler, logits);
		ids[(*n_made)++] = id;
		ret = options->token ? options->token(options->arg, id) : 0;
		if (ret < 0)
			error_set(err, ret, "cannot write token %u: %s", *n_made, strerror(-ret));
		if (ret < 0 || id == options->eos || *n_made == options->n_tokens ||
		    session_room(session) == 0)
			break;
		ret = session_forward(session, &id, 1, err);
		if (ret < 0)
			break;
	}
out:
	free(logits);
	sampler_destroy(sampler);
	return ret;
}
