/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to the bundle store: one requested layer, from the bit set of wanted
 * slots to the last window of bundles.
 *
 * The request has staging memory in two halves. Its reads, in ascending slots, are
 * cut into windows such that the reads of one window fit into one half; window k
 * lives in half k % 2. So while window k is consumed window k + 1 is in flight, and
 * window k + 2 starts when k is over. A window has every wanted bundle, cached or
 * read, from its first read up to the first read of the next window.
 *
 * Where bundles have several places (storage/bundle_places.h), reads go by position. Of chosen
 * places, which are in no order of slots, all reads are one window.
 */
#ifndef COLINK_STORAGE_BUNDLE_REQUEST_H
#define COLINK_STORAGE_BUNDLE_REQUEST_H

#include "model/place_choice.h"
#include "storage/bundle_places.h"
#include "storage/bundle_store.h"
#include "storage/cache.h"
#include "storage/device_watch.h"
#include "storage/plan.h"
#include "storage/source.h"

/* What the requests of one store have in common. */
struct bundle_request_context {
	struct source *source;
	struct cache *cache;
	uint32_t slots; /* per layer */
	uint32_t positions; /* per layer */
	const struct bundle_places *places; /* (n_layers); NULL: slots are positions */
	struct place_choice *choice; /* with places */
	struct device_watch *watch; /* told of every wait; NULL: nobody wants to know */
	struct plan_limits limits; /* stride among them; every read fits into half the staging */
};

struct bundle_request_window {
	uint32_t first_read, end_read; /* of request->reads */
	uint32_t first_bundle, end_bundle; /* of request->slots and request->bundles */
	struct device_mark submitted; /* only for the watch */
};

struct bundle_request {
	const struct bundle_request_context *context;
	char *staging; /* two halves; NULL when the source needs none */
	size_t half_bytes;

	bool active; /* between bundle_request_start() and the end of the last window */
	uint32_t layer;
	uint32_t n_wanted;
	uint32_t n_missing; /* wanted, but not in the cache */
	uint32_t *slots; /* (n_wanted): wanted, ascending */
	const uint16_t **bundles; /* (n_wanted): where they are; NULL while not read */
	uint64_t *missing; /* bit set over the layer's slots */
	/* With places: where they are read from, a set of positions; and where in the list they are */
	uint64_t *from;
	uint32_t *index_of; /* (slots): of those in the window that was handed out last */
	struct plan plan; /* of the missing ones, by position */
	struct source_read *reads; /* (plan.n_reads), room for one per slot */

	uint64_t bookkeeping_ns; /* looking up, planning and admitting; since the init */

	struct bundle_request_window windows[2]; /* number k in [k % 2] */
	uint32_t n_started; /* windows whose reads were submitted */
	uint32_t n_handed; /* windows handed out */
	bool handed_out; /* the last of these is still with the consumer */
};

/* Memory for requests; `staging` stays the caller's. */
int bundle_request_init(struct bundle_request *request,
			const struct bundle_request_context *context, char *staging,
			size_t half_bytes, struct error *err);

/* Bytes of all that belongs to one request, but for the staging. */
uint64_t bundle_request_bytes(const struct bundle_geometry *geometry);

/* No read may be in flight any more. */
void bundle_request_free(struct bundle_request *request);

/*
 * Look up, plan, and start up to two windows; the layer begins at `offset` of the
 * file. What was found and planned is in n_wanted, n_missing and plan. After a
 * failure the request, its pins and its reads in flight stay as they are.
 */
int bundle_request_start(struct bundle_request *request, uint32_t layer, uint64_t offset,
			 const uint64_t *wanted, struct error *err);

/* As bundle_store_next(); adds the time blocked to *wait_ns. */
int bundle_request_next(struct bundle_request *request, struct bundle_window *window,
			uint64_t *wait_ns, struct error *err);

#endif
