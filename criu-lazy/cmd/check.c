// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "cmd/command.h"
#include "kernel/features.h"
#include "util/log.h"

static int list_features(void)
{
	for (size_t i = 0; i < feature_count; i++)
		printf("%s\n", feature_table[i].name);
	return 0;
}

static int check_one(const char *name)
{
	const struct feature *feature = feature_find(name);

	if (!strcmp(name, "list"))
		return list_features();
	if (!feature) {
		log_err("Unknown feature %s (check --feature list names them)", name);
		return 1;
	}
	if (!feature->probe()) {
		log_warn("%s is not supported: needed for %s", name, feature->purpose);
		return 1;
	}
	printf("%s is supported\n", name);
	return 0;
}

/* How many of a level are missing; each is said. */
static unsigned int check_level(enum feature_level level)
{
	unsigned int missing = 0;

	for (size_t i = 0; i < feature_count; i++) {
		const struct feature *feature = &feature_table[i];

		if (feature->level != level || feature->probe())
			continue;
		missing++;
		if (level == FEATURE_NEEDED)
			log_err("%s is missing: needed for %s", feature->name, feature->purpose);
		else
			log_warn("%s is missing: needed for %s", feature->name, feature->purpose);
	}
	return missing;
}

static int check_run(const struct options *opts)
{
	unsigned int missing = 0;

	if (opts->check_feature)
		return check_one(opts->check_feature);
	if (check_level(FEATURE_NEEDED)) {
		printf("Does not look good.\n");
		return 1;
	}
	if (opts->check_extra || opts->check_all)
		missing += check_level(FEATURE_EXTRA);
	if (opts->check_experimental || opts->check_all)
		missing += check_level(FEATURE_EXPERIMENTAL);
	if (!missing) {
		printf("Looks good.\n");
		return 0;
	}
	printf("Looks good but some kernel features are missing\n"
	       "which, depending on your process tree, may cause\n"
	       "dump or restore failure.\n");
	return 1;
}

const struct command command_check = {
	.name = "check",
	.arguments = "[--feature NAME]",
	.summary = "tell whether this kernel is good enough",
	.run = check_run,
};
