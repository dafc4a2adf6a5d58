// SPDX-License-Identifier: GPL-2.0-only
#include "infer/linear.h"

#include <math.h>

/* A thread takes about 10 us to wake; by then a CPU has done this much. */
#define FLOPS_WORTH_A_THREAD 100000

size_t compute_grain(size_t flops)
{
	return FLOPS_WORTH_A_THREAD / (flops + 1) + 1;
}

/* Rows are handed to the kernel by pointer, so many at a time. */
#define ROW_BLOCK 64

struct linear_job {
	const struct compute *compute;
	float *out;
	const uint16_t *weights;
	const float *bias;
	const float *x;
	size_t n_tokens;
	size_t n_out;
	size_t n_in;
};

static void linear_rows(void *arg, size_t begin, size_t end)
{
	const struct linear_job *job = arg;
	const uint16_t *rows[ROW_BLOCK];

	for (size_t first = begin; first < end; first += ROW_BLOCK) {
		size_t count = end - first < ROW_BLOCK ? end - first : ROW_BLOCK;

		for (size_t r = 0; r < count; r++)
			rows[r] = job->weights + (first + r) * job->n_in;
		job->compute->kernels->dot_rows(job->out + first, job->n_out, rows, count, job->x,
						job->n_in, job->n_tokens, job->n_in);
		for (size_t t = 0; job->bias && t < job->n_tokens; t++)
			for (size_t r = first; r < first + count; r++)
				job->out[t * job->n_out + r] += job->bias[r];
	}
}

void linear(const struct compute *compute, float *out, const uint16_t *weights, const float *bias,
	    const float *x, size_t n_tokens, size_t n_out, size_t n_in)
{
	struct linear_job job = {
		.compute = compute,
		.out = out,
		.weights = weights,
		.bias = bias,
		.x = x,
		.n_tokens = n_tokens,
		.n_out = n_out,
		.n_in = n_in,
	};

	thread_pool_run(compute->pool, n_out, compute_grain(2 * n_in * n_tokens), linear_rows,
			&job);
}

void layer_norm(float *out, const float *x, const float *weight, const float *bias, float epsilon,
		size_t n_tokens, size_t n)
{
	for (size_t t = 0; t < n_tokens; t++, x += n, out += n) {
		double sum = 0, squares = 0;
		float mean, scale;

		for (size_t i = 0; i < n; i++)
			sum += x[i];
		mean = (float)(sum / (double)n);
		for (size_t i = 0; i < n; i++)
			squares += (double)(x[i] - mean) * (x[i] - mean);
		scale = (float)(1 / sqrt(squares / (double)n + epsilon));
		for (size_t i = 0; i < n; i++)
			out[i] = (x[i] - mean) * scale * weight[i] + bias[i];
	}
}

void rms_norm(float *out, const float *x, const float *weight, float epsilon, size_t n_tokens,
	      size_t n)
{
	for (size_t t = 0; t < n_tokens; t++, x += n, out += n) {
		double squares = 0;
		float scale;

		for (size_t i = 0; i < n; i++)
			squares += (double)x[i] * x[i];
		scale = (float)(1 / sqrt(squares / (double)n + epsilon));
		for (size_t i = 0; i < n; i++)
			out[i] = x[i] * scale * weight[i];
	}
}
