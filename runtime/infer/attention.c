// SPDX-License-Identifier: GPL-2.0-only
#include "infer/attention.h"

#include <math.h>
#include <string.h>

struct attention_job {
	const struct compute *compute;
	const struct attention_shape *shape;
	float *out;
	const float *queries;
	const float *keys;
	const float *values;
	float *scores;
	size_t first;
	size_t n_tokens;
};

/* Scores to probabilities, in place; the largest is subtracted so that exp() cannot overflow. */
static void softmax(float *scores, size_t n)
{
	float largest = scores[0], sum = 0;

	for (size_t i = 1; i < n; i++)
		if (scores[i] > largest)
			largest = scores[i];
	for (size_t i = 0; i < n; i++) {
		scores[i] = expf(scores[i] - largest);
		sum += scores[i];
	}
	for (size_t i = 0; i < n; i++)
		scores[i] /= sum;
}

/* One head of one query. */
static void attend(const struct attention_job *job, size_t token, size_t head)
{
	const struct kernels *kernels = job->compute->kernels;
	size_t d_head = job->shape->d_head;
	size_t width = job->shape->n_heads * d_head;
	size_t kv_width = job->shape->n_kv_heads * d_head;
	size_t kv_head = head / (job->shape->n_heads / job->shape->n_kv_heads);
	size_t visible = job->first + token + 1;
	const float *query = job->queries + token * width + head * d_head;
	const float *keys = job->keys + kv_head * d_head;
	const float *values = job->values + kv_head * d_head;
	float *out = job->out + token * width + head * d_head;
	float *scores = job->scores +
			(token * job->shape->n_heads + head) * (job->first + job->n_tokens);
	float scale = 1 / sqrtf((float)d_head);

	for (size_t i = 0; i < visible; i++)
		scores[i] = scale * kernels->dot_f32(query, keys + i * kv_width, d_head);
	softmax(scores, visible);
	memset(out, 0, d_head * sizeof(*out));
	for (size_t i = 0; i < visible; i++)
		kernels->add_f32(out, scores[i], values + i * kv_width, d_head);
}

static void attend_range(void *arg, size_t begin, size_t end)
{
	const struct attention_job *job = arg;

	for (size_t i = begin; i < end; i++)
		attend(job, i / job->shape->n_heads, i % job->shape->n_heads);
}

void attention(const struct compute *compute, const struct attention_shape *shape, float *out,
	       const float *queries, const float *keys, const float *values, float *scores,
	       size_t first, size_t n_tokens)
{
	struct attention_job job = {
		.compute = compute,
		.shape = shape,
		.out = out,
		.queries = queries,
		.keys = keys,
		.values = values,
		.scores = scores,
		.first = first,
		.n_tokens = n_tokens,
	};
	size_t flops = 4 * (first + n_tokens) * shape->d_head;

	thread_pool_run(compute->pool, n_tokens * shape->n_heads, compute_grain(flops),
			attend_range, &job);
}
