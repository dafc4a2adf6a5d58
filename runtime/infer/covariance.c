// SPDX-License-Identifier: GPL-2.0-only
#include "infer/covariance.h"

#include <stdlib.h>
#include <string.h>

#include "base/half.h"

/* A tile of sums: its inputs, 64 x 512 values of two kinds, fit the L2 cache. */
#define TILE 64
/* Elements turned round together: a cache line of halves. */
#define LINE 32
/* Rows of a covariance that go through a weight matrix together. */
#define ROW_BLOCK 64

int vector_block_create(size_t width, struct vector_block **result, struct error *err)
{
	struct vector_block *block = malloc(sizeof(*block));

	if (!block)
		return error_no_memory(err, "a block of vectors");
	block->width = width;
	block->n_vectors = 0;
	block->halves = malloc(width * COVARIANCE_BLOCK * sizeof(uint16_t));
	block->floats = malloc(width * COVARIANCE_BLOCK * sizeof(float));
	if (!block->halves || !block->floats) {
		vector_block_free(block);
		return error_no_memory(err, "a block of vectors");
	}
	*result = block;
	return 0;
}

void vector_block_free(struct vector_block *block)
{
	if (!block)
		return;
	free(block->halves);
	free(block->floats);
	free(block);
}

struct fill_job {
	const struct compute *compute;
	struct vector_block *block;
	const uint16_t *vectors;
};

static void fill_lines(void *arg, size_t begin, size_t end)
{
	const struct fill_job *job = arg;
	struct vector_block *block = job->block;
	size_t first = begin * LINE;
	size_t last = end * LINE < block->width ? end * LINE : block->width;

	for (size_t from = first; from < last; from += LINE) {
		size_t to = last - from < LINE ? last : from + LINE;

		for (size_t v = 0; v < block->n_vectors; v++)
			for (size_t i = from; i < to; i++)
				block->halves[i * COVARIANCE_BLOCK + v] =
					job->vectors[v * block->width + i];
	}
	for (size_t i = first; i < last; i++)
		job->compute->kernels->widen(block->floats + i * COVARIANCE_BLOCK,
					     block->halves + i * COVARIANCE_BLOCK,
					     block->n_vectors);
}

void vector_block_fill(const struct compute *compute, struct vector_block *block,
		       const uint16_t *vectors, size_t n_vectors)
{
	struct fill_job job = { .compute = compute, .block = block, .vectors = vectors };

	block->n_vectors = n_vectors;
	thread_pool_run(compute->pool, (block->width + LINE - 1) / LINE, 1, fill_lines, &job);
}

void vector_block_sum(const struct vector_block *block, double *sums)
{
	for (size_t i = 0; i < block->width; i++) {
		const float *values = block->floats + i * COVARIANCE_BLOCK;
		double sum = 0;

		for (size_t v = 0; v < block->n_vectors; v++)
			sum += values[v];
		sums[i] += sum;
	}
}

struct add_job {
	const struct compute *compute;
	double *sums;
	const struct vector_block *x;
	const struct vector_block *y;
};

/* Rows first_row ... of the sums, columns first_column ..., a tile of them. */
static void add_tile(const struct add_job *job, size_t first_row, size_t n_rows,
		     size_t first_column, size_t n_columns)
{
	size_t width = job->x->width;
	float products[TILE * TILE];
	const uint16_t *columns[TILE];

	for (size_t c = 0; c < n_columns; c++)
		columns[c] = job->y->halves + (first_column + c) * COVARIANCE_BLOCK;
	job->compute->kernels->dot_rows(products, TILE, columns, n_columns,
					job->x->floats + first_row * COVARIANCE_BLOCK,
					COVARIANCE_BLOCK, n_rows, job->x->n_vectors);
	for (size_t r = 0; r < n_rows; r++) {
		double *sums = job->sums + (first_row + r) * width + first_column;

		for (size_t c = 0; c < n_columns; c++)
			sums[c] += products[r * TILE + c];
	}
}

static void add_tile_rows(void *arg, size_t begin, size_t end)
{
	const struct add_job *job = arg;
	size_t width = job->x->width;

	for (size_t row = begin * TILE; row < end * TILE && row < width; row += TILE) {
		size_t n_rows = width - row < TILE ? width - row : TILE;
		size_t n_columns = job->x == job->y ? row + n_rows : width;

		for (size_t column = 0; column < n_columns; column += TILE)
			add_tile(job, row, n_rows, column,
				 n_columns - column < TILE ? n_columns - column : TILE);
	}
}

void covariance_add(const struct compute *compute, double *sums, const struct vector_block *x,
		    const struct vector_block *y)
{
	struct add_job job = { .compute = compute, .sums = sums, .x = x, .y = y };

	thread_pool_run(compute->pool, (x->width + TILE - 1) / TILE, 1, add_tile_rows, &job);
}

void covariance_mirror(double *sums, size_t width)
{
	for (size_t i = 0; i < width; i++)
		for (size_t j = 0; j < i; j++)
			sums[j * width + i] = sums[i * width + j];
}

void covariance_centre(double *sums, size_t width, double n, const double *mean_x,
		       const double *mean_y)
{
	for (size_t i = 0; i < width; i++)
		for (size_t j = 0; j < width; j++)
			sums[i * width + j] = sums[i * width + j] / n - mean_x[i] * mean_y[j];
}

struct variance_job {
	const uint16_t *weights; /* (n_rows, width) */
	size_t n_rows;
	size_t width;
	const float *products; /* (n_block, n_rows): weights times some rows of a covariance */
	size_t first; /* of these rows */
	size_t n_block;
	double *variances; /* (n_rows) */
};

static void add_variances(void *arg, size_t begin, size_t end)
{
	const struct variance_job *job = arg;

	for (size_t j = begin; j < end; j++) {
		const uint16_t *row = job->weights + j * job->width + job->first;

		for (size_t r = 0; r < job->n_block; r++)
			job->variances[j] += (double)f16_to_f32(row[r]) *
					     job->products[r * job->n_rows + j];
	}
}

int covariance_of_rows(const struct compute *compute, const uint16_t *weights, size_t n_rows,
		       size_t width, const double *covariance, double *variances,
		       struct error *err)
{
	float *block = malloc(ROW_BLOCK * width * sizeof(*block));
	float *products = malloc(ROW_BLOCK * n_rows * sizeof(*products));
	struct variance_job job = {
		.weights = weights,
		.n_rows = n_rows,
		.width = width,
		.products = products,
		.variances = variances,
	};
	int ret = 0;

	if (!block || !products) {
		ret = error_no_memory(err, "variances of a layer's products");
		goto out;
	}
	memset(variances, 0, n_rows * sizeof(*variances));
	for (job.first = 0; job.first < width; job.first += ROW_BLOCK) {
		job.n_block = width - job.first < ROW_BLOCK ? width - job.first : ROW_BLOCK;
		for (size_t i = 0; i < job.n_block * width; i++)
			block[i] = (float)covariance[job.first * width + i];
		linear(compute, products, weights, NULL, block, job.n_block, n_rows, width);
		thread_pool_run(compute->pool, n_rows, compute_grain(2 * job.n_block),
				add_variances, &job);
	}
out:
	free(products);
	free(block);
	return ret;
}
