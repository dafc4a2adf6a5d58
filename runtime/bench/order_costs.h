/* SPDX-License-Identifier: GPL-2.0-only */
/* Several orders of a model's neurons against the same tokens of a trace (order_replay.h). */
#ifndef COLINK_BENCH_ORDER_COSTS_H
#define COLINK_BENCH_ORDER_COSTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "bench/order_replay.h"
#include "placement/activity.h"

/*
 * Replay the first tokens of a part of the trace, options->max_tokens at most, through each of
 * n orders: slot_to_neuron[i] is (n_layers, n_slots[i]); n_slots of NULL is n_neurons for all.
 * costs is (n). When there are few tokens the warm-up is an eighth of them at most. `frequency`
 * is (n_layers, n_neurons), by neuron, or NULL. Orders are shared out among the threads of the
 * pool, which may be NULL; the costs do not depend on it, but for choice_us. Takes up to 32 MiB,
 * and some 20 bytes for each bundle of the model and order. Progress counts tokens.
 */
int order_costs(const struct trace *trace, enum activity_part part,
		const struct order_replay_options *options, const float *frequency,
		const uint32_t *const *slot_to_neuron, const uint32_t *n_slots, size_t n,
		struct thread_pool *pool,
		struct progress *progress, struct order_cost *costs, struct error *err);

#endif
