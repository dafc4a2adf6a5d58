// SPDX-License-Identifier: GPL-2.0-only
/* What a picture shows, counted; picture_draw.c draws it. */
#include "placement/picture.h"

#include <errno.h>
#include <stdlib.h>

#include "placement/picture_private.h"

/* Slots of the placement by frequency, as ORDER_FREQUENCY has them: ties by neuron. */
struct ranked {
	float frequency;
	uint32_t neuron;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->frequency != y->frequency)
		return x->frequency > y->frequency ? -1 : 1;
	return (x->neuron > y->neuron) - (x->neuron < y->neuron);
}

static int frequency_order(const struct placement_layer *layer, uint32_t n, uint32_t *order,
			   struct error *err)
{
	struct ranked *ranked = malloc(n * sizeof(*ranked));

	if (!ranked)
		return error_no_memory(err, "a picture");
	for (uint32_t slot = 0; slot < n; slot++)
		ranked[slot] = (struct ranked){ layer->frequency[slot],
						layer->slot_to_neuron[slot] };
	qsort(ranked, n, sizeof(*ranked), compare_ranked);
	for (uint32_t i = 0; i < n; i++)
		order[i] = ranked[i].neuron;
	free(ranked);
	return 0;
}

static int add_order(struct picture *picture, const struct activity *activity,
		     enum order_method method, const uint32_t *order, struct error *err)
{
	struct picture_order *to = &picture->orders[picture->n_orders];

	to->method = method;
	if (method == picture->subject->placement->method)
		picture->own = picture->n_orders;
	picture->n_orders++;
	return order_measure(activity, order, 0, &to->quality, err);
}

/* `scratch` has room for an order. */
static int count_with(struct picture *picture, const struct activity *activity, uint32_t *scratch,
		      struct thread_pool *pool, struct error *err)
{
	const struct placement *placement = picture->subject->placement;
	const struct placement_layer *layer = &placement->layers[picture->layer];
	uint32_t n = placement->n_neurons;
	int ret;

	for (uint32_t slot = 0; slot < n; slot++)
		scratch[slot] = slot;
	ret = add_order(picture, activity, ORDER_IDENTITY, scratch, err);
	if (ret == 0)
		ret = pair_map_make(activity, scratch, PICTURE_MAX_CELLS, pool, &picture->before,
				    err);
	if (ret == 0 && placement->method != ORDER_FREQUENCY) {
		ret = frequency_order(layer, n, scratch, err);
		if (ret == 0)
			ret = add_order(picture, activity, ORDER_FREQUENCY, scratch, err);
	}
	if (ret == 0 && placement->method != ORDER_IDENTITY)
		ret = add_order(picture, activity, placement->method, layer->slot_to_neuron, err);
	if (ret == 0)
		ret = pair_map_make(activity, layer->slot_to_neuron, PICTURE_MAX_CELLS, pool,
				    &picture->after, err);
	return ret;
}

static int load_unseen(const struct picture_subject *subject, uint32_t layer,
		       struct activity *activity, struct error *err)
{
	if (subject->unseen)
		return activity_load(subject->unseen, layer, ACTIVITY_ALL, activity, err);
	return activity_load(subject->trace, layer, ACTIVITY_UNSEEN, activity, err);
}

static int count(struct picture *picture, struct thread_pool *pool, struct error *err)
{
	uint32_t n_neurons = picture->subject->placement->n_neurons;
	struct activity activity = { 0 };
	uint32_t *scratch;
	int ret;

	ret = load_unseen(picture->subject, picture->layer, &activity, err);
	if (ret < 0)
		return ret;
	picture->n_tokens = activity.n_tokens;
	scratch = malloc(n_neurons * sizeof(*scratch));
	if (scratch)
		ret = count_with(picture, &activity, scratch, pool, err);
	else
		ret = error_no_memory(err, "a picture");
	free(scratch);
	activity_free(&activity);
	return ret;
}

static int draw(const struct picture *picture, const char *path, struct error *err)
{
	struct svg *svg;
	int ret;

	ret = svg_create(path, PICTURE_WIDTH, PICTURE_HEIGHT, &svg, err);
	if (ret < 0)
		return ret;
	ret = picture_draw(picture, svg, err);
	if (ret < 0) {
		svg_abort(svg);
		return ret;
	}
	return svg_commit(svg);
}

int picture_check(const struct picture_subject *subject, uint32_t layer, struct error *err)
{
	uint32_t n_layers = trace_get_shape(subject->trace)->n_layers;

	if (layer >= n_layers)
		return error_set(err, -ERANGE,
				 "%s: there is no layer %u to draw: the last one is %u",
				 subject->name, layer, n_layers - 1);
	/* Of two chunks, one is unseen. */
	if (!subject->unseen && trace_chunks(subject->trace) < 2)
		return error_set(err, -ENODATA,
				 "%s: too short for a picture: there are no tokens that placing "
				 "does not see; trace a longer text, or name another trace",
				 subject->name);
	return 0;
}

int picture_write(const struct picture_subject *subject, uint32_t layer, const char *path,
		  struct thread_pool *pool, struct error *err)
{
	struct picture picture = { .subject = subject, .layer = layer };
	int ret;

	ret = picture_check(subject, layer, err);
	if (ret == 0)
		ret = count(&picture, pool, err);
	if (ret == 0)
		ret = draw(&picture, path, err);
	pair_map_free(&picture.before);
	pair_map_free(&picture.after);
	return ret;
}
