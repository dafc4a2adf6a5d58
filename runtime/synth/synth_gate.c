// SPDX-License-Identifier: GPL-2.0-only
#include "synth/synth_gate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/random.h"
#include "synth/random_weights.h"

#define LANES 4
/* Columns of a product computed together: their sums stay in registers. */
#define PANEL_VECTORS 8
#define PANEL (PANEL_VECTORS * LANES)
/* Halvings of the interval that the threshold is in. */
#define THRESHOLD_STEPS 60

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

static uint32_t panels_of(uint32_t d_model)
{
	return (d_model + PANEL - 1) / PANEL;
}

/* Above which a normal value of deviation 1 is with a chance of `share`. */
static double normal_threshold(double share)
{
	double low = 0, high = 40;

	for (int step = 0; step < THRESHOLD_STEPS; step++) {
		double middle = (low + high) / 2;

		if (erfc(middle / sqrt(2)) / 2 > share)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Of a sum over n inputs of mean square 1. */
static double deviation(uint32_t n)
{
	return ldexp(sqrt(RANDOM_WEIGHTS_POWER * n), random_weights_scale(n));
}

/* Rounded up to whole draws of four. */
static uint16_t *halves(size_t n)
{
	return calloc((n + 3) / 4, 4 * sizeof(uint16_t));
}

int synth_gate_create(uint32_t d_model, uint32_t n_ffn, uint32_t rank, double share,
		      struct synth_gate **result, struct error *err)
{
	struct synth_gate *gate;

	if (!d_model || !n_ffn || !rank || rank > SYNTH_GATE_MAX_RANK ||
	    !(share > 0 && share < 0.5))
		return error_set(err, -EINVAL, "no %u gates of rank %u, %g of them open, can be "
				 "drawn", n_ffn, rank, share);
	gate = calloc(1, sizeof(*gate));
	if (!gate)
		return error_no_memory(err, "a layer's gates");
	*gate = (struct synth_gate){
		.d_model = d_model,
		.n_ffn = n_ffn,
		.rank = rank,
		.threshold = (float)(normal_threshold(share) * deviation(d_model) *
				     deviation(rank)),
		.down = halves((size_t)rank * d_model),
		.up = halves((size_t)n_ffn * rank),
		.panels = aligned_alloc(sizeof(vec), (size_t)panels_of(d_model) * rank * PANEL *
						     sizeof(float)),
	};
	if (!gate->down || !gate->up || !gate->panels) {
		synth_gate_free(gate);
		return error_no_memory(err, "a layer's gates");
	}
	*result = gate;
	return 0;
}

void synth_gate_free(struct synth_gate *gate)
{
	if (!gate)
		return;
	free(gate->panels);
	free(gate->up);
	free(gate->down);
	free(gate);
}

static void draw(struct random_state *random, uint16_t *weights, size_t n, uint32_t n_inputs)
{
	const int scale = random_weights_scale(n_inputs);

	for (size_t i = 0; i < n; i += 4) {
		uint64_t four = random_weights(random, scale);

		memcpy(weights + i, &four, sizeof(four));
	}
}

void synth_gate_draw(struct synth_gate *gate, uint64_t seed)
{
	const size_t d = gate->d_model, rank = gate->rank;
	struct random_state random;

	random_seed(&random, seed);
	draw(&random, gate->down, rank * d, gate->d_model);
	draw(&random, gate->up, gate->n_ffn * rank, gate->rank);
	for (size_t panel = 0; panel < panels_of(gate->d_model); panel++)
		for (size_t k = 0; k < rank; k++)
			for (size_t i = 0; i < PANEL; i++) {
				const size_t column = panel * PANEL + i;

				gate->panels[(panel * rank + k) * PANEL + i] =
					column < d ? f16_to_f32(gate->down[k * d + column]) : 0;
			}
}

/* One row's columns of a panel. */
static void multiply(const struct synth_gate *gate, const float *up, const float *panel,
		     float columns[PANEL])
{
	vec sums[PANEL_VECTORS] = { 0 };

	for (uint32_t k = 0; k < gate->rank; k++) {
		const vec *row = (const vec *)(panel + (size_t)k * PANEL);

		for (int i = 0; i < PANEL_VECTORS; i++)
			sums[i] += up[k] * row[i];
	}
	memcpy(columns, sums, sizeof(sums));
}

static void write_columns(const struct synth_gate *gate, uint32_t panel, const float *up,
			  uint16_t *row)
{
	const uint32_t first = panel * PANEL, left = gate->d_model - first;
	float columns[PANEL];

	multiply(gate, up, gate->panels + (size_t)first * gate->rank, columns);
	for (uint32_t i = 0; i < PANEL && i < left; i++)
		row[first + i] = f32_to_f16(columns[i]);
}

void synth_gate_rows(const struct synth_gate *gate, uint32_t first, uint32_t n, uint16_t *rows,
		     size_t stride)
{
	float up[SYNTH_GATE_MAX_RANK];

	for (uint32_t i = 0; i < n; i++) {
		const uint16_t *factors = gate->up + (size_t)(first + i) * gate->rank;

		for (uint32_t k = 0; k < gate->rank; k++)
			up[k] = f16_to_f32(factors[k]);
		for (uint32_t panel = 0; panel < panels_of(gate->d_model); panel++)
			write_columns(gate, panel, up, rows + i * stride);
	}
}
