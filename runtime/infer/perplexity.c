// SPDX-License-Identifier: GPL-2.0-only
#include "infer/perplexity.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "infer/logits.h"

/* Logits computed together; each is n_vocab floats. */
#define LOGITS_BLOCK 32

/* -log P(target) */
static double token_nll(const float *logits, uint32_t n, uint32_t target)
{
	double largest = logits[0], sum = 0;

	for (uint32_t i = 1; i < n; i++)
		if (logits[i] > largest)
			largest = logits[i];
	for (uint32_t i = 0; i < n; i++)
		sum += exp(logits[i] - largest);
	return log(sum) + largest - logits[target];
}

/* The targets of the last batch, added to *nll. */
static int batch_nll(struct session *session, uint32_t n_vocab, const uint32_t *targets,
		     uint32_t count, float *logits, double *nll, struct error *err)
{
	for (uint32_t first = 0; first < count; first += LOGITS_BLOCK) {
		uint32_t part = count - first < LOGITS_BLOCK ? count - first : LOGITS_BLOCK;

		session_logits(session, first, part, logits);
		for (uint32_t i = 0; i < part; i++) {
			const float *of_token = logits + (size_t)i * n_vocab;
			int ret = logits_check(of_token, n_vocab, err);

			if (ret < 0)
				return ret;
			*nll += token_nll(of_token, n_vocab, targets[first + i]);
		}
	}
	return 0;
}

/* One piece: `count` targets, from inputs bos, targets[0], ..., targets[count - 2]. */
static int piece_nll(struct session *session, const struct model *model, const uint32_t *targets,
		     size_t count, uint32_t *inputs, float *logits, double *nll, struct error *err)
{
	uint32_t n_vocab = model->config.n_vocab;
	int ret = 0;

	session_rewind(session);
	inputs[0] = tokenizer_bos(model->tokenizer);
	for (size_t i = 1; i < count; i++)
		inputs[i] = targets[i - 1];
	for (size_t done = 0; done < count && ret == 0;) {
		uint32_t max = session_max_batch(session);
		uint32_t part = count - done < max ? (uint32_t)(count - done) : max;

		ret = session_forward(session, inputs + done, part, err);
		if (ret == 0)
			ret = batch_nll(session, n_vocab, targets + done, part, logits, nll, err);
		done += part;
	}
	return ret;
}

static uint64_t logits_bytes(uint32_t n_vocab)
{
	return LOGITS_BLOCK * (uint64_t)n_vocab * sizeof(float);
}

uint64_t perplexity_bytes(uint32_t n_vocab, uint32_t context)
{
	return logits_bytes(n_vocab) + context * (uint64_t)sizeof(uint32_t);
}

int perplexity_measure(struct session *session, const struct model *model, const uint32_t *ids,
		       size_t n_ids, uint32_t context, struct progress *progress,
		       struct perplexity *result, struct error *err)
{
	uint32_t *inputs;
	float *logits;
	double nll = 0;
	int ret = 0;

	session_rewind(session);
	if (!context)
		context = session_room(session);
	if (context < 2 || context > session_room(session))
		return error_set(err, -EINVAL, "a context of %u: has to be from 2 to %u", context,
				 session_room(session));
	if (!n_ids)
		return error_set(err, -EINVAL, "the text has no tokens");
	if (tokenizer_bos(model->tokenizer) == TOKEN_NONE)
		return error_set(err, -EINVAL, "the vocabulary has no token to begin a text with");
	inputs = malloc(context * sizeof(*inputs));
	logits = malloc(logits_bytes(model->config.n_vocab));
	if (!inputs || !logits)
		ret = error_no_memory(err, "logits");
	for (size_t done = 0; done < n_ids && ret == 0;) {
		size_t part = n_ids - done < context - 1 ? n_ids - done : context - 1;

		ret = piece_nll(session, model, ids + done, part, inputs, logits, &nll, err);
		done += part;
		progress_report(progress, (double)done, (double)n_ids);
	}
	free(logits);
	free(inputs);
	if (ret < 0)
		return ret;
	result->n_tokens = n_ids;
	result->nll_total = nll;
	result->nll = nll / (double)n_ids;
	result->perplexity = exp(result->nll);
	return 0;
}
