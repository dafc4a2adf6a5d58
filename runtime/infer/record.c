// SPDX-License-Identifier: GPL-2.0-only
#include "infer/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/half.h"
#include "infer/session.h"
#include "placement/trace.h"

struct recorder {
	struct session_observer observer; /* first: the observer is cast back to this */
	const struct model *model;
	struct trace_writer *writer;
	uint64_t *fired; /* (RECORD_WINDOW, bits_words(n_ffn)), by neuron */
	uint16_t *inputs; /* (RECORD_WINDOW, d_model), or NULL */
	uint64_t n_fired;
};

static int record_layer(struct session_observer *observer, const struct session_layer_event *event,
			struct error *err)
{
	struct recorder *recorder = (struct recorder *)observer;
	const struct model_config *config = &recorder->model->config;
	const uint32_t *neuron = recorder->model->layers[event->layer].neuron;
	size_t n = config->n_ffn, words = bits_words(n);

	memset(recorder->fired, 0, event->n_tokens * words * sizeof(uint64_t));
	for (size_t t = 0; t < event->n_tokens; t++) {
		const uint64_t *slots = event->fired + t * words;

		for (size_t s = bits_next(slots, n, 0); s < n; s = bits_next(slots, n, s + 1)) {
			bits_set(recorder->fired + t * words, neuron[s]);
			recorder->n_fired++;
		}
	}
	for (size_t i = 0; recorder->inputs && i < event->n_tokens * config->d_model; i++)
		recorder->inputs[i] = f32_to_f16(event->ffn_input[i]);
	return trace_writer_layer(recorder->writer, event->layer, recorder->fired,
				  recorder->inputs, err);
}

/* bos and the next ids, as many as a window holds; returns how many ids it took. */
static size_t fill_window(const struct model *model, const uint32_t *ids, size_t n_ids,
			  uint32_t room, uint32_t *window, uint32_t *n_window)
{
	uint32_t bos = tokenizer_bos(model->tokenizer), n = 0;
	size_t taken = 0;

	if (bos != TOKEN_NONE)
		window[n++] = bos;
	while (n < room && taken < n_ids)
		window[n++] = ids[taken++];
	*n_window = n;
	return taken;
}

static int record_windows(struct recorder *recorder, struct session *session, const uint32_t *ids,
			  size_t n_ids, struct progress *progress, uint64_t *n_tokens,
			  struct error *err)
{
	uint32_t window[RECORD_WINDOW], n;
	int ret = 0;

	*n_tokens = 0;
	for (size_t done = 0; done < n_ids && ret == 0;) {
		session_rewind(session);
		done += fill_window(recorder->model, ids + done, n_ids - done,
				    session_room(session), window, &n);
		ret = trace_writer_begin_chunk(recorder->writer, n, err);
		if (ret == 0)
			ret = session_forward(session, window, n, err);
		*n_tokens += n;
		progress_report(progress, (double)done, (double)n_ids);
	}
	return ret;
}

static int open_writer(struct recorder *recorder, const char *output,
		       const struct record_options *options, struct error *err)
{
	const struct model_config *config = &recorder->model->config;
	struct trace_shape shape = {
		.n_layers = config->n_layers,
		.n_neurons = config->n_ffn,
		.n_inputs = options->inputs ? config->d_model : 0,
		.model_id = recorder->model->file->origin.model_id,
	};

	recorder->fired = malloc(RECORD_WINDOW * bits_words(config->n_ffn) * sizeof(uint64_t));
	if (options->inputs)
		recorder->inputs = malloc((size_t)RECORD_WINDOW * config->d_model *
					  sizeof(uint16_t));
	if (!recorder->fired || (options->inputs && !recorder->inputs))
		return error_no_memory(err, "a window of the trace");
	return trace_writer_create(output, &shape, &recorder->writer, err);
}

int record_trace(const struct model *model, const uint32_t *ids, size_t n_ids, const char *output,
		 const struct record_options *options, struct progress *progress,
		 struct record_result *result, struct error *err)
{
	struct session_options session_options = {
		.mode = SESSION_DENSE,
		.threads = options->threads,
		.max_tokens = RECORD_WINDOW,
		.max_batch = RECORD_WINDOW,
		.store = options->store,
	};
	struct recorder recorder = { .observer.layer = record_layer, .model = model };
	struct session *session = NULL;
	int ret;

	if (!n_ids)
		return error_set(err, -EINVAL, "the text to trace has no tokens");
	/* A window has bos and at least one token of the text. */
	if (model->config.n_context < 2)
		return error_set(err, -EINVAL, "%s: a context of %u tokens is too short to trace",
				 gguf_path(model->file->gguf), model->config.n_context);
	ret = session_open(model, &session_options, &session, err);
	if (ret == 0)
		ret = open_writer(&recorder, output, options, err);
	if (ret < 0)
		goto out;
	session_observe(session, &recorder.observer);
	ret = record_windows(&recorder, session, ids, n_ids, progress, &result->n_tokens, err);
	if (ret < 0) {
		trace_writer_abort(recorder.writer);
		goto out;
	}
	result->active_share = (double)recorder.n_fired / (double)result->n_tokens /
			       model->config.n_ffn / model->config.n_layers;
	ret = trace_writer_commit(recorder.writer, err);
out:
	free(recorder.inputs);
	free(recorder.fired);
	session_close(session);
	return ret;
}
