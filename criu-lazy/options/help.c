// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "options/parse.h"
#include "options/table.h"
#include "util/log.h"

enum { HELP_COLUMN = 34 };

static void print_row(FILE *out, const struct option_spec *spec)
{
	char left[80];
	int len = 0;

	if (spec->letter)
		len = snprintf(left, sizeof(left), "  -%c|--%s", spec->letter, spec->name);
	else
		len = snprintf(left, sizeof(left), "     --%s", spec->name);
	if (spec->takes == ARGUMENT_REQUIRED)
		len += snprintf(left + len, sizeof(left) - len, " %s", spec->arg);
	else if (spec->takes == ARGUMENT_OPTIONAL)
		len += snprintf(left + len, sizeof(left) - len, "[=%s]", spec->arg);
	if (len >= HELP_COLUMN)
		fprintf(out, "%s\n%*s", left, HELP_COLUMN, "");
	else
		fprintf(out, "%-*s", HELP_COLUMN, left);
	fputs(spec->help, out);
	if (spec->support == OPTION_REFUSED)
		fprintf(out, " (not supported yet)");
	else if (spec->support == OPTION_ACCEPTED)
		fprintf(out, " (no effect)");
	fputc('\n', out);
}

void options_print_help(FILE *out)
{
	for (int group = 0; group < GROUPS_COUNT; group++) {
		fprintf(out, "\n%s options:\n", option_group_names[group]);
		for (size_t i = 0; i < option_count; i++)
			if (option_table[i].group == (enum option_group)group)
				print_row(out, &option_table[i]);
	}
}

void options_log_accepted(const struct options *opts)
{
	for (size_t i = 0; i < opts->accepted.count; i++) {
		const struct option_spec *spec;
		bool negated;

		if (!option_find(opts->accepted.items[i], strlen(opts->accepted.items[i]), &spec,
				 &negated))
			log_info("option --%s has no effect: %s", spec->name, spec->note);
	}
}
