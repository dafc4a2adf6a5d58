// SPDX-License-Identifier: GPL-2.0-only
#include "cli/loaded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const char *const counter_names[LINK_COUNTERS] = {
	[LINK_READS] = "reads",
	[LINK_FAULTS] = "faults",
	[LINK_SLOTS] = "slots",
	[LINK_ENTERED] = "entered",
	[LINK_HOT_ASKED] = "hot_asked",
	[LINK_HOT_DENIED] = "hot_denied",
	[LINK_OUTSIDE] = "outside",
	[LINK_WEAK] = "weak",
	[LINK_IN_FAULT] = "in_fault",
	[LINK_AROUND] = "around",
	[LINK_ASKED] = "asked",
	[LINK_DROPPED] = "dropped",
	[LINK_GONE] = "gone",
	[LINK_REFUSED] = "refused",
};

static const struct {
	const char *name;
	const char *faults_read;
} read_arounds[] = {
	[LINK_AROUND_NEVER] = { "never", "the run they are in" },
	[LINK_AROUND_ALWAYS] = { "always", "around their page" },
	[LINK_AROUND_ROOM] = { "room", "around their page while there is room, then the run they "
				       "are in" },
};

int read_around_parse(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(read_arounds); i++)
		if (strcmp(name, read_arounds[i].name) == 0)
			return (int)i;
	return -EINVAL;
}

/* Root can write anything into the map, where what is unknown is never. */
static size_t read_around_of(const struct loaded *loaded)
{
	const uint32_t value = loaded->policy.read_around;

	return value < COUNT_OF(read_arounds) ? value : LINK_AROUND_NEVER;
}

const char *loaded_directory(const char *given)
{
	const char *set = getenv("COLINK_STATE");

	if (given)
		return given;
	return set && *set ? set : LINK_STATE_DIRECTORY;
}

int loaded_count(struct loaded *loaded, struct error *err)
{
	return link_counters_get(loaded->counters_map, loaded->counters, err);
}

int loaded_open(const struct link_state *state, struct loaded *loaded, struct error *err)
{
	int ret;

	*loaded = (struct loaded){ .state = *state, .policy_map = -1, .counters_map = -1 };
	ret = link_policy_open(state->maps.policy, state->model, &loaded->policy_map, err);
	if (ret == 0)
		ret = link_counters_open(state->maps.counters, state->model,
					 &loaded->counters_map, err);
	if (ret == 0)
		ret = link_policy_get(loaded->policy_map, &loaded->policy, err);
	if (ret == 0)
		ret = loaded_count(loaded, err);
	if (ret < 0)
		loaded_close(loaded);
	return ret;
}

void loaded_close(struct loaded *loaded)
{
	if (loaded->policy_map >= 0)
		close(loaded->policy_map);
	if (loaded->counters_map >= 0)
		close(loaded->counters_map);
}

static json_t *counters_json(const uint64_t counters[LINK_COUNTERS])
{
	json_t *object = json_object();

	for (size_t i = 0; i < LINK_COUNTERS; i++)
		json_object_set_new(object, counter_names[i],
				    json_integer((json_int_t)counters[i]));
	return object;
}

json_t *loaded_json(const struct loaded *loaded)
{
	const struct link_state *state = &loaded->state;

	return json_pack("{s:o, s:i, s:i, s:i, s:i, s:I, s:{s:f, s:I, s:I, s:s}, s:o}",
		"model", json_text(state->model),
		"region", (int)state->region,
		"layers", (int)state->n_layers,
		"hot_runs", (int)state->n_hot_runs,
		"pid", (int)state->pid,
		"gap_bytes", (json_int_t)state->gap_bytes,
		"policy",
		"threshold", (double)loaded->policy.threshold / LINK_ONE,
		"max_run", (json_int_t)loaded->policy.max_run,
		"max_hot", (json_int_t)loaded->policy.max_hot,
		"read_around", read_arounds[read_around_of(loaded)].name,
		"counters", counters_json(loaded->counters));
}

void loaded_show(const struct loaded *loaded, const char *verb)
{
	const struct link_state *state = &loaded->state;

	printf("%s: %s (region %u, %u layers, %u hot runs, held by process %d)\n", state->model,
	       verb, state->region, state->n_layers, state->n_hot_runs, (int)state->pid);
	printf("policy    links are followed over a chance of %.4g, up to %u bundles; up to %u hot "
	       "runs of the next layer; gaps up to %" PRIu64 " bytes; faults read %s\n",
	       (double)loaded->policy.threshold / LINK_ONE, loaded->policy.max_run,
	       loaded->policy.max_hot, state->gap_bytes,
	       read_arounds[read_around_of(loaded)].faults_read);
}

void loaded_show_counters(const struct loaded *loaded)
{
	const uint64_t *n = loaded->counters;

	printf("seen      %" PRIu64 " reads and %" PRIu64 " page faults, %" PRIu64
	       " of them outside of all layers\n",
	       n[LINK_READS], n[LINK_FAULTS], n[LINK_OUTSIDE]);
	printf("links     asked %" PRIu64 " times, for %" PRIu64 " bundles; %" PRIu64
	       " times the first link was too weak; %" PRIu64 " runs read by faults, %" PRIu64
	       " faults that read around\n",
	       n[LINK_ASKED], n[LINK_SLOTS], n[LINK_WEAK], n[LINK_IN_FAULT], n[LINK_AROUND]);
	printf("layers    %" PRIu64 " entered, %" PRIu64 " hot runs asked for\n", n[LINK_ENTERED],
	       n[LINK_HOT_ASKED]);
	printf("not done  %" PRIu64 " queue full, %" PRIu64 " refused, %" PRIu64
	       " region gone, %" PRIu64 " hot runs\n",
	       n[LINK_DROPPED], n[LINK_REFUSED], n[LINK_GONE], n[LINK_HOT_DENIED]);
}
