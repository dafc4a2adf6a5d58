// SPDX-License-Identifier: GPL-2.0-only
/* The program `colink`: finds the command and runs it. */
#include "cli/cli.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
	{ "link", "SRC -o OUT --text FILE [options]",
	  "Turn a checkpoint into a linked model file: import, trace, place, train, pack.",
	  cmd_link },
	{ "run", "MODEL -p TEXT [options]", "Generate text, reading the FFN from flash.", cmd_run },
	{ "eval", "MODEL --text FILE [options]", "Measure the perplexity of a text.", cmd_eval },
	{ "logits", "MODEL (-p TEXT | --ids N,N,...) [options]",
	  "Print the logits after the last token.", cmd_logits },
	{ "tokenize", "MODEL -p TEXT [options]", "Print the token ids of a text.", cmd_tokenize },
	{ "info", "MODEL [options]", "Show what a model file holds.", cmd_info },
	{ "verify", "MODEL [options]", "Check every byte of a model file by its checksums.",
	  cmd_verify },
	{ "load", "MODEL [options]",
	  "Have the kernel prefetch a model's linked neurons, for whoever reads it.", cmd_load },
	{ "unload", "[MODEL] [options]", "End that, for one model or for all.", cmd_unload },
	{ "import", "SRC -o OUT [options]",
	  "Turn a Hugging Face checkpoint directory into a model file.", cmd_import },
	{ "trace", "MODEL --text FILE -o TRACE [options]",
	  "Record which neurons fire while the model reads a text.", cmd_trace },
	{ "place", "TRACE -o PLACEMENT [options]",
	  "Find an order in which neurons that fire together are neighbours.", cmd_place },
	{ "train", "MODEL --trace TRACE -o PREDICTOR [options]",
	  "Fit a predictor that foretells which neurons will fire.", cmd_train },
	{ "pack", "MODEL --placement PLACEMENT -o OUT [options]",
	  "Write a linked model file from a model, a placement and a predictor.", cmd_pack },
	{ "synth", "SHAPE (-o MODEL | --trace TRACE) [options]",
	  "Write a model of a known shape with random weights, and traces for it.", cmd_synth },
	{ "stat", "[FILE ...] [options]",
	  "Watch what disks and page cache do for models (BPF; root).", cmd_stat },
	{ "bench", "BENCHMARK [options]", "Measure: see 'colink bench --help'.", cmd_bench },
};

static void show_commands(FILE *out)
{
	fprintf(out, "colink: ReLU-sparse language models straight from flash\n\n"
		     "usage: colink COMMAND ...\n\n");
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\n'colink COMMAND --help' lists a command's options. Every command takes "
		     "--json.\n");
}

int main(int argc, char **argv)
{
	struct error err;

	/* Writing to a closed pipe or beyond a limit is an error like any other. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		show_commands(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		show_commands(stdout);
		return finish_output(&err) < 0 ? report_failure(&err) : EXIT_DONE;
	}
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(&commands[i], argc - 1, argv + 1);
	for (char *c = argv[1]; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "colink: unknown command '%s' (see 'colink --help')\n", argv[1]);
	return EXIT_USAGE;
}
